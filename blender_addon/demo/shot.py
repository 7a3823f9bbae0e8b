"""The demonstration's scene: three cameras that start from one pose and spread out around what they look at.

Distances are those that the models are trained for: the point looked at is one unit away. Blender's axes, z up.
"""

from __future__ import annotations

import math
from typing import Any

import bpy
from mathutils import Matrix, Vector

from ..blender_types import scene_settings

FRAME_START, FRAME_END = 1, 48
RESOLUTION = 512
FOCAL_LENGTH = 0.8734
"""Focal length over image width, that of the official camera patterns."""

HEIGHT, PITCH = 0.6, math.radians(22)
SPREAD = 0.4
DISPLAY_SIZE = 0.27
VIEWS = {"Camera left": (-1.0, 0.0), "Camera centre": (0.0, 1.0), "Camera right": (1.0, 0.0)}
"""Directions in the first image, right and up, in which the cameras go."""

COLOURS = {"Camera left": (0.55, 0.04, 0.03), "Camera centre": (0.80, 0.36, 0.01), "Camera right": (0.01, 0.14, 0.48)}

TUBE = 0.0035


def build_shot(prompt: str) -> bpy.types.Scene:
    """Replace the open file by the scene. It has everything but frames."""
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = FRAME_START, FRAME_END
    scene.render.resolution_x = scene.render.resolution_y = RESOLUTION
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"  # type: ignore[assignment]  # the stubs know no configuration
    settings = scene_settings(scene)
    settings.prompt = prompt
    settings.target_distance = 1.0  # the point looked at is in the air, where no ray meets a surface
    _add_ground(scene)
    for name, (right, up) in VIEWS.items():
        camera = _add_camera(scene, name, right, up)
        _add_body(scene, camera, _material(name, COLOURS[name]))
    scene.camera = scene.objects["Camera centre"]
    return scene


def start_pose() -> Matrix:
    """The pose in which all cameras start: above the origin, pitched down, looking along +y."""
    return Matrix.Translation((0.0, 0.0, HEIGHT)) @ Matrix.Rotation(math.pi / 2 - PITCH, 4, "X")


def target() -> Vector:
    """The point that the cameras look at, one unit ahead of their start."""
    return start_pose() @ Vector((0.0, 0.0, -1.0))


def _end_pose(right: float, up: float) -> Matrix:
    """The pose of a camera `SPREAD` away from the start in the plane of the first image, looking at the target.

    Its horizontal axis stays at right angles to the first image's vertical one, as in the official patterns.
    """
    start = start_pose()
    position = start @ Vector((right * SPREAD, up * SPREAD, 0.0))
    backward = (position - target()).normalized()
    side = start.col[1].xyz.cross(backward).normalized()
    axes: Any = (side, backward.cross(side), backward)  # the stubs take no vectors for rows
    rotation = Matrix(axes).transposed()
    return Matrix.Translation(position) @ rotation.to_4x4()


def _add_camera(scene: bpy.types.Scene, name: str, right: float, up: float) -> bpy.types.Object:
    data = bpy.data.cameras.new(name)
    data.lens = FOCAL_LENGTH * data.sensor_width
    data.display_size = DISPLAY_SIZE
    data.clip_start = 0.01
    camera = bpy.data.objects.new(name, data)
    camera.rotation_mode = "QUATERNION"
    scene.collection.objects.link(camera)
    for frame, pose in ((FRAME_START, start_pose()), (FRAME_END, _end_pose(right, up))):
        camera.location, camera.rotation_quaternion, _ = pose.decompose()
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_quaternion", frame=frame)
    _move_evenly(camera)
    return camera


def _move_evenly(obj: bpy.types.Object) -> None:
    """Straight lines between keyframes instead of Blender's easing."""
    action: Any = obj.animation_data.action  # of two kinds, before and since Blender 4.4
    layered = bpy.app.version >= (4, 4, 0)
    for curve in action.layers[0].strips[0].channelbags[0].fcurves if layered else action.fcurves:
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"


def _add_body(scene: bpy.types.Scene, camera: bpy.types.Object, material: bpy.types.Material) -> None:
    """Add what cameras do not have in renders: a body, the edges of the frustum, and the path."""
    half = DISPLAY_SIZE / 2 * 1.01
    depth = DISPLAY_SIZE * FOCAL_LENGTH
    corners = [Vector((x, y, -depth)) for x, y in ((-half, -half), (half, -half), (half, half), (-half, half))]
    edges = [[Vector(), corner] for corner in corners] + [[*corners, corners[0]]]
    frustum = _add_tubes(scene, f"{camera.name} frustum", edges, material)
    frustum.parent = camera
    body = bpy.data.objects.new(f"{camera.name} body", _box(f"{camera.name} body", (0.032, 0.032, 0.055), material))
    body.location.z = 0.0275
    body.parent = camera
    scene.collection.objects.link(body)
    right, up = VIEWS[camera.name]
    path = [[start_pose().translation, _end_pose(right, up).translation]]
    _add_tubes(scene, f"{camera.name} path", path, material, TUBE * 0.6)


def _add_tubes(
    scene: bpy.types.Scene, name: str, lines: list[list[Vector]], material: bpy.types.Material, radius: float = TUBE
) -> bpy.types.Object:
    curve = bpy.data.curves.new(name, "CURVE")
    curve.dimensions = "3D"
    curve.bevel_depth = radius
    curve.bevel_resolution = 3
    curve.use_fill_caps = True
    for points in lines:
        spline = curve.splines.new("POLY")
        spline.points.add(len(points) - 1)
        for point, place in zip(spline.points, points, strict=True):
            point.co = (place.x, place.y, place.z, 1.0)
    curve.materials.append(material)
    tubes = bpy.data.objects.new(name, curve)
    scene.collection.objects.link(tubes)
    return tubes


def _box(name: str, size: tuple[float, float, float], material: bpy.types.Material) -> bpy.types.Mesh:
    x, y, z = (side / 2 for side in size)
    corners = [(a * x, b * y, c * z) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], faces)
    mesh.materials.append(material)
    return mesh


def _add_ground(scene: bpy.types.Scene) -> None:
    """A pale floor with lines a fifth of a unit apart."""
    mesh = bpy.data.meshes.new("Ground")
    mesh.from_pydata([(-30, -30, 0), (30, -30, 0), (30, 30, 0), (-30, 30, 0)], [], [(0, 1, 2, 3)])
    material = _material("Ground", (0.62, 0.63, 0.65))
    tree: Any = material.node_tree
    place = tree.nodes.new("ShaderNodeTexCoord")
    bricks = tree.nodes.new("ShaderNodeTexBrick")
    bricks.offset = 0.0
    for name, value in (("Scale", 1.0), ("Mortar Size", 0.003), ("Brick Width", 0.2), ("Row Height", 0.2)):
        bricks.inputs[name].default_value = value
    bricks.inputs["Color1"].default_value = bricks.inputs["Color2"].default_value = (0.62, 0.63, 0.65, 1)
    bricks.inputs["Mortar"].default_value = (0.40, 0.41, 0.43, 1)
    tree.links.new(place.outputs["Object"], bricks.inputs["Vector"])
    tree.links.new(bricks.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    mesh.materials.append(material)
    scene.collection.objects.link(bpy.data.objects.new("Ground", mesh))


def _material(name: str, colour: tuple[float, float, float]) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    shader: Any = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = 0.6
    material.diffuse_color = (*colour, 1.0)
    return material
