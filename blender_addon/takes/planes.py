"""Planes that show a take in renders: one fills the view of each camera. Viewports have image empties instead."""

from __future__ import annotations

from typing import Any

import bpy

from .drivers import new_driver, new_variable
from .objects import new_view_object, view_object
from .sequences import Sequence, retime
from .view_filling import fill_view

VIEW_KEY = "collaborative_view"
"""Custom property of a camera that has a plane: a number of its own in this file. Planes know their camera by it."""

CORNERS = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))


def show_plane(
    collection: bpy.types.Collection, scene: bpy.types.Scene, camera: bpy.types.Object, sequence: Sequence
) -> None:
    """Show the frames of one view in renders, in the take's collection. An earlier import's plane is changed.

    Whether renders show the collection at all is for `apply_visibility`.
    """
    plane = view_object(collection, sequence.view, "MESH")
    if plane is None:
        name = f"{sequence.name} in renders"
        square = bpy.data.meshes.new(name)
        square.from_pydata([(x, y, 0.0) for x, y in CORNERS], [], [(0, 1, 2, 3)])
        square.uv_layers.new(name="UVMap")
        square.materials.append(bpy.data.materials.new(name))
        plane = new_view_object(collection, sequence.view, name, square)
    mesh: Any = plane.data
    width, height = (part / whole for part, whole in zip(sequence.shown, sequence.size, strict=True))
    for loop, (x, y) in zip(mesh.uv_layers[0].data, CORNERS, strict=True):
        loop.uv = (0.5 + x * width, 0.5 + y * height)
    _show_in_material(mesh.materials[0], sequence)
    plane.hide_viewport = True
    _show_to_cameras_only(plane)
    fill_view(plane, scene, camera, sequence.view)
    _hide_from_other_views(plane, scene, _view_number(camera))


def _show_in_material(material: bpy.types.Material, sequence: Sequence) -> None:
    """Emission of the image's own colours, untouched by the scene's light."""
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    texture: Any = tree.nodes.new("ShaderNodeTexImage")  # the stubs know nodes of no special kind
    emission = tree.nodes.new("ShaderNodeEmission")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    texture.location, emission.location, output.location = (-300, 0), (0, 0), (200, 0)
    texture.image = sequence.image
    texture.extension = "EXTEND"
    tree.links.new(texture.outputs["Color"], emission.inputs["Color"])
    tree.links.new(emission.outputs["Emission"], output.inputs["Surface"])
    retime(tree, f'nodes["{texture.name}"].image_user', sequence.shown_frame)


def _show_to_cameras_only(plane: bpy.types.Object) -> None:
    """No light, no shadow, no reflection: the plane is a picture and no part of the scene."""
    plane.visible_diffuse = False
    plane.visible_glossy = False
    plane.visible_transmission = False
    plane.visible_volume_scatter = False
    plane.visible_shadow = False


def _hide_from_other_views(plane: bpy.types.Object, scene: bpy.types.Scene, number: int) -> None:
    """Leave the plane out of renders through another camera that has a plane.

    Cameras may start from one pose, and each must show its own frames. Renders through other cameras show all planes.
    """
    driver = new_driver(plane, "hide_render")
    target = new_variable(driver, "looking", "SINGLE_PROP")
    target.id_type = "SCENE"
    target.id = scene
    target.data_path = f'camera["{VIEW_KEY}"]'
    target.use_fallback_value = True
    target.fallback_value = 0
    driver.expression = f"looking != 0 and looking != {number}"


def _view_number(camera: bpy.types.Object) -> int:
    """The camera's own number. A camera that has none, or that is a copy of one that has it, gets a new number.

    A camera that is linked from another file cannot be given one, and 0 stands for all of those.
    """
    if not camera.is_editable:
        return camera.get(VIEW_KEY, 0)
    numbers = {obj.get(VIEW_KEY, 0) for obj in bpy.data.objects if obj.type == "CAMERA" and obj != camera}
    if not camera.get(VIEW_KEY) or camera[VIEW_KEY] in numbers:
        camera[VIEW_KEY] = max(numbers, default=0) + 1
    return camera[VIEW_KEY]
