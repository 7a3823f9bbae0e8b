"""The attention bias between a clip and its warped copy: pseudo-lines through the pixel that a homography gives."""

from __future__ import annotations

import numpy as np
import torch

from ..conditioning.epipolar import Slope, WithoutBaseline, bias_without_baseline, pixel_grid

TO_CORNER = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
"""From `pixel_grid`'s coordinates (first pixel at 0) to coordinates with the origin at the image's corner."""


class HomographyBias:
    """The counterpart of `EpipolarBias` for pairs of videos that are related by homographies (CVD, section 4.3).

    Args:
        homographies: (S, F, 3, 3) from the pixels of view 0 to those of view 1, in S scenes, origin at the corner.
        height, width: size of the images in pixels.
        device: device of the bias.
        without_baseline: what pixels attend to: a pseudo-line, or the point that the homography gives.
    """

    def __init__(
        self,
        homographies: np.ndarray,
        height: int,
        width: int,
        device: torch.device | str,
        without_baseline: WithoutBaseline = "line",
    ) -> None:
        self.height, self.width, self.device, self.without_baseline = height, width, device, without_baseline
        forward = np.linalg.inv(TO_CORNER) @ homographies.reshape(-1, 3, 3) @ TO_CORNER
        self._homographies = forward, np.linalg.inv(forward)
        self._kept: dict[tuple[int, int, int, Slope], torch.Tensor] = {}

    def pair(
        self,
        query: int,
        key: int,
        rows: int,
        columns: int,
        slope: Slope,
        in_use: frozenset[tuple[int, int]] = frozenset(),
    ) -> torch.Tensor:
        """Bias (S * F, L, L) between the pixels of view `query` and those of the other on a map of rows x columns.

        in_use: not needed, since all biases of two views are kept.
        """
        if {query, key} != {0, 1}:
            raise ValueError(f"View {query} has no homography to view {key}.")
        name = (query, rows, columns, slope)
        if name not in self._kept:
            pixels = pixel_grid(self.height, self.width, rows, columns)
            self._kept[name] = bias_without_baseline(
                pixels,
                self._homographies[query],
                slope,
                self.without_baseline,
                self.height,
                self.width,
                self.device,
            )
        return self._kept[name]
