"""Models are told cameras in units of the distance to what they film, whatever a scene's units are."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import bpy
import numpy as np
import pytest
from blender.metre_scenes import add_cube, add_empty, add_floor, film_from_ten_metres
from blender.places import MODULE
from blender.scenes import add_camera, add_moving_camera, random_take
from blender.service_python import run_in_service_python

TIMEOUT = 1800.0


def starter(addon: ModuleType) -> Any:
    """A model with the starter's ranges."""
    models, settings = addon.protocol.models, addon.protocol.settings
    learned = models.LearnedMotion(
        motion=models.LearnedRange(low=0.0, high=0.6),
        baseline=models.LearnedRange(low=0.0, high=1.2),
        field_of_view=models.LearnedRange(low=37.0, high=88.0),
    )
    return models.ModelInfo(
        name="starter",
        sizes=models.SizeRule(native=128, multiple=64),
        frames=models.FrameRule(at_once=16, most=128),
        defaults=settings.SamplingSettings(num_inference_steps=25, guidance_scale=5.0),
        settings=("seed",),
        learned=learned,
    )


def sent(addon: ModuleType, tmp_path: Path) -> tuple[float, np.ndarray]:
    """The factor and the cameras (V, F, 4, 4) that Generate would send."""
    generation = importlib.import_module(f"{MODULE}.operators.generation")
    scene = bpy.context.scene
    scene.collaborative_cameras.output_folder = str(tmp_path)
    submission = generation._submission(bpy.context, addon.cameras.choice.chosen_cameras(scene), "")
    request = submission.request([starter(addon)])
    return request.scale, submission.c2w_at(request.scale)


def panel(addon: ModuleType, models: tuple[Any, ...]) -> tuple[list[str], list[str]]:
    """(texts, icons) that the panel says of the scale when the backend offers these models."""
    scale = importlib.import_module(f"{MODULE}.panels.scale")
    layout, drawn = MagicMock(), []
    layout.box.return_value.column.return_value.label.side_effect = lambda text, icon: drawn.append((text, icon))
    state = addon.service.state.State(models=models)
    scale.draw_scale(layout, bpy.context.scene, state, lambda _, text, icon: drawn.append((text, icon)))
    return [text for text, _ in drawn], [icon for _, icon in drawn]


def film(scene: bpy.types.Scene, metre: float) -> None:
    add_cube(scene, 2 * metre)
    film_from_ten_metres(scene, add_empty(scene, "Target"), metre)


@pytest.mark.parametrize("metre", [0.01, 1.0, 100.0], ids=["0.1 m", "10 m", "1 km"])
def test_a_scene_of_any_size_gives_the_same_cameras(
    scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path, metre: float
) -> None:
    film(scene, 1.0)
    factor, c2w = sent(addon, tmp_path)
    assert 1 / factor == pytest.approx(9.4, abs=0.3)  # to the front of the cube
    bpy.data.batch_remove(list(scene.objects))
    film(scene, metre)
    other_factor, other_c2w = sent(addon, tmp_path)
    assert other_factor * metre == pytest.approx(factor, rel=1e-6)
    np.testing.assert_allclose(other_c2w, c2w, atol=1e-6)


def test_where_nothing_is_hit_the_axes_decide(scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path) -> None:
    film_from_ten_metres(scene, add_empty(scene, "Target"))
    factor, _ = sent(addon, tmp_path)
    assert 1 / factor == pytest.approx(10.3, abs=0.3)
    assert "where their axes meet" in panel(addon, ())[0][1]


def test_parallel_axes_leave_the_motion_to_decide(scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path) -> None:
    add_moving_camera(scene, "Truck", 40.0)
    scene.frame_end = 48
    factor, c2w = sent(addon, tmp_path)
    assert np.linalg.norm(c2w[..., :3, 3], axis=-1).max() == pytest.approx(0.3)
    assert factor == pytest.approx(0.3 / math.hypot(40.0, 0.1))


def test_static_cameras_that_see_nothing_keep_their_units(scene, addon: ModuleType, tmp_path: Path) -> None:
    add_camera(scene, "A")
    add_camera(scene, "B", (3.0, 0.0, 0.0))
    assert sent(addon, tmp_path)[0] == 1.0


def test_a_static_camera_that_zooms_measures_what_it_sees(scene, addon: ModuleType, tmp_path: Path) -> None:
    add_cube(scene, 2.0, (0, 0, -9))
    camera = add_camera(scene, "Zoom")
    for frame, lens in ((1, 30.0), (48, 90.0)):
        camera.data.lens = lens
        camera.data.keyframe_insert("lens", frame=frame)
    assert 1 / sent(addon, tmp_path)[0] == pytest.approx(8.0)


def test_cameras_inside_a_room_measure_its_walls(scene, addon: ModuleType, tmp_path: Path) -> None:
    add_cube(scene, 6.0)
    for index, turn in enumerate((0.0, 1.0, 2.0)):
        camera = add_camera(scene, f"Camera {index}", (0.4 * index, 0.3, -0.2))
        camera.rotation_euler = math.pi / 2, 0, turn
    assert 2.0 < 1 / sent(addon, tmp_path)[0] < 4.5


def test_a_floor_to_the_horizon_and_a_sky_do_not_hide_the_subject(scene, addon: ModuleType, tmp_path: Path) -> None:
    """The cube covers a third of the image's width; the ground behind it goes on for kilometres, in a dome of sky."""
    add_floor(scene, 10_000.0, -1.0)
    add_cube(scene, 16_000.0)
    film(scene, 1.0)
    for camera in addon.cameras.choice.chosen_cameras(scene):
        camera.data.clip_end = 1e5
    assert 1 / sent(addon, tmp_path)[0] == pytest.approx(9.4, abs=0.8)


def test_a_camera_at_the_sky_leaves_the_measure_to_the_others(scene, addon: ModuleType, tmp_path: Path) -> None:
    film(scene, 1.0)
    factor, _ = sent(addon, tmp_path)
    for index in range(4):
        add_camera(scene, f"Sky {index}", (20.0, 5.0 * index, 0.0)).rotation_euler.x = math.pi
    assert 1 / sent(addon, tmp_path)[0] == pytest.approx(1 / factor, rel=0.05)


def test_cameras_at_the_sky_alone_fall_back(scene, addon: ModuleType, tmp_path: Path) -> None:
    add_floor(scene, 100.0, -1.0)
    add_camera(scene, "Sky").rotation_euler = math.pi, 0, 0
    assert sent(addon, tmp_path)[0] == 1.0


def hide_object(obj: bpy.types.Object) -> None:
    obj.hide_render = True


def hide_from_cameras(obj: bpy.types.Object) -> None:
    obj.visible_camera = False


def hide_in_viewports(obj: bpy.types.Object) -> None:
    obj.hide_viewport = True


def hide_its_collection(obj: bpy.types.Object) -> None:
    scene = bpy.context.scene
    outer, inner = (bpy.data.collections.new(name) for name in ("outer", "inner"))
    scene.collection.children.link(outer)
    outer.children.link(inner)
    inner.objects.link(obj)
    scene.collection.objects.unlink(obj)
    outer.hide_render = True


@pytest.mark.parametrize("hide", [hide_object, hide_from_cameras, hide_in_viewports, hide_its_collection])
def test_what_renders_do_not_show_is_passed_through(scene, addon: ModuleType, tmp_path: Path, hide) -> None:
    add_cube(scene, 2.0, (0, 0, -9))
    add_camera(scene, "A")
    screen = add_cube(scene, 1.0, (0, 0, -3))
    assert 1 / sent(addon, tmp_path)[0] == pytest.approx(2.5)
    hide(screen)
    assert 1 / sent(addon, tmp_path)[0] == pytest.approx(8.0)


def test_an_instance_of_what_is_hidden_is_seen(scene, addon: ModuleType, tmp_path: Path) -> None:
    add_camera(scene, "A")
    source = add_cube(scene, 2.0, (0, 0, -50))
    hide_its_collection(source)
    instance = add_empty(scene, "Instance", (0, 0, 30))
    instance.instance_type, instance.instance_collection = "COLLECTION", bpy.data.collections["inner"]
    assert 1 / sent(addon, tmp_path)[0] == pytest.approx(19.0)


def test_what_the_camera_clips_is_not_seen(scene, addon: ModuleType, tmp_path: Path) -> None:
    add_cube(scene, 2.0, (0, 0, -9))
    add_cube(scene, 0.2, (0, 0, -0.3))
    camera = add_camera(scene, "A")
    camera.data.clip_start = 0.5
    assert 1 / sent(addon, tmp_path)[0] == pytest.approx(8.0)
    camera.data.clip_end = 7.0
    assert sent(addon, tmp_path)[0] == 1.0


def test_planes_of_takes_are_no_target(scene, addon: ModuleType, tmp_path: Path) -> None:
    film(scene, 1.0)
    factor, _ = sent(addon, tmp_path)
    take = tmp_path / "take_0001"
    random_take(take, 3, 16, 12, 12)
    write_record(addon, take, ("Orbit", "Path", "Zoom"))
    bpy.ops.collaborative_cameras.import_take(directory=str(take))
    assert scene.objects["Path"].children
    assert sent(addon, tmp_path)[0] == pytest.approx(factor, rel=1e-6)


def write_record(addon: ModuleType, take: Path, names: tuple[str, ...]) -> None:
    takes, messages, models, settings = (
        importlib.import_module(f"{MODULE}.protocol.{name}") for name in ("takes", "messages", "models", "settings")
    )
    made = messages.MadeWith(
        settings=settings.SamplingSettings(num_inference_steps=1, guidance_scale=5.0),
        model=models.ModelReference(name="tiny", family="cvd", sha256=""),
        software="test",
    )
    record = takes.record_of(
        messages.GenerateRequest(prompt="", view_names=names, width=16, height=16),
        np.tile(np.eye(4), (len(names), 16, 1, 1)),
        np.tile(np.eye(3), (len(names), 16, 1, 1)),
        made=made,
        created=0.0,
        seconds=1.0,
        job_id=None,
        files=takes.take_files(take),
    )
    takes.write_record(take, record)


def test_the_artists_distance_overrules_the_measured_one(scene, addon: ModuleType, tmp_path: Path) -> None:
    film(scene, 1.0)
    scene.collaborative_cameras.target_distance = 16.0
    assert sent(addon, tmp_path)[0] == 1 / 16


def test_measure_tells_the_panel_and_drawing_measures_nothing(
    scene, addon: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(scene, 1.0)
    assert panel(addon, ())[0] == ["Not measured yet"]
    scene.frame_set(7)
    assert bpy.ops.collaborative_cameras.measure() == {"FINISHED"}
    assert scene.frame_current == 7
    monkeypatch.setattr(addon.cameras.export, "export_cameras", None)
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 1.0
    assert panel(addon, ())[0] == ["9.38 m to the target, motion 0.57"]
    texts, icons = panel(addon, (starter(addon),))
    assert texts[0] == "9.38 m to the target, motion 0.57 (learned: up to 0.6)"
    assert texts[1] == "As a square image, “Zoom” sees 22°. The model learned 37° to 88°."
    assert texts[2] == "Use a shorter focal length."
    assert icons == ["NONE", "ERROR", "NONE"]
    scene.collaborative_cameras.target_distance = 4.0
    assert any("“Path” moves 1.35 target distances" in text for text in panel(addon, (starter(addon),))[0])
    scene.frame_end = 47
    assert panel(addon, ())[0][0] == "Measured for other cameras or frames"


def test_lengths_are_shown_in_the_scenes_units(scene, addon: ModuleType) -> None:
    length = importlib.import_module(f"{MODULE}.panels.scale").length_text
    scene.unit_settings.system = "NONE"
    assert length(scene, 9.637) == "9.64"
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 0.01
    assert length(scene, 9.637) == "9.64 cm"


def test_measuring_what_cannot_work_says_why(scene, addon: ModuleType) -> None:
    add_camera(scene, "Side").data.type = "ORTHO"
    with pytest.raises(RuntimeError, match="“Side” is orthographic"):
        bpy.ops.collaborative_cameras.measure()


@pytest.mark.slow
def test_the_first_scene_in_metres_shows_one_red_cube_in_every_view(scene, addon: ModuleType, tmp_path: Path) -> None:
    """Cameras 9 to 11 m from a cube, through the panel's Generate and the service, with the starter model.

    All frames show the cube. Where the zoom leaves the lenses that the model has learned, it may come apart, and the
    panel has said so.
    """
    film(scene, 1.0)
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    settings = scene.collaborative_cameras
    settings.prompt, settings.output_folder = "a red cube on a green floor", str(tmp_path / "takes")
    settings.num_inference_steps = 25
    addon.runtime.session.close()
    bpy.ops.collaborative_cameras.generate()
    addon.runtime.session.wait_for_backend(TIMEOUT)
    (model,) = (each for each in addon.runtime.session.state.models if each.name == "starter")
    warnings = [text for text, icon in zip(*panel(addon, (model,)), strict=True) if icon == "ERROR"]
    assert warnings == ["As a square image, “Zoom” sees 22°. The model learned 37° to 88°."]
    take = addon.runtime.session.wait(timeout=TIMEOUT)

    record = addon.protocol.takes.read_record(take)
    ranges = importlib.import_module(f"{MODULE}.protocol.ranges")
    seen = ranges.fields_of_view(np.array(record.K), (record.height, record.width))
    run_in_service_python("starter_views.py", take, tmp_path / "seen.json")
    shown = json.loads((tmp_path / "seen.json").read_text())
    for view, frames in enumerate(shown["objects"]):
        for frame, objects in enumerate(frames):
            red = [area for colour, area, _ in objects if colour == "red"]
            assert 0.15 < sum(red) < 0.45, (view, frame)
            if seen[view, frame] > model.learned.field_of_view.low:
                assert len(red) == 1, (view, frame)
    assert shown["score"] > 0.6  # 0.84 when it was written; 0.01 in metres
