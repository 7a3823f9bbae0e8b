"""Blender's cameras to arrays, through the evaluated dependency graph: parents, constraints and drivers included."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np

from ..blender_types import camera_data
from ..protocol.geometry import sample_times
from ..service.submission import CameraExport
from .camera_model import Array, CameraRefusedError, Lens, RenderSize, camera_to_world, intrinsics
from .rays import RenderedScene
from .target import measured_frames, ray_directions, seen_distance

FRAME_COUNT = 16
"""Frames of a video unless the scene's settings say otherwise."""


def scene_cameras(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The scene's camera objects, by name."""
    return sorted((obj for obj in scene.objects if obj.type == "CAMERA"), key=lambda obj: obj.name)


def render_size(scene: bpy.types.Scene) -> RenderSize:
    """The size at which the scene is rendered."""
    render = scene.render
    return RenderSize(
        render.resolution_x,
        render.resolution_y,
        render.resolution_percentage,
        render.pixel_aspect_x,
        render.pixel_aspect_y,
    )


def lens_of(camera: bpy.types.Camera) -> Lens:
    """The lens of (evaluated) camera data."""
    return Lens(
        camera.lens, camera.sensor_width, camera.sensor_height, camera.sensor_fit, camera.shift_x, camera.shift_y
    )


def export_cameras(
    context: bpy.types.Context, cameras: Sequence[bpy.types.Object], frame_count: int = FRAME_COUNT
) -> CameraExport:
    """The cameras at `frame_count` times, spread over the frame range of the context's scene with both of its ends.

    It steps through these frames, as scrubbing does, and returns to where the scene was. In some of them it measures
    how far away is what the cameras see.
    Raises CameraRefusedError for cameras that the model cannot work with.
    """
    scene = context.scene
    check_cameras(scene, cameras)
    size = render_size(scene)
    times = sample_times(scene.frame_start, scene.frame_end, frame_count)
    c2w = np.empty((len(cameras), frame_count, 4, 4))
    K = np.empty((len(cameras), frame_count, 3, 3))
    measured = measured_frames(len(cameras), frame_count)
    depths: list[Array] = []
    before = scene.frame_current, scene.frame_subframe
    try:
        for index, time in enumerate(times):
            scene.frame_set(int(np.floor(time)), subframe=time % 1)
            depsgraph = context.evaluated_depsgraph_get()
            for view, camera in enumerate(cameras):
                evaluated = _evaluated(camera, depsgraph)
                c2w[view, index] = camera_to_world(np.array(evaluated.matrix_world), camera.name)
                K[view, index] = intrinsics(lens_of(camera_data(evaluated)), size)
            if index in measured:
                depths += _seen_depths(scene, depsgraph, cameras, c2w[:, index], K[:, index])
    finally:
        scene.frame_set(before[0], subframe=before[1])
    names = tuple(camera.name for camera in cameras)
    return CameraExport(names, c2w, K, size.width, size.height, size.aspect, seen_distance(depths))


def check_cameras(scene: bpy.types.Scene, cameras: Sequence[bpy.types.Object]) -> None:
    """Raise CameraRefusedError for what shows without stepping through frames."""
    if not cameras:
        raise CameraRefusedError("No camera is chosen.", "Tick at least one camera in the list.")
    if scene.render.use_border and scene.render.use_crop_to_border:
        raise CameraRefusedError(
            "The render is cropped to a region.", "Turn off Output Properties > Format > Crop to Render Region."
        )
    owners: dict[bpy.types.Camera, str] = {}
    for camera in cameras:
        data = camera_data(camera)
        if not data.is_editable:
            continue  # another file's data are given no images
        other = owners.setdefault(data, camera.name)
        if other != camera.name:
            raise CameraRefusedError(
                f"Cameras “{other}” and “{camera.name}” share their data and cannot show different images.",
                "Use Object > Relations > Make Single User > Object & Data.",
            )


def _seen_depths(
    scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, cameras: Sequence[bpy.types.Object], c2w: Array, K: Array
) -> list[Array]:
    """Depths of what each camera sees in the scene's present frame. c2w: (V, 4, 4), K: (V, 3, 3)."""
    rendered, size = RenderedScene(scene, depsgraph), render_size(scene)
    found = []
    for camera, pose, lens in zip(cameras, c2w, K, strict=True):
        data = camera_data(camera.evaluated_get(depsgraph))
        directions = ray_directions(pose, lens, (size.height, size.width))
        found.append(rendered.depths(pose, directions, data.clip_start, data.clip_end))
    return found


def _evaluated(camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> bpy.types.Object:
    evaluated = camera.evaluated_get(depsgraph)
    if not evaluated.is_evaluated:  # Blender would hand out the pose of some earlier frame
        raise CameraRefusedError(
            f"Camera “{camera.name}” is disabled in viewports, so that its animation is not evaluated.",
            "Enable it, and its collection, in the Outliner (monitor icon, collection check box).",
        )
    kind = camera_data(evaluated).type
    if kind != "PERSP":
        name = {"ORTHO": "orthographic", "PANO": "panoramic"}.get(kind, kind.lower())
        raise CameraRefusedError(
            f"Camera “{camera.name}” is {name}.",
            "Set Camera Properties > Lens > Type to Perspective, or untick the camera.",
        )
    return evaluated
