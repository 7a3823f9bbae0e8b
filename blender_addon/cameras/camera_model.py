"""Blender's perspective camera as arrays: intrinsics, pose, and the rectangle that fills its view.

Plain numbers and numpy only. `export.py` reads the numbers from Blender, and `takes/planes.py` builds the rectangle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..problem import AddonError
from ..protocol.geometry import OPENCV_FROM_OPENGL

Array = NDArray[np.float64]

SHEAR_TOLERANCE = 1e-4
"""Largest cosine between two axes that counts as float32 rounding."""


class CameraRefusedError(AddonError):
    """A camera that the model cannot work with, and what to change about it."""

    code = "camera_refused"


@dataclass(frozen=True)
class RenderSize:
    """The size of a render. `resolution_*` in pixels before `percentage`; the pixel aspect is a ratio of lengths."""

    resolution_x: int
    resolution_y: int
    percentage: int = 100
    pixel_aspect_x: float = 1.0
    pixel_aspect_y: float = 1.0

    @property
    def width(self) -> int:
        """Pixels in a row of the finished render."""
        return self.resolution_x * self.percentage // 100

    @property
    def height(self) -> int:
        """Pixels in a column of the finished render."""
        return self.resolution_y * self.percentage // 100

    @property
    def aspect(self) -> float:
        """Width by height as the picture is looked at, pixel aspect included."""
        return self.width * self.pixel_aspect_x / (self.height * self.pixel_aspect_y)


@dataclass(frozen=True)
class Lens:
    """A perspective lens: focal length and sensor in millimetres, shifts as a fraction of the fitted side."""

    focal_length: float
    sensor_width: float
    sensor_height: float
    sensor_fit: str
    shift_x: float = 0.0
    shift_y: float = 0.0

    @property
    def sensor(self) -> float:
        """The sensor's fitted side. AUTO always measures the sensor's width, whatever side of the image it fits."""
        return self.sensor_height if self.sensor_fit == "VERTICAL" else self.sensor_width


def fitted_side(sensor_fit: str, size: RenderSize) -> float:
    """The image side that the sensor covers, in pixels of the horizontal pixel size."""
    correction = size.pixel_aspect_y / size.pixel_aspect_x
    if sensor_fit == "AUTO":
        sensor_fit = "HORIZONTAL" if size.aspect >= 1 else "VERTICAL"
    return float(size.width) if sensor_fit == "HORIZONTAL" else size.height * correction


def intrinsics(lens: Lens, size: RenderSize) -> Array:
    """K (3, 3) in pixels of the render: origin at the image's upper left corner, pixel centres at +0.5."""
    correction = size.pixel_aspect_y / size.pixel_aspect_x
    side = fitted_side(lens.sensor_fit, size)
    fx = lens.focal_length / lens.sensor * side
    cx = size.width / 2 - lens.shift_x * side
    cy = size.height / 2 + lens.shift_y * side / correction
    return np.array([[fx, 0.0, cx], [0.0, fx / correction, cy], [0.0, 0.0, 1.0]])


def camera_to_world(matrix_world: ArrayLike, name: str) -> Array:
    """c2w (4, 4), OpenCV axes, from a Blender camera's evaluated `matrix_world`; scale is taken out, as in renders.

    name: the camera's, for the message of the CameraRefusedError when the matrix mirrors or shears.
    """
    matrix = np.asarray(matrix_world, np.float64)
    axes = matrix[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    if not np.isfinite(matrix).all() or lengths.min() < 1e-12:
        raise CameraRefusedError(
            f"Camera “{name}” is scaled to nothing.", "Set its scale, and its parents', to something other than zero."
        )
    rotation = axes / lengths
    cosines = (rotation.T @ rotation)[np.triu_indices(3, 1)]
    if np.abs(cosines).max() > SHEAR_TOLERANCE:
        raise CameraRefusedError(
            f"Camera “{name}” is sheared by its parents.",
            "Apply the scale of its parents (Object > Apply > Scale), or make their scale the same on all axes.",
        )
    if np.linalg.det(rotation) < 0:
        raise CameraRefusedError(
            f"Camera “{name}” is mirrored.", "Remove the negative scale from the camera or from its parents."
        )
    c2w = np.eye(4)
    c2w[:3, :3], c2w[:3, 3] = rotation, matrix[:3, 3]
    return c2w @ OPENCV_FROM_OPENGL


def view_extent(sensor_fit: str, size: RenderSize) -> tuple[float, float]:
    """Width and height of the view at a distance of one, for a lens as long as its sensor's fitted side.

    At distance d a camera sees d * sensor / focal_length times this.
    """
    side = fitted_side(sensor_fit, size)
    return size.width / side, size.height * size.pixel_aspect_y / size.pixel_aspect_x / side
