"""From a wide scene through Blender and the real service, held against the library on its own.

The library reads Blender's cameras from a file of another program's convention, and makes the frames anew from the
take's record. Sides, lenses and numbers of views and frames all differ, so that none is taken for another.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
from blender.scenes import add_camera, read_png
from blender.service_python import run_in_service_python

VIEWS, FRAMES = 3, 5
WIDTH, HEIGHT = 88, 48
"""The tiny model's area, 64 x 64, around the aspect of 1920 x 1080, in multiples of 8."""

LARGE = 20
"""How many times larger than the frames the other program's image is."""

SCALED = np.array([[1, 1, 1, 0.4], [1, 1, 1, 0.4], [1, 1, 1, 0.4], [1, 1, 1, 1]])
"""What a target distance of 2.5 does to a pose: distances are divided by it."""

TIMEOUT = 180.0


def add_zooming_camera(scene: bpy.types.Scene, view: int) -> bpy.types.Object:
    """A camera with shift that moves, turns and zooms."""
    camera = add_camera(scene, f"Camera {view}")
    camera.data.shift_x, camera.data.shift_y = 0.05 * view, -0.1
    for frame in (1, 33):
        camera.location = 0.01 * frame * view, 0.3 * view, 0.02 * frame
        camera.rotation_euler = 0.01 * frame, 0.02 * view * frame, 0.1 * view
        camera.data.lens = 30 + frame * (view + 1) / 3
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
        camera.data.keyframe_insert("lens", frame=frame)
    return camera


def write_transforms(path: Path, scene: bpy.types.Scene, cameras: list[bpy.types.Object]) -> None:
    """The cameras in nerfstudio's format, whose axes are Blender's. Its image is wider than the 1920 x 1080 render."""
    render_width = HEIGHT * LARGE * 1920 / 1080
    frames = []
    for view, camera in enumerate(cameras):
        for time in np.linspace(1, 33, FRAMES):
            scene.frame_set(int(time))
            evaluated = camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
            lens = evaluated.data
            focal = lens.lens / lens.sensor_width * render_width
            frames.append(
                {
                    "view": view,
                    "fl_x": focal,
                    "fl_y": focal,
                    "cx": WIDTH * LARGE / 2 - lens.shift_x * render_width,
                    "cy": HEIGHT * LARGE / 2 + lens.shift_y * render_width,
                    "w": WIDTH * LARGE,
                    "h": HEIGHT * LARGE,
                    "transform_matrix": np.array(evaluated.matrix_world).tolist(),
                }
            )
    path.write_text(json.dumps({"frames": frames}))


def test_a_take_is_what_the_library_makes_of_the_scene(
    scene: bpy.types.Scene, addon: ModuleType, tiny_model: str, tmp_path: Path
) -> None:
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    scene.frame_start, scene.frame_end = 1, 33  # every sampled time is a whole frame
    cameras = [add_zooming_camera(scene, view) for view in range(VIEWS)]
    settings = scene.collaborative_cameras
    settings.prompt, settings.negative_prompt = "a red cube on a green floor", "a blue ball"
    settings.model, settings.frames = tiny_model, FRAMES
    settings.seed, settings.num_inference_steps, settings.guidance_scale = 11, 3, 6.5
    settings.target_distance = 2.5
    settings.output_folder = str(tmp_path / "takes")
    write_transforms(tmp_path / "transforms.json", scene, cameras)
    addon.runtime.session.close()
    bpy.ops.collaborative_cameras.generate()
    take = addon.runtime.session.wait(timeout=TIMEOUT)

    record = addon.protocol.takes.read_record(take)
    assert (record.width, record.height) == (WIDTH, HEIGHT)
    assert (record.views, record.frame_count) == (VIEWS, FRAMES)
    assert (record.prompt, record.negative_prompt) == (settings.prompt, settings.negative_prompt)
    assert (record.settings.seed, record.settings.num_inference_steps, record.settings.guidance_scale) == (11, 3, 6.5)
    assert record.settings.multistep is not None, "what the model chose is recorded too"
    assert (record.model.name, record.model.family) == (tiny_model, "cvd")
    assert record.scene.aspect == 1920 / 1080
    np.testing.assert_allclose(record.shown, [HEIGHT * 16 / 9, HEIGHT])

    run_in_service_python("library_run.py", take, tmp_path / "transforms.json", tmp_path / "library")
    expected = np.load(tmp_path / "library" / "cameras.npz")
    assert record.scale == 1 / settings.target_distance == 0.4
    # The record has the model's units, the file those of the scene.
    np.testing.assert_allclose(record.c2w, expected["c2w"] * SCALED, atol=1e-5)
    np.testing.assert_allclose(record.K, expected["K"], rtol=1e-5)
    assert len(record.files) == VIEWS * (FRAMES + 1)
    for name in record.files:
        assert (take / name).read_bytes() == (tmp_path / "library" / name).read_bytes(), name
    assert read_png(take / "view_02" / "0005.png").shape == (HEIGHT, WIDTH, 3)
