"""Camera fidelity: do the cameras of a video move as asked? Relative poses recovered from matches, against the asked.

As in the paper's table 1, with SuperGlue's (Sarlin et al., 2020) angles and areas: from frame 0 to frame t of each
video, an essential matrix is estimated from matches, and its rotation and translation direction compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cameras.cameras import Cameras
from .matching import Features, Matcher, Matches, Points

Array = NDArray[np.floating]

AUC_DEGREES = (5.0, 10.0, 20.0)
SMALLEST_BASELINE = 0.1
"""Share of the take's largest camera movement below which a frame is left out: its parallax drowns in noise."""

FEWEST_MATCHES = 8
INLIER_SHARE = 0.005
"""Epipolar distance up to which RANSAC takes a match for an inlier, as a share of the image's larger side."""


@dataclass(frozen=True)
class PoseError:
    """Frame `frame` of a view against its frame 0: angles in degrees, infinite where no pose could be estimated.

    matches: that the pose was estimated from. rotation: of the rotation between estimate and asked pose. translation:
    between the directions of the two translations, at most 90: an essential matrix leaves the sign open.
    """

    view: int
    frame: int
    matches: int
    rotation: float
    translation: float


@dataclass(frozen=True)
class CameraFidelity:
    """The errors, and how many frames were left out for a baseline that is too small.

    Areas under the cumulative error curves at 5, 10 and 20 degrees, in [0, 1]; medians in degrees, infinite where more
    than half of the poses could not be estimated, NaN without any frame.
    """

    errors: list[PoseError]
    skipped: int

    @property
    def failed(self) -> int:
        """Frames for which no pose could be estimated."""
        return sum(math.isinf(error.rotation) for error in self.errors)

    def median(self) -> tuple[float, float]:
        """Median rotation and translation error."""
        rotation, translation = self._columns()
        return _median(rotation), _median(translation)

    def auc(self) -> tuple[list[float], list[float]]:
        """Areas at 5, 10 and 20 degrees, of rotation and of translation errors."""
        rotation, translation = self._columns()
        return error_auc(rotation, AUC_DEGREES), error_auc(translation, AUC_DEGREES)

    def _columns(self) -> tuple[list[float], list[float]]:
        return [error.rotation for error in self.errors], [error.translation for error in self.errors]


def camera_fidelity(
    cameras: Cameras,
    features: Sequence[Sequence[Features]],
    matcher: Matcher,
    smallest_baseline: float = SMALLEST_BASELINE,
) -> CameraFidelity:
    """The pose errors of all frames that moved far enough from their video's frame 0.

    Args:
        cameras: V views of F frames, as asked for.
        features: V lists of F, from `matcher`.
        smallest_baseline: as a share of the take's largest camera movement.
    """
    errors = [
        pose_error(cameras, view, frame, matcher.match(features[view][0], features[view][frame]))
        for view in range(cameras.views)
        for frame in moved_frames(cameras, view, smallest_baseline)
    ]
    return CameraFidelity(errors, skipped=cameras.views * (cameras.frames - 1) - len(errors))


def moved_frames(cameras: Cameras, view: int, smallest_baseline: float) -> list[int]:
    """The frames of a view whose camera is far enough from frame 0's, as a share of the take's largest movement."""
    moved = np.linalg.norm(cameras.c2w[view, :, :3, 3] - cameras.c2w[view, 0, :3, 3], axis=-1)
    return [
        int(frame) for frame in np.flatnonzero((moved >= smallest_baseline * cameras.largest_motion()) & (moved > 0))
    ]


def pose_error(cameras: Cameras, view: int, frame: int, matches: Matches) -> PoseError:
    """The error of the pose that matches between frame 0 and `frame` of a view give."""
    K = cameras.K[view]
    pose = relative_pose(matches.x, matches.y, K[0], K[frame], (cameras.width, cameras.height))
    if pose is None:
        return PoseError(view, frame, len(matches.x), float("inf"), float("inf"))
    asked = np.linalg.inv(cameras.c2w[view, frame]) @ cameras.c2w[view, 0]
    rotation, translation = pose
    return PoseError(
        view,
        frame,
        len(matches.x),
        rotation_angle(rotation, asked[:3, :3]),
        translation_angle(translation, asked[:3, 3]),
    )


def relative_pose(x: Points, y: Points, K_x: Array, K_y: Array, size: tuple[int, int]) -> tuple[Array, Array] | None:
    """Pose of the camera that sees y relative to the one that sees x, by PoseLib's 5-point LO-RANSAC.

    Args:
        x, y: (N, 2) matches, pixels. K_x, K_y: (3, 3). size: width and height of both images.

    Returns:
        Rotation (3, 3) and unit translation (3,) from the first camera's coordinates to the second's; None if there
        are fewer than 8 matches, or none agree.
    """
    if len(x) < FEWEST_MATCHES:
        return None
    # Imported here: it is only needed for this, and an optional package.
    import poselib

    options = {"max_epipolar_error": INLIER_SHARE * max(size), "seed": 0}
    pose, found = poselib.estimate_relative_pose(x, y, _camera(K_x, size), _camera(K_y, size), options, {})
    if found["num_inliers"] < FEWEST_MATCHES or not np.linalg.norm(pose.t) > 0:
        return None
    return pose.R, pose.t / np.linalg.norm(pose.t)


def rotation_angle(a: Array, b: Array) -> float:
    """Angle between two rotations (3, 3), degrees in [0, 180]."""
    return float(np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1))))


def translation_angle(a: Array, b: Array) -> float:
    """Angle between two directions (3,) whose sign is open, degrees in [0, 90]; 90 if one has no length."""
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.degrees(np.arccos(np.clip(np.abs(a @ b) / lengths, 0, 1)))) if lengths > 0 else 90.0


def error_auc(errors: Sequence[float], thresholds: Sequence[float]) -> list[float]:
    """Area under the curve of recall over error, up to each threshold and divided by it, as SuperGlue defines it.

    The recall rises linearly from one error to the next, from 0 at error 0, and stays from the last error below the
    threshold on. Infinite errors count as never recalled.

    Returns:
        One value in [0, 1] for each threshold; NaN without errors.
    """
    if not len(errors):
        return [float("nan")] * len(thresholds)
    ordered = np.concatenate([[0.0], np.sort(errors)])
    recall = np.arange(len(ordered)) / len(errors)
    areas = []
    for threshold in thresholds:
        below = np.searchsorted(ordered, threshold)
        error, share = np.append(ordered[:below], threshold), np.append(recall[:below], recall[below - 1])
        areas.append(float(np.trapezoid(share, error) / threshold))
    return areas


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _camera(K: Array, size: tuple[int, int]) -> dict[str, object]:
    """As PoseLib takes it; its pixels have their origin at the image's corner too."""
    parameters = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
    return {"model": "PINHOLE", "width": size[0], "height": size[1], "params": parameters}
