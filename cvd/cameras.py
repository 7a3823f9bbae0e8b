"""Camera trajectories of several views: extrinsics and intrinsics as plain arrays, validated once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import CameraError, RequestError

Array = NDArray[np.float64]

ROTATION_TOLERANCE = 1e-3
"""Largest deviation of R^T R from the identity that is taken for rounding (text files carry about six digits)."""


@dataclass(frozen=True, eq=False)
class Cameras:
    """V pinhole cameras over F frames.

    Args:
        c2w: (V, F, 4, 4) camera-to-world, OpenCV axes (x right, y down, z forward), scene units, float64.
        K: (V, F, 3, 3) intrinsics in pixels of the `width` x `height` image, origin at the image's corner, so that the
            centre of the first pixel lies at (0.5, 0.5). A shape that broadcasts to it will do.
        height, width: image size in pixels.

    Raises:
        CameraError: wrong shape, not finite, not a rotation, or focal lengths that are not positive.
        RequestError: a size that is not a positive multiple of 8.
    """

    c2w: Array
    K: Array
    height: int
    width: int

    def __init__(self, c2w: ArrayLike, K: ArrayLike, height: int, width: int) -> None:
        c2w, K = np.array(c2w, np.float64), np.array(K, np.float64)
        _check_size(height, width)
        _check_extrinsics(c2w)
        try:
            K = np.broadcast_to(K, (*c2w.shape[:2], 3, 3)).copy()
        except ValueError:
            raise CameraError(
                f"K has shape {K.shape}, but {c2w.shape[0]} views of {c2w.shape[1]} frames need (V, F, 3, 3)."
            ) from None
        _check_intrinsics(K)
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
        """The same cameras for an image of another size: what they see stays, pixels are stretched if need be."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return Cameras(self.c2w, scale @ self.K, height, width)

    def resampled(self, frames: int) -> Cameras:
        """The same trajectories at `frames` evenly spread frames, each the nearest of the given ones.

        Raises:
            RequestError: no frame asked for.
        """
        picked = frame_indices(self.frames, frames)
        return Cameras(self.c2w[:, picked], self.K[:, picked], self.height, self.width)

    def window(self, start: int, length: int) -> Cameras:
        """The frames from `start` on, `length` of them."""
        frames = slice(start, start + length)
        return Cameras(self.c2w[:, frames], self.K[:, frames], self.height, self.width)

    def largest_motion(self) -> float:
        """The largest distance of a camera from where its view starts, in scene units."""
        return float(np.linalg.norm(self.c2w[..., :3, 3] - self.c2w[:, :1, :3, 3], axis=-1).max())

    def scaled(self, factor: float) -> Cameras:
        """The same trajectories in other units: distances times `factor`."""
        c2w = self.c2w.copy()
        c2w[..., :3, 3] *= factor
        return Cameras(c2w, self.K, self.height, self.width)

    def relative_to_first_frame(self) -> Array:
        """(V, F, 4, 4): every view's poses in the coordinates of its own first frame, as CameraCtrl is trained."""
        return np.linalg.inv(self.c2w[:, :1]) @ self.c2w


def frame_indices(available: int, frames: int) -> NDArray[np.intp]:
    """(frames,) evenly spread indices into `available` frames, both ends included.

    Raises:
        RequestError: no frame asked for.
    """
    if frames < 1:
        raise RequestError(f"{frames} frames make no video.", "Use at least 1.")
    return np.linspace(0, available - 1, frames).round().astype(np.intp)


def _check_size(height: int, width: int) -> None:
    for name, value in (("height", height), ("width", width)):
        if value < 8 or value % 8:
            nearest = max(8, round(value / 8) * 8)
            raise RequestError(f"The {name} is {value} pixels, not a multiple of 8.", f"Use {nearest}, for instance.")


def _check_extrinsics(c2w: Array) -> None:
    if c2w.ndim != 4 or c2w.shape[2:] != (4, 4) or 0 in c2w.shape:
        raise CameraError(f"c2w has shape {c2w.shape}; it must be (V, F, 4, 4) with at least one view and one frame.")
    if not np.isfinite(c2w).all():
        view, frame = np.argwhere(~np.isfinite(c2w))[0, :2]
        raise CameraError(f"The pose of view {view} in frame {frame} is not finite.")
    rotation = c2w[..., :3, :3]
    deviation = np.abs(np.swapaxes(rotation, -1, -2) @ rotation - np.eye(3)).max((-1, -2))
    if (deviation > ROTATION_TOLERANCE).any():
        view, frame = np.argwhere(deviation > ROTATION_TOLERANCE)[0]
        raise CameraError(
            f"The pose of view {view} in frame {frame} is not rigid (R^T R is off by {deviation[view, frame]:.2g}).",
            "Remove scale and shear from the camera and its parents.",
        )
    mirrored = np.linalg.det(rotation) < 0
    if mirrored.any():
        view, frame = np.argwhere(mirrored)[0]
        raise CameraError(
            f"The pose of view {view} in frame {frame} is mirrored.", "Remove the negative scale of its parents."
        )
    if np.abs(c2w[..., 3, :] - [0, 0, 0, 1]).max() > 1e-6:
        raise CameraError("The last row of a c2w matrix is not (0, 0, 0, 1).", "Check for transposed matrices.")


def _check_intrinsics(K: Array) -> None:
    if not np.isfinite(K).all():
        view, frame = np.argwhere(~np.isfinite(K))[0, :2]
        raise CameraError(f"The intrinsics of view {view} in frame {frame} are not finite.")
    if (K[..., 0, 0] <= 0).any() or (K[..., 1, 1] <= 0).any():
        raise CameraError("A focal length is not positive.", "K is [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels.")
    if np.abs(K[..., 2, :] - [0, 0, 1]).max() > 1e-6:
        raise CameraError("The last row of a K matrix is not (0, 0, 1).", "Check for transposed matrices.")
