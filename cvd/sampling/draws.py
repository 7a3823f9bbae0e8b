"""All random draws of a generation. They come from one seed or from the caller."""

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

    Noise comes from one stream, pairings and slopes come from another. Both are on the CPU. So the noise depends
    neither on the number of pairings nor on the device.

    Args:
        seed: number that determines all draws.
        device: device of the noise.
        pins: draws that replace the seed's.
    """

    def __init__(self, seed: int, device: torch.device, pins: Pins) -> None:
        self._noise, self._choice = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
        self._device, self._pins, self._drawn_pairings = device, pins, 0
        self._pairings = None if pins.pairings is None else iter(pins.pairings)

    def state(self) -> DrawsState:
        """The state of the streams."""
        return DrawsState(self._noise.get_state(), dict(self._choice.bit_generator.state), self._drawn_pairings)

    def restore(self, state: DrawsState) -> None:
        """Continue the streams from a state. Pinned pairings that were used are skipped."""
        self._noise.set_state(state.noise)
        self._choice.bit_generator.state = state.choice
        if self._pairings is not None:
            self._pairings = islice(self._pairings, state.pairings - self._drawn_pairings, None)
        self._drawn_pairings = state.pairings

    def initial(self, shape: Shape, window: int) -> torch.Tensor:
        """Initial noise (V, C, F, h, w) of videos that are denoised in windows of `window` frames.

        Raises:
            RequestError: pinned latents have another shape.
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
        """The n-th noise to go back a timestep."""
        if self._pins.renoise is None:
            return self.normal(shape)
        return torch.as_tensor(self._pins.renoise(n, shape), dtype=torch.float32, device=self._device)

    def partners(self, views: int, anchors: int) -> list[int]:
        """The partner of every view in the next prediction. The first `anchors` views are finished.

        Raises:
            RequestError: no pinned pairing is left, or one is not a permutation of the views.
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
        """The slope of the pseudo-lines in the next U-Net call."""
        pinned = self._pins.pseudo_slope
        return float(self._choice.random()) if pinned is None else pinned
