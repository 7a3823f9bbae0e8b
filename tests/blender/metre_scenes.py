"""Scenes in metres, as artists build them, for the tests of scale."""

from __future__ import annotations

import math

import bpy
from blender.scenes import add_camera


def add_cube(scene: bpy.types.Scene, size: float, location: tuple[float, float, float] = (0, 0, 0)) -> bpy.types.Object:
    """A cube with sides of `size`."""
    half = size / 2
    corners = [(x, y, z) for x in (-half, half) for y in (-half, half) for z in (-half, half)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new("Cube")
    mesh.from_pydata(corners, [], faces)
    cube = bpy.data.objects.new("Cube", mesh)
    cube.location = location
    scene.collection.objects.link(cube)
    return cube


def add_empty(scene: bpy.types.Scene, name: str, location: tuple[float, float, float] = (0, 0, 0)) -> bpy.types.Object:
    """An empty."""
    empty = bpy.data.objects.new(name, None)
    empty.location = location
    scene.collection.objects.link(empty)
    return empty


def track(camera: bpy.types.Object, target: bpy.types.Object) -> None:
    """Have a camera look at an object."""
    constraint = camera.constraints.new("TRACK_TO")
    constraint.target = target
    constraint.track_axis, constraint.up_axis = "TRACK_NEGATIVE_Z", "UP_Y"


def film_from_ten_metres(scene: bpy.types.Scene, target: bpy.types.Object, metre: float = 1.0) -> None:
    """Three cameras 9 to 11 m from a target at the origin: a keyed path of 5.4 m, an orbit, and a zoom.

    metre: length of a metre in scene units.
    """
    scene.frame_start, scene.frame_end = 1, 48

    path = add_camera(scene, "Path")
    track(path, target)
    for frame, place in ((1, (7.0, -6.5, 4.5)), (48, (2.6, -9.6, 4.8))):
        path.location = [metre * value for value in place]
        path.keyframe_insert("location", frame=frame)

    pivot = add_empty(scene, "Pivot")
    orbit = add_camera(scene, "Orbit", tuple(metre * value for value in (7.0, -6.5, 4.5)))
    orbit.parent = pivot
    track(orbit, target)
    for frame, degrees in ((1, 0.0), (48, 30.0)):
        pivot.rotation_euler.z = math.radians(degrees)
        pivot.keyframe_insert("rotation_euler", frame=frame)

    zoom = add_camera(scene, "Zoom", tuple(metre * value for value in (6.4, -6.2, 4.2)))
    track(zoom, target)
    for frame, lens in ((1, 35.0), (48, 70.0)):
        zoom.data.lens = lens
        zoom.data.keyframe_insert("lens", frame=frame)
    for camera in (path, orbit, zoom):
        camera.data.clip_start, camera.data.clip_end = 0.1 * metre, 1000 * metre


def add_floor(scene: bpy.types.Scene, size: float, height: float) -> bpy.types.Object:
    """A level square with sides of `size`."""
    half = size / 2
    mesh = bpy.data.meshes.new("Floor")
    mesh.from_pydata(
        [(x, y, height) for x, y in ((-half, -half), (half, -half), (half, half), (-half, half))], [], [(0, 1, 2, 3)]
    )
    floor = bpy.data.objects.new("Floor", mesh)
    scene.collection.objects.link(floor)
    return floor
