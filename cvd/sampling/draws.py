"""Every random draw of a generation, from one seed or pinned by the caller."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch

from ..conditioning.epipolar import Slope
from ..errors import RequestError
from ..request import Pins
from .pairing import anchored_partners, partners_from_permutation
from .state import DrawsState
from .windows import shared_noise

Shape = tuple[int, ...]


class Draws:
    """Noise, pairings and slopes.

    Noise comes from one stream, pairings and slopes from another, both on the CPU. So a setting that changes the number
    of pairings does not change the noise, and neither does the device.

    Args:
        seed: fixes all of them.
        device: where the noise is used.
        pins: draws in place of the seed's.
    """

    def __init__(self, seed: int, device: torch.device, pins: Pins) -> None:
        self._noise, self._choice = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
        self._device, self._pins, self._drawn_pairings = device, pins, 0
        self._pairings = None if pins.pairings is None else iter(pins.pairings)

    def state(self) -> DrawsState:
        """Where the streams stand."""
        return DrawsState(self._noise.get_state(), dict(self._choice.bit_generator.state), self._drawn_pairings)

    def restore(self, state: DrawsState) -> None:
        """Let the streams go on from a state. Pinned pairings that were used are passed over."""
        self._noise.set_state(state.noise)
        self._choice.bit_generator.state = state.choice
        if self._pairings is not None:
            self._pairings = islice(self._pairings, state.pairings - self._drawn_pairings, None)
        self._drawn_pairings = state.pairings

    def initial(self, shape: Shape, window: int) -> torch.Tensor:
        """Initial noise of videos (V, C, F, h, w) that are denoised in windows of `window` frames.

        Raises:
            RequestError: pinned latents of another shape.
        """
        if self._pins.latents is None:
            return shared_noise(self.normal(shape), window, self._noise)
        latents = torch.as_tensor(self._pins.latents, dtype=torch.float32, device=self._device)
        if latents.shape != shape:
            raise RequestError(f"latents have shape {tuple(latents.shape)}, not {shape}.")
        return latents

    def normal(self, shape: Shape) -> torch.Tensor:
        """Standard normal noise."""
        return torch.randn(shape, generator=self._noise).to(self._device)

    def renoise(self, n: int, shape: Shape) -> torch.Tensor:
        """The n-th noise to go back a timestep with."""
        if self._pins.renoise is None:
            return self.normal(shape)
        return torch.as_tensor(self._pins.renoise(n, shape), dtype=torch.float32, device=self._device)

    def partners(self, views: int, anchors: int) -> list[int]:
        """Every view's partner in the next prediction; the first `anchors` views are finished ones.

        Raises:
            RequestError: the pinned pairings are used up, or one is no permutation of the views.
        """
        self._drawn_pairings += 1
        if self._pairings is not None:
            pinned = next(self._pairings, None)
            if pinned is None or len(pinned) != views:
                problem = "too few entries" if pinned is None else f"an entry that is not of {views} views"
                hint = "Give one permutation of range(views) for every prediction of the noise."
                raise RequestError(f"pairings has {problem}.", hint)
            return partners_from_permutation(pinned)
        if anchors:
            return anchored_partners(anchors, views, self._choice)
        return partners_from_permutation(self._choice.permutation(views))

    def slope(self) -> Slope:
        """The pseudo-lines' slope in the next U-Net call."""
        pinned = self._pins.pseudo_slope
        return float(self._choice.random()) if pinned is None else pinned
