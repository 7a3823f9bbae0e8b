"""The official release's camera patterns: views that start from one pose and spread out."""

from __future__ import annotations

from protocol.geometry import PATTERNS, Pattern, pattern_intrinsics, pattern_poses

from ..errors import RequestError
from .cameras import MOST_FRAMES, Cameras


def pattern_cameras(
    pattern: Pattern, views: int, height: int, width: int, frames: int = 16, camera_dist: float = 0.5
) -> Cameras:
    """Returns the cameras of an official pattern, for any number of views and any size.

    They have the poses of `protocol.geometry.pattern_poses` and the lens of `pattern_intrinsics`.

    Args:
        pattern: name from `protocol.geometry.PATTERNS`.
        views, frames: numbers of views and frames, 1 or more.
        height, width: size of the images in pixels, multiples of 8.
        camera_dist: distance that the cameras move, in target distances, from 0 to 1e6.

    Raises:
        RequestError: an unknown pattern, too few or too many views or frames, or a wrong distance or size.
    """
    if pattern not in PATTERNS:
        raise RequestError(f'There is no camera pattern "{pattern}".', f"Use one of {', '.join(PATTERNS)}.")
    if views < 1 or frames < 1:
        raise RequestError(f"{views} views of {frames} frames make no video.", "Use at least 1 of each.")
    if views * frames > MOST_FRAMES:
        raise RequestError(f"{views} views of {frames} frames are too many.", "Use at most 128 frames for a video.")
    if not 0 <= camera_dist <= 1e6:
        raise RequestError(f"The camera distance is {camera_dist}.", "Use a number from 0; 0.5 is the official one.")
    c2w = pattern_poses(pattern, views, frames, camera_dist)
    return Cameras(c2w, pattern_intrinsics((height, width)), height, width)
