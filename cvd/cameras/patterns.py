"""The official release's camera patterns: views that start from one pose and spread out."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from ..errors import RequestError
from .cameras import MOST_FRAMES, Cameras

Pattern = Literal["circle", "upper_hemi", "interpolate"]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)

FOCAL_LENGTH = 223.578 / 256
"""Focal length over image size of the official patterns."""

TARGET = np.array([0.0, 0.0, 1.0])


def pattern_cameras(
    pattern: Pattern, views: int, height: int, width: int, frames: int = 16, camera_dist: float = 0.5
) -> Cameras:
    """Cameras of an official pattern, generalised to any number of views and any size.

    Frame 0 is the identity for every view. The last frame looks from the pattern's point at (0, 0, 1), its x axis kept
    horizontal; the translation between is linear and the rotation spherically linear.

    Args:
        camera_dist: how far the cameras move, in units of the distance to what they look at; 0 or more.

    Raises:
        RequestError: an unknown pattern, no view or frame or too many, or an impossible distance.
    """
    if pattern not in PATTERNS:
        raise RequestError(f'There is no camera pattern "{pattern}".', f"Use one of {', '.join(PATTERNS)}.")
    if views < 1 or frames < 1:
        raise RequestError(f"{views} views of {frames} frames make no video.", "Use at least 1 of each.")
    if views * frames > MOST_FRAMES:
        raise RequestError(f"{views} views of {frames} frames are too many.", "Use at most 128 frames for a video.")
    if not 0 <= camera_dist <= 1e6:
        raise RequestError(f"The camera distance is {camera_dist}.", "Use a number from 0; 0.5 is the official one.")
    ends = [_end_point(pattern, i, views, camera_dist) for i in range(views)]
    c2w = np.stack([path_to(end, look_at(end), frames) for end in ends])
    focal = FOCAL_LENGTH * min(height, width)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Cameras(c2w, K, height, width)


def look_at(origin: NDArray[np.float64], target: NDArray[np.float64] = TARGET) -> NDArray[np.float64]:
    """(3, 3) rotation of a camera at `origin` that looks at `target` with a horizontal x axis (y points down)."""
    z = (target - origin) / np.linalg.norm(target - origin)
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], -1)


def path_to(end: NDArray[np.float64], rotation: NDArray[np.float64], frames: int = 16) -> NDArray[np.float64]:
    """(F, 4, 4) from the identity to a camera at `end` turned by `rotation` (3, 3), evenly in place and angle."""
    share = np.linspace(0, 1, frames)
    ends = Rotation.from_matrix(np.stack([np.eye(3), rotation]))
    c2w = np.tile(np.eye(4), (frames, 1, 1))
    c2w[:, :3, :3] = Slerp([0, 1], ends)(share).as_matrix()
    c2w[:, :3, 3] = share[:, None] * end
    return c2w


def _end_point(pattern: Pattern, index: int, views: int, camera_dist: float) -> NDArray[np.float64]:
    if pattern == "circle":
        u = 2 * np.pi * index / views
        return camera_dist * np.array([np.cos(u), np.sin(u), 0.0])
    u = np.pi * index / max(views - 1, 1)
    if pattern == "upper_hemi":
        return camera_dist * np.array([np.cos(u + np.pi), np.sin(u + np.pi), 0.0])
    return camera_dist * np.array([np.cos(u), 0.3 * np.cos(u + 0.5), -0.2 * np.sin(u)])
