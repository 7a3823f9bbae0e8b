"""Identical-trajectory error (CVD, appendix A.4): views with the same cameras must be the same video."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..cameras.cameras import Cameras

SAME_CAMERA = 1e-6
"""Largest difference, relative to the largest entry, of cameras that count as the same: what a text file rounds off."""


@dataclass(frozen=True)
class IdenticalViews:
    """views: a pair with the same cameras. mse: mean squared difference of their colours in [0, 1]."""

    views: tuple[int, int]
    mse: float


def identical_trajectory_errors(videos: NDArray[np.floating], cameras: Cameras) -> list[IdenticalViews]:
    """The error of every pair of views whose cameras are the same in all frames; none, if there is no such pair.

    Args:
        videos: (V, F, H, W, 3) in [0, 1].
    """
    return [
        IdenticalViews((a, b), float(np.square(videos[a] - videos[b]).mean()))
        for a, b in combinations(range(cameras.views), 2)
        if all(
            np.allclose(array[a], array[b], rtol=0, atol=SAME_CAMERA * np.abs(array).max())
            for array in (cameras.c2w, cameras.K)
        )
    ]
