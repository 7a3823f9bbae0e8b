"""Camera fidelity: do the cameras of a video move as asked? Compares poses found from matches with the asked poses.

As in the paper's table 1, an essential matrix is estimated from matches between frame 0 and frame t of each video. Its
rotation and translation direction are compared with the asked ones. Angles and areas are SuperGlue's (Sarlin et al.,
2020).
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
"""Smallest camera movement of a measured frame, as a share of the take's largest. With less movement, the noise of the
matches is larger than the parallax."""

FEWEST_MATCHES = 8
INLIER_SHARE = 0.005
"""Largest epipolar distance of an inlier in RANSAC, as a share of the image's larger side."""


@dataclass(frozen=True)
class PoseError:
    """The error of the estimated pose of one frame relative to frame 0 of the same view.

    Attributes:
        view, frame: indices from 0.
        matches: number of matches that the pose was estimated from.
        rotation: angle between the estimated and the asked rotation, in degrees; infinite: no pose could be estimated.
        translation: angle between the directions of the two translations, in degrees; infinite: no pose could be
            estimated. It is at most 90, because an essential matrix does not give the sign.
    """

    view: int
    frame: int
    matches: int
    rotation: float
    translation: float


@dataclass(frozen=True)
class CameraFidelity:
    """The pose errors of a take.

    Attributes:
        errors: one error for each measured frame.
        skipped: number of frames that were left out, because their baseline is too small.
    """

    errors: list[PoseError]
    skipped: int

    @property
    def failed(self) -> int:
        """Frames for which no pose could be estimated."""
        return sum(math.isinf(error.rotation) for error in self.errors)

    def median(self) -> tuple[float, float]:
        """Median rotation and translation error, in degrees.

        Infinite if more than half of the poses could not be estimated; NaN without any frame.
        """
        rotation, translation = self._columns()
        return _median(rotation), _median(translation)

    def auc(self) -> tuple[list[float], list[float]]:
        """Areas under the cumulative curves of rotation and translation errors, at 5, 10 and 20 degrees, in [0, 1]."""
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
    """The pose errors of all frames whose camera is far enough from frame 0's.

    Args:
        cameras: asked cameras, V views of F frames.
        features: V lists of F features each, from `matcher`.
        matcher: matcher that finds the matches.
        smallest_baseline: smallest distance from frame 0, as a share of the take's largest camera movement.
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
    """The error of the pose that is estimated from matches between frame 0 and `frame` of a view."""
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
    """Pose of the camera that sees y relative to the camera that sees x, by PoseLib's 5-point LO-RANSAC.

    Args:
        x, y: (N, 2) matches in pixels.
        K_x, K_y: (3, 3) camera matrices.
        size: width and height of both images.

    Returns:
        Rotation (3, 3) and unit translation (3,) from the first camera's coordinates to the second's; None: there are
        fewer than 8 matches or inliers.
    """
    if len(x) < FEWEST_MATCHES:
        return None
    # Imported here, because it is an optional package and no other function needs it.
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
    """Angle between two directions (3,) without sign, degrees in [0, 90]; 90 if one of them has no length."""
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.degrees(np.arccos(np.clip(np.abs(a @ b) / lengths, 0, 1)))) if lengths > 0 else 90.0


def error_auc(errors: Sequence[float], thresholds: Sequence[float]) -> list[float]:
    """Area under the curve of recall over error up to each threshold, divided by the threshold (SuperGlue).

    The recall is 0 at error 0, rises linearly from one error to the next, and is constant from the last error below the
    threshold. An infinite error is never recalled.

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
    """The camera in PoseLib's form. PoseLib's pixels have their origin at the image's corner, too."""
    parameters = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
    return {"model": "PINHOLE", "width": size[0], "height": size[1], "params": parameters}
