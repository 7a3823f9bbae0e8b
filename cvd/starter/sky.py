"""The light of each kind of sky: light of the sun, light of the sky, and the colours of the horizon and the zenith."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .materials import GAMMA

SUN, AMBIENT = 0.70, 0.42
"""Linear light of the clear sky's sun on a surface that faces it, and of the clear sky from all directions."""


@dataclass(frozen=True, eq=False)
class Atmosphere:
    """Linear RGB, each (3,): light of the sun, light of the sky from all directions, colours of horizon and zenith."""

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
    # The light has little colour, so that the solids' colours keep their names.
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
