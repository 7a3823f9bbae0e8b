"""The light of each kind of sky: the sun's and the sky's share, and the colours from the horizon to the zenith."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .materials import GAMMA

SUN, AMBIENT = 0.70, 0.42
"""Linear light of the clear sky's sun, on a surface that faces it, and of that sky from all around."""


@dataclass(frozen=True, eq=False)
class Atmosphere:
    """Linear RGB (3,) each: light of the sun, light of the sky from all around, and the sky's colours."""

    sun: Tensor
    ambient: Tensor
    horizon: Tensor
    zenith: Tensor


def _srgb(*colour: float) -> Tensor:
    return torch.tensor(colour) ** GAMMA


ATMOSPHERES = {
    "clear": Atmosphere(
        sun=torch.full((3,), SUN),
        ambient=torch.full((3,), AMBIENT),
        horizon=_srgb(0.80, 0.88, 0.95),
        zenith=_srgb(0.35, 0.58, 0.90),
    ),
    # The tint of the light is mild: the colours keep their names.
    "sunset": Atmosphere(
        sun=torch.tensor([0.84, 0.70, 0.56]),
        ambient=torch.tensor([0.42, 0.38, 0.39]),
        horizon=_srgb(0.99, 0.74, 0.52),
        zenith=_srgb(0.48, 0.34, 0.58),
    ),
    "overcast": Atmosphere(
        sun=torch.full((3,), 0.16),
        ambient=torch.full((3,), 0.66),
        horizon=_srgb(0.80, 0.81, 0.83),
        zenith=_srgb(0.58, 0.60, 0.64),
    ),
}
