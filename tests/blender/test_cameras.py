"""Cameras leave Blender as it renders them, and are refused where the model cannot follow."""

from __future__ import annotations

import math
from types import ModuleType

import bpy
import numpy as np
import pytest
from blender.scenes import add_camera
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

RANDOM_CAMERAS = 240


def random_scene(scene: bpy.types.Scene, rng: np.random.Generator) -> bpy.types.Object:
    """A camera with everything that moves a pixel: fit, shift, aspect, percentage, parents, constraints, animation."""
    render = scene.render
    # Without a remainder: a render drops fractions of a pixel, which `world_to_camera_view` does not know of.
    render.resolution_x, render.resolution_y = (int(value) * 4 for value in rng.integers(4, 500, 2))
    render.resolution_percentage = int(rng.choice([25, 50, 100]))
    render.pixel_aspect_x, render.pixel_aspect_y = (float(value) for value in rng.choice([1.0, 1.0, 1.25, 1.5], 2))
    scene.frame_start, scene.frame_end = 1, int(rng.integers(2, 50))
    camera = add_camera(scene, "random")
    data = camera.data
    data.sensor_fit = str(rng.choice(["AUTO", "HORIZONTAL", "VERTICAL"]))
    data.sensor_width, data.sensor_height = (float(value) for value in rng.uniform(8, 50, 2))
    data.shift_x, data.shift_y = (float(value) for value in rng.uniform(-0.5, 0.5, 2))
    for frame in (scene.frame_start, scene.frame_end):
        data.lens = float(rng.uniform(15, 120))
        data.keyframe_insert("lens", frame=frame)
        camera.location = rng.uniform(-5, 5, 3)
        camera.rotation_euler = rng.uniform(-math.pi, math.pi, 3)
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
    camera.scale = rng.uniform(0.2, 3, 3)
    if rng.random() < 0.5:
        parent = bpy.data.objects.new("parent", None)
        scene.collection.objects.link(parent)
        parent.scale = [float(rng.uniform(0.3, 3))] * 3
        parent.rotation_euler = rng.uniform(-3, 3, 3)
        parent.location = rng.uniform(-3, 3, 3)
        parent.keyframe_insert("location", frame=scene.frame_start)
        parent.location = rng.uniform(-3, 3, 3)
        parent.keyframe_insert("location", frame=scene.frame_end)
        camera.parent = parent
    if rng.random() < 0.5:
        target = bpy.data.objects.new("target", None)
        scene.collection.objects.link(target)
        target.location = rng.uniform(-5, 5, 3)
        constraint = camera.constraints.new("TRACK_TO")
        constraint.target = target
        constraint.track_axis, constraint.up_axis = "TRACK_NEGATIVE_Z", "UP_Y"
    return camera


def blenders_pixel(scene: bpy.types.Scene, camera: bpy.types.Object, point: np.ndarray) -> np.ndarray:
    """Where Blender says that `point` falls, in pixels from the upper left corner of the render."""
    evaluated = camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
    x, y, _ = world_to_camera_view(scene, evaluated, Vector(point))
    percentage = scene.render.resolution_percentage
    width = scene.render.resolution_x * percentage // 100
    height = scene.render.resolution_y * percentage // 100
    return np.array([x * width, (1 - y) * height])


@pytest.mark.parametrize("seed", range(RANDOM_CAMERAS // 12))
def test_points_fall_where_blender_sees_them(scene: bpy.types.Scene, addon: ModuleType, seed: int) -> None:
    """Twelve random cameras a seed; error below 1e-4 of the image."""
    rng = np.random.default_rng(seed)
    for _ in range(12):
        camera = random_scene(scene, rng)
        scene.frame_set(7)
        exported = addon.cameras.export.export_cameras(bpy.context, [camera], 5)
        assert scene.frame_current == 7
        times = np.linspace(scene.frame_start, scene.frame_end, 5)
        for index, time in enumerate(times):
            scene.frame_set(int(time), subframe=time % 1)
            in_camera = np.array([*rng.uniform(-0.4, 0.4, 2), 1.0]) * rng.uniform(0.5, 20)
            point = exported.c2w[0, index] @ [*in_camera, 1.0]
            pixel = exported.K[0, index] @ in_camera
            expected = blenders_pixel(scene, camera, point[:3])
            size = max(exported.width, exported.height)
            assert pixel[:2] / pixel[2] == pytest.approx(expected, abs=1e-4 * size)
        bpy.data.batch_remove(list(bpy.data.objects))


def test_the_frame_and_its_fraction_are_as_before(scene: bpy.types.Scene, addon: ModuleType) -> None:
    scene.frame_set(3, subframe=0.25)
    addon.cameras.export.export_cameras(bpy.context, [add_camera(scene, "A")])
    assert (scene.frame_current, scene.frame_subframe) == (3, 0.25)


def orthographic(camera: bpy.types.Object) -> None:
    camera.data.type = "ORTHO"


def panoramic(camera: bpy.types.Object) -> None:
    camera.data.type = "PANO"


def mirrored(camera: bpy.types.Object) -> None:
    camera.scale.x = -1


def sheared(camera: bpy.types.Object) -> None:
    parent = bpy.data.objects.new("parent", None)
    bpy.context.scene.collection.objects.link(parent)
    parent.scale = 1, 3, 1
    camera.parent = parent
    camera.rotation_euler = 0.4, 0.5, 0.6


def disabled(camera: bpy.types.Object) -> None:
    camera.hide_viewport = True


def cropped(camera: bpy.types.Object) -> None:
    bpy.context.scene.render.use_border = bpy.context.scene.render.use_crop_to_border = True


def sharing_data(camera: bpy.types.Object) -> None:
    add_camera(bpy.context.scene, "Other").data = camera.data


def unticked(camera: bpy.types.Object) -> None:
    camera.collaborative_cameras.use = False


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (orthographic, "“Side” is orthographic"),
        (panoramic, "“Side” is panoramic"),
        (mirrored, "“Side” is mirrored"),
        (sheared, "“Side” is sheared"),
        (disabled, "“Side” is disabled in viewports"),
        (cropped, "cropped to a region"),
        (sharing_data, "“Other” and “Side” share their data"),
        (unticked, "No camera is chosen"),
    ],
)
def test_what_cannot_work_is_said_in_the_panel_and_to_scripts(
    scene: bpy.types.Scene, addon: ModuleType, spoil, message: str
) -> None:
    camera = add_camera(scene, "Side")
    spoil(camera)
    with pytest.raises(RuntimeError, match=message):
        bpy.ops.collaborative_cameras.generate()
    problem = addon.runtime.session.state.problem
    assert message in problem.message
    assert problem.hint
    assert not addon.runtime.session.backend_started


def test_a_camera_scaled_unevenly_without_rotation_is_no_sheared_one(scene: bpy.types.Scene, addon: ModuleType) -> None:
    camera = add_camera(scene, "Side")
    camera.matrix_world = Matrix.Diagonal((1, 2, 3, 1))
    c2w = addon.cameras.export.export_cameras(bpy.context, [camera], 2).c2w
    np.testing.assert_allclose(c2w[0, 0], np.diag([1, -1, -1, 1]), atol=1e-6)
