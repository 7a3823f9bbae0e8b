"""Colours and patterns of the solids and the ground, as functions of the point that a ray hits. Light is linear."""

import torch
from torch import Tensor

from .world import PALETTE

GAMMA = 2.2
SHADE = 0.4
"""Brightness of a pattern's second tone, as a share of the first. It is the same hue, so the colour keeps its name."""

GROUND_CELL = 0.4
DOT_RADIUS = 0.14
DOTS_SHARE = torch.pi * DOT_RADIUS**2 / GROUND_CELL**2
STRIPES = 5
CHECKERS = 3
"""Number of stripes, and of checkers, along the height of a solid."""


def linear(colour: str) -> Tensor:
    """(3,) linear light of a palette colour."""
    return torch.tensor(PALETTE[colour]) ** GAMMA


def second_tone(colour: str) -> Tensor:
    """(3,) linear light of a pattern's second tone: a darker shade of the colour; for black a lighter shade."""
    return torch.full((3,), 0.12) if colour == "black" else SHADE * linear(colour)


def solid_weight(material: str, points: Tensor) -> Tensor:
    """1 where a solid shows its first tone, 0 where its second, at `points` (3, ...) in its unit coordinates."""
    if material == "striped":
        return 1 - torch.floor(points[1] * STRIPES + STRIPES / 2) % 2
    return 1 - torch.floor(points * (CHECKERS * 0.999) + CHECKERS / 2).sum(0) % 2


def ground_weight(pattern: str, x: Tensor, z: Tensor, blur: Tensor) -> Tensor:
    """The share of the ground's first tone at (x, z).

    Args:
        blur: number of pattern cells that a pixel covers there. As it nears 1, the pattern fades to its mean.
    """
    if pattern == "plain":
        return torch.ones_like(x)
    mean = 0.5
    if pattern == "checkered":
        weight = (torch.floor(x / GROUND_CELL) + torch.floor(z / GROUND_CELL)) % 2
    elif pattern == "striped":
        # The stripes are diagonal, so that they show a movement in x and in z.
        weight = torch.floor((x + z) / GROUND_CELL) % 2
    else:
        u, v = (torch.remainder(axis, GROUND_CELL) - GROUND_CELL / 2 for axis in (x, z))
        weight = (u.square() + v.square() > DOT_RADIUS**2).to(x.dtype)
        mean = 1 - DOTS_SHARE
    return mean + (weight - mean) * (2 - 3 * blur).clamp(0, 1)
