"""A plane that fills a camera's view and shows its frames, in the viewport and in renders.

It is the camera's child and sits where the viewport draws the camera's frame. Drivers keep it filling the view when
lens, sensor, shift or scale of the camera change or are animated.
"""

from __future__ import annotations

from typing import Any, Literal

import bpy

from ..blender_types import camera_data
from ..cameras.camera_model import view_extent
from ..cameras.export import render_size
from .drivers import new_driver
from .sequences import retime

VIEW_KEY = "collaborative_view"
"""Custom property of a camera that has a plane: a number of its own in this file. Planes know their camera by it."""

ScaleChannel = Literal["SCALE_X", "SCALE_Y", "SCALE_Z"]
CORNERS = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))


def make_plane(
    scene: bpy.types.Scene, camera: bpy.types.Object, image: bpy.types.Image, shown_frame: str, order: int, name: str
) -> bpy.types.Object:
    """Make the plane of one view; the caller links it into a collection.

    shown_frame: expression of `driver_expression`. order: the view's number in the take. Where cameras stand in one
    place, their planes lie behind each other in this order.
    """
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(x, y, 0.0) for x, y in CORNERS], [], [(0, 1, 2, 3)])
    for loop, (x, y) in zip(mesh.uv_layers.new(name="UVMap").data, CORNERS, strict=True):
        loop.uv = (x + 0.5, y + 0.5)
    mesh.materials.append(_make_material(image, shown_frame, name))
    plane = bpy.data.objects.new(name, mesh)
    plane.parent = camera
    _show_to_cameras_only(plane)
    _fill_view(plane, scene, camera, 1.0 + 0.01 * order)
    _hide_from_other_views(plane, scene, _view_number(camera))
    return plane


def _make_material(image: bpy.types.Image, shown_frame: str, name: str) -> bpy.types.Material:
    """Emission of the image's own colours, untouched by the scene's light."""
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    texture: Any = tree.nodes.new("ShaderNodeTexImage")  # the stubs know nodes of no special kind
    emission = tree.nodes.new("ShaderNodeEmission")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    texture.location, emission.location, output.location = (-300, 0), (0, 0), (200, 0)
    texture.image = image
    texture.extension = "EXTEND"
    tree.links.new(texture.outputs["Color"], emission.inputs["Color"])
    tree.links.new(emission.outputs["Emission"], output.inputs["Surface"])
    retime(tree, f'nodes["{texture.name}"].image_user', shown_frame)
    return material


def _show_to_cameras_only(plane: bpy.types.Object) -> None:
    """No light, no shadow, no reflection: the plane is a picture and no part of the scene."""
    plane.visible_diffuse = False
    plane.visible_glossy = False
    plane.visible_transmission = False
    plane.visible_volume_scatter = False
    plane.visible_shadow = False


def _fill_view(plane: bpy.types.Object, scene: bpy.types.Scene, camera: bpy.types.Object, nesting: float) -> None:
    """Drive location and scale so that the plane covers the view exactly.

    It stands at `nesting` times the distance of the frame that the viewport draws, and never before the near clipping
    plane. Scale is taken out because a render leaves the camera's own scale out too, and the plane inherits it.
    """
    sensor_fit = camera_data(camera).sensor_fit
    extent_x, extent_y = view_extent(sensor_fit, render_size(scene))
    sensor = "sensor_height" if sensor_fit == "VERTICAL" else "sensor_width"
    lens = {"size": "display_size", "lens": "lens", "sensor": sensor, "near": "clip_start"}
    distance = f"max(size * lens / sensor, near * 1.05) * {nesting}"
    width = f"{distance} * sensor / lens"
    _drive(plane, "location", 0, f"{width} * shift / scale", camera, lens | {"shift": "shift_x"}, "SCALE_X")
    _drive(plane, "location", 1, f"{width} * shift / scale", camera, lens | {"shift": "shift_y"}, "SCALE_Y")
    _drive(plane, "location", 2, f"-{distance} / scale", camera, lens, "SCALE_Z")
    _drive(plane, "scale", 0, f"{width} * {extent_x!r} / scale", camera, lens, "SCALE_X")
    _drive(plane, "scale", 1, f"{width} * {extent_y!r} / scale", camera, lens, "SCALE_Y")


def _drive(
    plane: bpy.types.Object,
    path: str,
    index: int,
    expression: str,
    camera: bpy.types.Object,
    properties: dict[str, str],
    scale_channel: ScaleChannel,
) -> None:
    """Drive one channel of the plane by properties of the camera's data and by one channel of its world scale."""
    driver = new_driver(plane, path, index)
    for name, data_path in properties.items():
        target = _variable(driver, name, "SINGLE_PROP")
        target.id_type = "CAMERA"
        target.id = camera.data
        target.data_path = data_path
    target = _variable(driver, "scale", "TRANSFORMS")
    target.id = camera
    target.transform_type = scale_channel
    target.transform_space = "WORLD_SPACE"
    driver.expression = expression


def _hide_from_other_views(plane: bpy.types.Object, scene: bpy.types.Scene, number: int) -> None:
    """Leave the plane out of renders through another camera that has a plane.

    Cameras may start from one pose, and each must show its own frames. Renders through other cameras show all planes.
    """
    driver = new_driver(plane, "hide_render")
    target = _variable(driver, "looking", "SINGLE_PROP")
    target.id_type = "SCENE"
    target.id = scene
    target.data_path = f'camera["{VIEW_KEY}"]'
    target.use_fallback_value = True
    target.fallback_value = 0
    driver.expression = f"looking != 0 and looking != {number}"


def _variable(
    driver: bpy.types.Driver, name: str, kind: Literal["SINGLE_PROP", "TRANSFORMS"]
) -> bpy.types.DriverTarget:
    variable = driver.variables.new()
    variable.name = name
    variable.type = kind
    return variable.targets[0]


def _view_number(camera: bpy.types.Object) -> int:
    """The camera's own number. A camera that has none, or that is a copy of one that has it, gets a new number."""
    numbers = {obj.get(VIEW_KEY, 0) for obj in bpy.data.objects if obj.type == "CAMERA" and obj != camera}
    if not camera.get(VIEW_KEY) or camera[VIEW_KEY] in numbers:
        camera[VIEW_KEY] = max(numbers, default=0) + 1
    return camera[VIEW_KEY]
