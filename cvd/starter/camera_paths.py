"""Camera paths for training: the official patterns with random angles and distances, and common camera moves.

Poses are camera-to-world with OpenCV axes, relative to frame 0. Frame 0 is the identity on every path. A zoom is the
focal length divided by the world's focal length. It is 1 in frame 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from protocol.geometry import PATTERN_TARGET, Pattern, look_at, path_to, pattern_points

from .world import ground_from_camera, intrinsics

LOWEST = 0.5  # largest y (down) of a camera that stays above the ground
FARTHEST = 0.6  # largest distance of the official patterns' end points
MOST_ZOOM = 1.7
UP = ground_from_camera()[1, :3]  # the world's up direction, in the axes of the frame-0 camera
DRIFT_POINTS = 4

IDENTICAL_SHARE = 0.28
"""Share of the pairs whose two views have the same path. Both views of such a pair are the same video, which is the
easiest case of synchronisation. The paper tests such pairs, too (appendix A.4)."""


@dataclass(frozen=True, eq=False)
class CameraPath:
    """Poses and zooms of one view or several views.

    Attributes:
        c2w: (..., F, 4, 4) camera-to-world poses.
        zoom: (..., F) focal lengths divided by the world's focal length.
    """

    c2w: np.ndarray
    zoom: np.ndarray

    def K(self, width: int, height: int) -> np.ndarray:
        """(..., F, 3, 3) camera matrices in pixels."""
        K = np.tile(intrinsics(width, height), (*self.zoom.shape, 1, 1))
        K[..., :2, :2] *= self.zoom[..., None, None]
        return K


def sample_path(rng: np.random.Generator, frames: int = 16) -> CameraPath:
    """Draw one path: half of all paths are official patterns, the others are the other kinds of `KINDS`."""
    kinds = list(KINDS)
    return KINDS[kinds[rng.choice(len(kinds), p=SHARES)]](rng, frames)


def sample_pair(rng: np.random.Generator, frames: int = 16) -> CameraPath:
    """Draw two paths (2, F, ...) that share frame 0. More than a quarter of the pairs are the same path twice."""
    first = sample_path(rng, frames)
    second = first if rng.random() < IDENTICAL_SHARE else sample_path(rng, frames)
    return CameraPath(np.stack([first.c2w, second.c2w]), np.stack([first.zoom, second.zoom]))


def _circle(rng: np.random.Generator, frames: int) -> CameraPath:
    return _official("circle", rng, frames)


def _interpolate(rng: np.random.Generator, frames: int) -> CameraPath:
    return _official("interpolate", rng, frames)


def _official(pattern: Pattern, rng: np.random.Generator, frames: int) -> CameraPath:
    angle, distance = rng.uniform(0, 2 * np.pi), FARTHEST * np.sqrt(rng.random())
    end = distance * pattern_points(pattern, angle)
    end[1] = min(end[1], LOWEST)
    return _one_lens(path_to(end, look_at(end), frames))


def _drift(rng: np.random.Generator, frames: int) -> CameraPath:
    """A hand-held camera: a smooth curve through a few points, mostly in one direction."""
    knots = np.linspace(0, 1, DRIFT_POINTS)
    heading = rng.uniform(-1, 1, 6) * (0.35, 0.12, 0.3, 0.12, 0.25, 0.05)
    swerves = rng.uniform(-1, 1, (DRIFT_POINTS, 6)) * (0.08, 0.04, 0.08, 0.05, 0.08, 0.02)
    points = knots[:, None] * heading + swerves - swerves[0]
    moves = CubicSpline(knots, points)(np.linspace(0, 1, frames))
    return _one_lens(_poses(moves[:, :3], moves[:, 3:]))


def _orbit(rng: np.random.Generator, frames: int) -> CameraPath:
    """A level circle around the look-at point."""
    turns = Rotation.from_rotvec(_ease(rng, frames)[:, None] * rng.uniform(-0.6, 0.6) * UP)
    return _one_lens(_poses(PATTERN_TARGET - turns.apply(PATTERN_TARGET), turns.as_rotvec()))


def _dolly(rng: np.random.Generator, frames: int) -> CameraPath:
    return _one_lens(_dolly_poses(rng, frames))


def _truck(rng: np.random.Generator, frames: int) -> CameraPath:
    """A straight move to the side, or up or down."""
    direction = (1.0, 0.0, 0.0) if rng.random() < 0.75 else (0.0, 0.6, 0.0)
    positions = _ease(rng, frames)[:, None] * rng.uniform(-0.45, 0.45) * np.array(direction)
    return _one_lens(_poses(positions, np.zeros((frames, 3))))


def _pan(rng: np.random.Generator, frames: int) -> CameraPath:
    rotvec = rng.uniform(-1, 1, 3) * (0.12, 0.3, 0.0)
    return _one_lens(_poses(np.zeros((frames, 3)), _ease(rng, frames)[:, None] * rotvec))


def _static(rng: np.random.Generator, frames: int) -> CameraPath:
    return _one_lens(np.tile(np.eye(4), (frames, 1, 1)))


def _zoom(rng: np.random.Generator, frames: int) -> CameraPath:
    """A zoom in or out, alone or together with a dolly."""
    log_zoom = rng.choice([-1, 1]) * rng.uniform(0.3, 1.0) * np.log(MOST_ZOOM)
    c2w = _dolly_poses(rng, frames) if rng.random() < 0.4 else np.tile(np.eye(4), (frames, 1, 1))
    return CameraPath(c2w, np.exp(_ease(rng, frames) * log_zoom))


KINDS: dict[str, Callable[[np.random.Generator, int], CameraPath]] = {
    "circle": _circle,
    "interpolate": _interpolate,
    "drift": _drift,
    "orbit": _orbit,
    "dolly": _dolly,
    "truck": _truck,
    "pan": _pan,
    "zoom": _zoom,
    "static": _static,
}
SHARES = (0.36, 0.14, 0.14, 0.09, 0.06, 0.06, 0.05, 0.07, 0.03)


def _dolly_poses(rng: np.random.Generator, frames: int) -> np.ndarray:
    depth = _ease(rng, frames) * rng.uniform(-0.5, 0.3)
    return _poses(depth[:, None] * np.array([0.0, 0.0, 1.0]), np.zeros((frames, 3)))


def _ease(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(F,) shares from 0 to 1, at a constant speed or with a slow start and a slow end."""
    share = np.linspace(0, 1, frames)
    return share if rng.random() < 0.5 else share**2 * (3 - 2 * share)


def _poses(positions: np.ndarray, rotvecs: np.ndarray) -> np.ndarray:
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = Rotation.from_rotvec(rotvecs).as_matrix(), positions
    return poses


def _one_lens(c2w: np.ndarray) -> CameraPath:
    return CameraPath(c2w, np.ones(len(c2w)))
