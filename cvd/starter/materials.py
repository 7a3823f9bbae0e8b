"""Colours and patterns of the solids and the ground, as functions of where a ray hits. Light is linear."""

import torch
from torch import Tensor

from .world import PALETTE

GAMMA = 2.2
SHADE = 0.4
"""How bright a pattern's second tone is: a darker shade of the same hue keeps the colour's name right."""

GROUND_CELL = 0.4
DOT_RADIUS = 0.14
DOTS_SHARE = torch.pi * DOT_RADIUS**2 / GROUND_CELL**2
STRIPES = 5
CHECKERS = 3
"""On the height of a solid."""


def linear(colour: str) -> Tensor:
    """(3,) linear light of a palette colour."""
    return torch.tensor(PALETTE[colour]) ** GAMMA


def second_tone(colour: str) -> Tensor:
    """(3,) linear light of a pattern's other tone: the colour's darker shade, or black's lighter one."""
    return torch.full((3,), 0.12) if colour == "black" else SHADE * linear(colour)


def solid_weight(material: str, points: Tensor) -> Tensor:
    """1 where a solid shows its first tone, 0 where its second; ``points`` (3, ...) in its own unit coordinates."""
    if material == "striped":
        return 1 - torch.floor(points[1] * STRIPES + STRIPES / 2) % 2
    return 1 - torch.floor(points * (CHECKERS * 0.999) + CHECKERS / 2).sum(0) % 2


def ground_weight(pattern: str, x: Tensor, z: Tensor, blur: Tensor) -> Tensor:
    """The share of the ground's first tone at (x, z).

    Args:
        blur: how many cells of the pattern a pixel covers there; where it nears one, the pattern fades to its mean.
    """
    if pattern == "plain":
        return torch.ones_like(x)
    mean = 0.5
    if pattern == "checkered":
        weight = (torch.floor(x / GROUND_CELL) + torch.floor(z / GROUND_CELL)) % 2
    elif pattern == "striped":
        # Diagonal: any movement of a camera shows.
        weight = torch.floor((x + z) / GROUND_CELL) % 2
    else:
        u, v = (torch.remainder(axis, GROUND_CELL) - GROUND_CELL / 2 for axis in (x, z))
        weight = (u.square() + v.square() > DOT_RADIUS**2).to(x.dtype)
        mean = 1 - DOTS_SHARE
    return mean + (weight - mean) * (2 - 3 * blur).clamp(0, 1)
