"""Drivers that keep an object filling a camera's view when lens, sensor, shift or scale of the camera change.

The drivers belong to the object and only read the camera, which may be linked from another file.
"""

from __future__ import annotations

from typing import Literal

import bpy

from ..blender_types import camera_data
from ..cameras.camera_model import view_extent
from ..cameras.export import render_size
from .drivers import new_driver, new_variable

ScaleChannel = Literal["SCALE_X", "SCALE_Y", "SCALE_Z"]


def fill_view(
    obj: bpy.types.Object,
    scene: bpy.types.Scene,
    camera: bpy.types.Object,
    order: int,
    size: tuple[float, float] = (1.0, 1.0),
) -> None:
    """Make an object the camera's child, at right angles to its axis, and let it fill the view exactly.

    It stands at the distance of the frame that the viewport draws, and never before the near clipping plane. Its scale
    is taken out because a render leaves the camera's own scale out too, and the object inherits it.

    Args:
        obj: it lies in its own xy plane, around its origin.
        order: the view's number in the take. Where cameras stand in one place, their objects lie behind each other in
            this order.
        size: width and height by which the object's scale has to be larger than the view's, in its own units.
    """
    obj.parent = camera
    obj.matrix_parent_inverse.identity()
    sensor_fit = camera_data(camera).sensor_fit
    view_x, view_y = view_extent(sensor_fit, render_size(scene))
    extent_x, extent_y = view_x * size[0], view_y * size[1]
    sensor = "sensor_height" if sensor_fit == "VERTICAL" else "sensor_width"
    lens = {"size": "display_size", "lens": "lens", "sensor": sensor, "near": "clip_start"}
    distance = f"max(size * lens / sensor, near * 1.05) * {1.0 + 0.01 * order}"
    width = f"{distance} * sensor / lens"
    _drive(obj, "location", 0, f"{width} * shift / scale", camera, lens | {"shift": "shift_x"}, "SCALE_X")
    _drive(obj, "location", 1, f"{width} * shift / scale", camera, lens | {"shift": "shift_y"}, "SCALE_Y")
    _drive(obj, "location", 2, f"-{distance} / scale", camera, lens, "SCALE_Z")
    _drive(obj, "scale", 0, f"{width} * {extent_x!r} / scale", camera, lens, "SCALE_X")
    _drive(obj, "scale", 1, f"{width} * {extent_y!r} / scale", camera, lens, "SCALE_Y")


def _drive(
    obj: bpy.types.Object,
    path: str,
    index: int,
    expression: str,
    camera: bpy.types.Object,
    properties: dict[str, str],
    scale_channel: ScaleChannel,
) -> None:
    """Drive one channel of the object by properties of the camera's data and by one channel of its world scale."""
    driver = new_driver(obj, path, index)
    for name, data_path in properties.items():
        target = new_variable(driver, name, "SINGLE_PROP")
        target.id_type = "CAMERA"
        target.id = camera.data
        target.data_path = data_path
    target = new_variable(driver, "scale", "TRANSFORMS")
    target.id = camera
    target.transform_type = scale_channel
    target.transform_space = "WORLD_SPACE"
    driver.expression = expression
