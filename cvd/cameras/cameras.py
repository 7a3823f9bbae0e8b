"""Camera trajectories of several views: extrinsics and intrinsics as plain arrays that are checked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protocol.geometry import (
    cropped_intrinsics,
    frame_indices,
    interpolated,
    interpolated_poses,
    resized_intrinsics,
    sample_times,
)

from ..errors import CameraError, RequestError

Array = NDArray[np.float64]

ROTATION_TOLERANCE = 1e-3
"""Largest deviation of R^T R from the identity that counts as rounding. Text files have about six digits."""

LARGEST_NUMBER = 1e9
"""Largest coordinate, focal length or principal point. No picture can show larger ones, so they are mistakes."""

SMALLEST_FOCAL = 1e-3
"""Smallest focal length, in pixels."""

MOST_FRAMES = 100_000
"""Most frames of all views. More are probably a typing mistake, and would fill the memory."""

Where = Callable[[int, int], str]
"""Function that names the camera of a view and frame in an error: "of view 0 in frame 3"."""


@dataclass(frozen=True, eq=False)
class Cameras:
    """V pinhole cameras over F frames.

    Args:
        c2w: camera-to-world matrices (V, F, 4, 4), OpenCV axes (x right, y down, z forward), scene units, float64.
        K: intrinsics (V, F, 3, 3), or a shape that broadcasts to it, in pixels of the `width` x `height` image. The
            origin is the image's corner, so the centre of the first pixel is at (0.5, 0.5). Camera files cannot store
            skew, so there is none.
        height, width: image size in pixels.

    Raises:
        CameraError: wrong shape, not finite, not a rotation, beyond 1e9, focal lengths that are not positive, or skew.
        RequestError: a size that is not a positive multiple of 8.
    """

    c2w: Array
    K: Array
    height: int
    width: int

    def __init__(self, c2w: ArrayLike, K: ArrayLike, height: int, width: int) -> None:
        try:
            c2w, K = np.array(c2w, np.float64), np.array(K, np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise CameraError(f"c2w or K is not an array of numbers: {error}.") from None
        _check_size(height, width)
        check_extrinsics(c2w)
        try:
            K = np.broadcast_to(K, (*c2w.shape[:2], 3, 3)).copy()
        except ValueError:
            raise CameraError(
                f"K has shape {K.shape}, but {c2w.shape[0]} views of {c2w.shape[1]} frames need (V, F, 3, 3)."
            ) from None
        check_intrinsics(K)
        for array in (c2w, K):
            array.setflags(write=False)
        for name, value in (("c2w", c2w), ("K", K), ("height", int(height)), ("width", int(width))):
            object.__setattr__(self, name, value)

    @property
    def views(self) -> int:
        """V, the number of views."""
        return self.c2w.shape[0]

    @property
    def frames(self) -> int:
        """F, the number of frames."""
        return self.c2w.shape[1]

    def resized(self, height: int, width: int) -> Cameras:
        """The same cameras for a stretched image of another size. They see the same as before."""
        K = resized_intrinsics(self.K, (self.height, self.width), (height, width))
        return Cameras(self.c2w, K, height, width)

    def cropped(self, height: int, width: int) -> Cameras:
        """The same cameras for an image that is cropped to another size. Pixels keep their shape.

        See `protocol.geometry.cropped_intrinsics`.
        """
        K = cropped_intrinsics(self.K, (self.height, self.width), (height, width))
        return Cameras(self.c2w, K, height, width)

    def resampled(self, frames: int) -> Cameras:
        """The same trajectories at `frames` evenly spread frames, both ends included.

        If there are as many frames or more, the nearest ones are picked, as in the official code. If there are fewer,
        frames are interpolated: rotations spherically, centres and intrinsics linearly. A single frame is repeated.

        Raises:
            RequestError: `frames` is below 1, or all views have more than `MOST_FRAMES`.
        """
        if frames * self.views > MOST_FRAMES:
            raise RequestError(f"{frames} frames are too many.", "Use at most 128 for a video.")
        if frames < 1:
            raise RequestError(f"{frames} frames make no video.", "Use at least 1.")
        if frames <= self.frames or self.frames == 1:
            picked = frame_indices(self.frames, frames)
            return Cameras(self.c2w[:, picked], self.K[:, picked], self.height, self.width)
        at = sample_times(0, self.frames - 1, frames)
        return Cameras(interpolated_poses(self.c2w, at), interpolated(self.K, at), self.height, self.width)

    def window(self, start: int, length: int) -> Cameras:
        """The cameras of `length` frames from `start` on."""
        frames = slice(start, start + length)
        return Cameras(self.c2w[:, frames], self.K[:, frames], self.height, self.width)

    def largest_motion(self) -> float:
        """The largest distance of a camera from its view's first camera, in scene units."""
        return float(np.linalg.norm(self.c2w[..., :3, 3] - self.c2w[:, :1, :3, 3], axis=-1).max())

    def scaled(self, factor: float) -> Cameras:
        """The same trajectories in other units: distances times `factor`."""
        c2w = self.c2w.copy()
        c2w[..., :3, 3] *= factor
        return Cameras(c2w, self.K, self.height, self.width)

    def relative_to_first_frame(self) -> Array:
        """(V, F, 4, 4): every view's poses in the coordinates of its own first frame, as in CameraCtrl's training."""
        return np.linalg.inv(self.c2w[:, :1]) @ self.c2w


def _check_size(height: int, width: int) -> None:
    for name, value in (("height", height), ("width", width)):
        if not isinstance(value, int | np.integer) or value < 8 or value % 8:
            nearest = max(8, round(value / 8) * 8) if isinstance(value, int | np.integer) else 256
            raise RequestError(f"The {name} is {value} pixels, not a multiple of 8.", f"Use {nearest}, for instance.")


def _of_view(view: int, frame: int) -> str:
    return f"of view {view} in frame {frame}"


def check_extrinsics(c2w: Array, where: Where = _of_view) -> None:
    """Raises CameraError unless c2w is (V, F, 4, 4) and rigid. The error names the first wrong camera."""
    if c2w.ndim != 4 or c2w.shape[2:] != (4, 4) or 0 in c2w.shape:
        raise CameraError(f"c2w has shape {c2w.shape}; it must be (V, F, 4, 4) with at least one view and one frame.")

    def refuse(fault: ArrayLike, what: Callable[[int, int], str], hint: str = "") -> None:
        if np.any(fault):
            view, frame = map(int, np.argwhere(fault)[0])
            raise CameraError(f"The pose {where(view, frame)} {what(view, frame)}.", hint)

    refuse(~np.isfinite(c2w).all((-1, -2)), lambda *_: "is not finite")
    refuse(
        (np.abs(c2w) > LARGEST_NUMBER).any((-1, -2)),
        lambda *_: "has numbers beyond 1e9",
        "Check the units of the scene.",
    )
    refuse(
        (np.abs(c2w[..., 3, :] - [0, 0, 0, 1]) > 1e-6).any(-1),
        lambda *_: "has a last row that is not (0, 0, 0, 1)",
        "Check for transposed matrices.",
    )
    rotation = c2w[..., :3, :3]
    deviation = np.abs(np.swapaxes(rotation, -1, -2) @ rotation - np.eye(3)).max((-1, -2))
    refuse(
        deviation > ROTATION_TOLERANCE,
        lambda view, frame: f"is not rigid (R^T R is off by {deviation[view, frame]:.2g})",
        "Remove scale and shear from the camera and its parents.",
    )
    refuse(np.linalg.det(rotation) < 0, lambda *_: "is mirrored", "Remove the negative scale of its parents.")


def check_intrinsics(K: Array, where: Where = _of_view) -> None:
    """Raises CameraError unless K (V, F, 3, 3) are pinhole cameras. The error names the first wrong camera."""

    def refuse(fault: ArrayLike, what: str, hint: str = "") -> None:
        if np.any(fault):
            view, frame = map(int, np.argwhere(fault)[0])
            raise CameraError(f"The K {where(view, frame)} {what}.", hint)

    layout = "K is [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels."
    focal = K[..., [0, 1], [0, 1]]
    refuse(~np.isfinite(K).all((-1, -2)), "is not finite", layout)
    refuse((np.abs(K[..., 2, :] - [0, 0, 1]) > 1e-6).any(-1), "has a last row that is not (0, 0, 1)", layout)
    refuse((focal < SMALLEST_FOCAL).any(-1), "has a focal length that is not positive", layout)
    refuse((np.abs(K) > LARGEST_NUMBER).any((-1, -2)), "has numbers beyond 1e9", layout)
    skewed = np.abs(K[..., [0, 1], [1, 0]]).max(-1) > 1e-9 * focal.max(-1)
    refuse(skewed, "has skew, which no camera file has room for", "Make the pixels rectangular first.")
