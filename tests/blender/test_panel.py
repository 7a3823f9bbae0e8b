"""The panel: its settings are made from the protocol's schema, drawn as the model has them, and sent one by one."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import bpy
import pytest
from blender.places import MODULE
from blender.scenes import add_camera


@pytest.fixture
def schema(addon: ModuleType) -> ModuleType:
    """The protocol's settings, as the extension has them."""
    return addon.protocol.settings


def tiny(addon: ModuleType, **fields: Any) -> Any:
    """A model that has all settings, but for `fields`."""
    models, settings = addon.protocol.models, addon.protocol.settings
    described = {
        "name": "tiny",
        "sizes": models.SizeRule(native=64, multiple=8),
        "frames": models.FrameRule(at_once=16, most=128),
        "defaults": settings.SamplingSettings(num_inference_steps=4, guidance_scale=5.0),
        "settings": tuple(setting.name for setting in settings.SETTINGS),
    }
    return models.ModelInfo(**(described | fields))


def request(addon: ModuleType) -> dict[str, Any]:
    """The request that Generate would send now, field by field, and the number of frames."""
    generation = importlib.import_module(f"{MODULE}.operators.generation")
    cameras = addon.cameras.choice.chosen_cameras(bpy.context.scene)
    submission = generation._submission(bpy.context, cameras, "")
    asked = submission.request([tiny(addon), tiny(addon, name="other")])
    fields = {name: getattr(asked, name) for name in asked.__struct_fields__ if name != "settings"}
    sampling = {name: getattr(asked.settings, name) for name in asked.settings.__struct_fields__}
    return fields | sampling | {"frames": submission.cameras.c2w.shape[1]}


CHANGES = {
    "prompt": ("a red cube", {"prompt": "a red cube"}),
    "negative_prompt": ("a ball", {"negative_prompt": "a ball"}),
    "model": ("other", {"model": "other"}),
    "frames": (9, {"frames": 9}),
    "seed": (7, {"seed": 7}),
    "num_inference_steps": (33, {"num_inference_steps": 33}),
    "guidance_scale": (7.3, {"guidance_scale": 7.3}),
    "scheduler": ("dpmsolver++", {"scheduler": "dpmsolver++"}),
    "multistep": (3, {"multistep": 3}),
    "accumulate_step": (2, {"accumulate_step": 2}),
    "width": (96, {"width": 96}),
    "height": (40, {"height": 40}),
    "size_mode": ("AUTO", {"width": 88, "height": 48}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_property_changes_its_field_and_no_other(
    scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path, name: str
) -> None:
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    add_camera(scene, "A")
    settings = scene.collaborative_cameras
    settings.model, settings.output_folder = "tiny", str(tmp_path)
    settings.size_mode, settings.width, settings.height = "CUSTOM", 64, 32
    before = request(addon)
    value, expected = CHANGES[name]
    setattr(settings, name, value)
    assert request(addon) == before | expected
    assert before != before | expected


def test_every_setting_of_the_schema_has_a_property_like_it(addon: ModuleType, schema: ModuleType) -> None:
    assert {setting.name for setting in schema.SETTINGS} <= set(CHANGES)
    properties = bpy.context.scene.collaborative_cameras.bl_rna.properties
    for setting in schema.SETTINGS:
        made = properties[setting.name]
        assert made.name == setting.title
        assert made.description.startswith(setting.description)
        if setting.choices:
            assert made.enum_items.keys() == ["MODEL", *setting.choices]
            assert made.default == "MODEL"
        else:
            assert made.type == {int: "INT", float: "FLOAT"}[setting.kind]
            assert made.hard_max == min(setting.high, 2**31 - 1)
            assert made.default == 0


def test_an_untouched_panel_asks_for_the_models_own_values(scene, addon: ModuleType, schema: ModuleType) -> None:
    add_camera(scene, "A")
    scene.collaborative_cameras.model = "tiny"
    asked = request(addon)
    assert {setting.name: asked[setting.name] for setting in schema.SETTINGS} == {
        setting.name: setting.default for setting in schema.SETTINGS
    }
    assert asked["frames"] == 16


def drawn(addon: ModuleType, scene: bpy.types.Scene, models: tuple[Any, ...]) -> tuple[list[str], list[str]]:
    """(properties, labels) that the panel's settings show when the backend offers these models."""
    layout = MagicMock()
    body = layout.panel.return_value[1]
    layout.panel.return_value = (MagicMock(), body)
    body.column.return_value = body.row.return_value = body
    state = addon.service.state.State(models=models)
    addon.panels.sidebar._draw_settings(layout, scene, state)
    labels = [call.kwargs["text"] for call in body.label.call_args_list]
    return [call.args[1] for call in body.prop.call_args_list], labels


def test_the_panel_draws_the_settings_that_the_model_has(scene, addon: ModuleType, schema: ModuleType) -> None:
    scene.collaborative_cameras.model = "tiny"
    names = {("" if setting.name == "seed" else "shown_") + setting.name for setting in schema.SETTINGS}
    properties, _ = drawn(addon, scene, ())
    assert names <= set(properties), "without a backend nobody knows what the model has"
    properties, _ = drawn(addon, scene, (tiny(addon, settings=("seed", "multistep")),))
    assert names & set(properties) == {"seed", "shown_multistep"}


def test_the_panel_says_what_the_model_cannot_make(scene, addon: ModuleType) -> None:
    settings = scene.collaborative_cameras
    settings.model = "tiny"
    rule = addon.protocol.models.FrameRule(at_once=9, most=81, step=4)
    assert "This model makes 17 frames" in drawn(addon, scene, (tiny(addon, frames=rule),))[1]
    settings.frames = 17
    assert "This model makes 17 frames" not in drawn(addon, scene, (tiny(addon, frames=rule),))[1]
    settings.model = "mine"
    assert "The backend does not offer it" in drawn(addon, scene, (tiny(addon),))[1]


def test_the_panel_lists_the_jobs_and_each_can_be_cancelled(addon: ModuleType) -> None:
    layout = MagicMock()
    row = layout.column.return_value.row.return_value
    row.operator.side_effect = lambda *_, **__: MagicMock()
    state = addon.service.state.State(backend=addon.service.state.BackendState.READY)
    for job_id in ("a", "b"):
        state.begin_job(job_id, f"prompt of {job_id}")
    addon.panels.sidebar._draw_generate(layout, state)
    assert [call.kwargs["text"] for call in row.progress.call_args_list] == ["Waiting", "Waiting"]
    assert [call.args[0] for call in row.operator.call_args_list] == ["collaborative_cameras.cancel"] * 2
    titles = [call.kwargs["text"] for call in layout.column.return_value.label.call_args_list]
    assert titles == ["prompt of a", "prompt of b"]


@pytest.mark.parametrize(("own", "word"), [(True, "lost"), (False, "goes on")])
def test_stop_says_whether_it_ends_the_service_or_leaves_it(
    addon: ModuleType, monkeypatch: pytest.MonkeyPatch, own: bool, word: str
) -> None:
    states = addon.service.state
    monkeypatch.setattr(addon.runtime.session, "state", states.State(backend=states.BackendState.READY, own=own))
    operator = importlib.import_module(f"{MODULE}.operators.backend").StopBackend
    assert word in operator.description(bpy.context, MagicMock())


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [
        ((1920, 1080), ["192 x 128 px", "Cameras see 192 x 108 of it"]),
        ((1000, 1000), ["128 x 128 px"]),
        ((4000, 100), ["The render is 40 to 1; models make 4 to 1 at most."]),
    ],
)
def test_the_panel_says_how_much_of_the_frames_the_cameras_see(
    scene, addon: ModuleType, resolution: tuple[int, int], expected: list[str]
) -> None:
    scene.collaborative_cameras.model = "tiny"
    scene.render.resolution_x, scene.render.resolution_y = resolution
    coarse = tiny(addon, sizes=addon.protocol.models.SizeRule(native=128, multiple=64))
    labels = drawn(addon, scene, (coarse,))[1]
    assert [label for label in labels if "px" in label or "see" in label or "render" in label] == expected


def test_the_panel_shows_the_models_own_numbers_until_they_are_changed(
    scene, addon: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that depend on the number of views as well. What a file keeps is 0 or the artist's value."""
    settings = scene.collaborative_cameras
    settings.model = "tiny"
    monkeypatch.setattr(addon.runtime.session, "state", addon.service.state.State())
    assert (settings.shown_num_inference_steps, settings.shown_guidance_scale) == (0, 0)
    assert settings.bl_rna.properties["shown_scheduler"].name == "Scheduler"
    monkeypatch.setattr(addon.runtime.session, "state", addon.service.state.State(models=(tiny(addon),)))
    for name in ("A", "B", "C"):
        add_camera(scene, name)
    own = {"num_inference_steps": 4, "guidance_scale": 5.0, "multistep": 3, "accumulate_step": 1}
    assert {name: getattr(settings, f"shown_{name}") for name in own} == own
    assert {name: getattr(settings, name) for name in own} == dict.fromkeys(own, 0)
    assert settings.shown_scheduler == "MODEL"
    settings.shown_num_inference_steps, settings.shown_scheduler = 30, "euler"
    assert (settings.num_inference_steps, settings.scheduler) == (30, "euler")
    asked = request(addon)
    assert (asked["num_inference_steps"], asked["scheduler"], asked["guidance_scale"]) == (30, "euler", None)
    for name in ("num_inference_steps", "scheduler"):
        bpy.ops.collaborative_cameras.reset_setting(setting=name)
    assert (settings.num_inference_steps, settings.scheduler) == (0, "MODEL")
    assert (settings.shown_num_inference_steps, settings.shown_scheduler) == (4, "MODEL")


def test_the_models_own_choice_has_its_name(scene, addon: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addon.runtime.session, "state", addon.service.state.State(models=(tiny(addon),)))
    settings = scene.collaborative_cameras
    settings.model = "tiny"
    assert bpy.types.UILayout.enum_item_name(settings, "shown_scheduler", "MODEL") == "Model's Own (ddim)"
    settings.model = "unknown"
    assert bpy.types.UILayout.enum_item_name(settings, "shown_scheduler", "MODEL") == "Model's Own"


def test_a_changed_setting_has_a_way_back(scene, addon: ModuleType) -> None:
    settings = scene.collaborative_cameras
    settings.model, settings.multistep = "tiny", 2
    layout = MagicMock()
    body = layout.panel.return_value[1]
    layout.panel.return_value = (MagicMock(), body)
    body.column.return_value = body.row.return_value = body
    addon.panels.sidebar._draw_settings(layout, scene, addon.service.state.State(models=(tiny(addon),)))
    assert [call.args[0] for call in body.operator.call_args_list] == ["collaborative_cameras.reset_setting"]
    assert body.operator.return_value.setting == "multistep"


def test_the_panel_says_how_fast_the_frames_play_and_fits_the_range(scene, addon: ModuleType) -> None:
    """The default scene has 250 frames at 24 a second. 30000 / 1001 is a rate as well."""

    def rate() -> tuple[str, bool]:
        column = MagicMock()
        layout = MagicMock(**{"column.return_value": column})
        system = SimpleNamespace(ui_scale=1.0)
        context = SimpleNamespace(
            scene=scene, region=SimpleNamespace(width=600), preferences=SimpleNamespace(system=system)
        )
        addon.panels.sidebar._draw_rate(layout, context)
        return column.label.call_args.kwargs["text"], column.operator.called

    assert rate() == ("16 frames over 250: 1.5 new pictures a second", True)
    bpy.ops.collaborative_cameras.fit_frame_range()
    assert scene.frame_end == 48
    assert rate() == ("16 frames over 48: 8.0 new pictures a second", False)
    scene.render.fps, scene.render.fps_base, scene.frame_start = 30, 1.001, 101
    scene.collaborative_cameras.frames = 32
    bpy.ops.collaborative_cameras.fit_frame_range()
    assert scene.frame_end == 220
