"""How far away is what cameras film? The numbers behind the rays that `rays.py` sends into the scene.

Numpy only. What artists film is near the image's centre, so rays are dense there: half of them lie within a quarter of
the way to the border. Skies and horizons are far, and often not hit at all. So the result is a median of medians, and
never a mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..protocol.geometry import Array, frame_indices

RAYS = 32
"""Rays of one camera in one frame. Blender tries every object for every ray: of 2000 boxes, one ray takes 1 ms."""

REACH = 0.7
"""How far from the centre the rays go, 1 being the image's border."""

CROWDING = 1.5
"""Power of the distance from the centre: 0.5 spreads rays evenly, more crowds them at the centre."""

MOST_FRAMES = 3
MOST_POSES = 24
"""Frames in which a camera is asked, and how often all cameras are asked together."""

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def measured_frames(views: int, frames: int) -> set[int]:
    """Which of the sampled frames rays are sent in, the first and the last among them. views, frames: 1 or more."""
    count = int(np.clip(MOST_POSES // views, 1, MOST_FRAMES))
    return set(frame_indices(frames, min(count, frames)).tolist())


def ray_directions(c2w: Array, K: Array, size: tuple[int, int]) -> Array:
    """(RAYS, 3) directions of a camera's rays in the world. They are as long as a depth of one.

    c2w: (4, 4), OpenCV axes. K: (3, 3) in pixels of `size`, (height, width).
    """
    number = np.arange(RAYS)
    radius = REACH * (number / (RAYS - 1)) ** CROWDING
    angle = number * GOLDEN_ANGLE
    x, y = (1 + radius * np.cos(angle)) / 2 * size[1], (1 + radius * np.sin(angle)) / 2 * size[0]
    pixels = np.stack([x, y, np.ones(RAYS)], -1)
    return pixels @ np.linalg.inv(K).T @ c2w[:3, :3].T


def seen_distance(depths: Sequence[Array]) -> float | None:
    """The distance to what cameras see: None where they see nothing.

    The median of what a camera sees in a frame (of two, the nearer one), and then the median over cameras and frames.
    One that sees more counts more: of a camera that looks past everything at the sky, a single ray may hit a hill.

    depths: for each camera and frame, (N,) depths along the optical axis of what was hit; NaN for rays without a hit.
    """
    found = [np.sort(row[np.isfinite(row)]) for row in depths]
    found = [row for row in found if len(row)]
    if not found:
        return None
    medians = np.array([row[(len(row) - 1) // 2] for row in found])
    return _weighted_median(medians, np.array([len(row) for row in found]))


def _weighted_median(values: Array, weights: NDArray[np.intp]) -> float:
    """The value that half of the weight lies on either side of; the mean of two where any between them would do."""
    order = np.argsort(values)
    values, passed = values[order], np.cumsum(weights[order])
    middle = int(np.argmax(2 * passed >= passed[-1]))
    if 2 * passed[middle] == passed[-1]:
        return float(values[middle : middle + 2].mean())
    return float(values[middle])
