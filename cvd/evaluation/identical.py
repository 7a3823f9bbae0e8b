"""Identical-trajectory error (CVD, appendix A.4): views with the same cameras must be the same video."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..cameras.cameras import Cameras

SAME_CAMERA = 1e-6
"""Largest difference between cameras that count as the same, relative to the largest entry. The rounding in text files
causes smaller differences."""


@dataclass(frozen=True)
class IdenticalViews:
    """The error of a pair of views with the same cameras.

    Attributes:
        views: the two views.
        mse: mean squared difference of their colours, which are in [0, 1].
    """

    views: tuple[int, int]
    mse: float


def identical_trajectory_errors(videos: NDArray[np.floating], cameras: Cameras) -> list[IdenticalViews]:
    """The error of every pair of views whose cameras are the same in all frames; empty if there is no such pair.

    Args:
        videos: (V, F, H, W, 3) in [0, 1].
        cameras: cameras of the V views.
    """
    return [
        IdenticalViews((a, b), float(np.square(videos[a] - videos[b]).mean()))
        for a, b in combinations(range(cameras.views), 2)
        if all(
            np.allclose(array[a], array[b], rtol=0, atol=SAME_CAMERA * np.abs(array).max())
            for array in (cameras.c2w, cameras.K)
        )
    ]
