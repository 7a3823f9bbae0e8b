"""A finished take is announced, and one button shows it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import bpy
import pytest
from blender.scenes import add_camera
from blender.written_takes import write_take


@pytest.fixture
def shown(scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path) -> bpy.types.Scene:
    """A scene with three cameras of which two have a take. Another one is the scene's camera."""
    for name in ("Centre", "Left", "Right"):
        add_camera(scene, name)
    scene.camera = scene.objects["Centre"]
    scene.frame_set(20)
    write_take(tmp_path / "take_0003", ["Right", "Left"], 1, 48)
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0003"))
    return scene


def announcement(addon: ModuleType, scene: bpy.types.Scene) -> MagicMock:
    """What the panel draws about a new take."""
    layout = MagicMock()
    addon.panels.sidebar._draw_new_take(layout, scene)
    return layout.box.return_value


def test_a_new_take_is_ready_until_it_has_been_shown(shown: bpy.types.Scene, addon: ModuleType) -> None:
    settings = shown.collaborative_cameras
    assert not announcement(addon, shown).label.called, "nothing was generated"
    settings.new_take = settings.shown_take
    box = announcement(addon, shown)
    assert box.label.call_args.kwargs["text"] == "Take 3 is ready"
    assert box.row.return_value.operator.call_args.args[0] == "collaborative_cameras.show_take"
    bpy.ops.collaborative_cameras.show_take()
    assert not announcement(addon, shown).label.called


def test_showing_looks_through_a_camera_of_the_take(shown: bpy.types.Scene) -> None:
    """The first one, the one that is named, or the scene's own if the take has it."""
    bpy.ops.collaborative_cameras.show_take()
    assert (shown.camera.name, shown.frame_current) == ("Right", shown.frame_start)
    bpy.ops.collaborative_cameras.show_take(camera="Left")
    assert shown.camera.name == "Left"
    bpy.ops.collaborative_cameras.show_take()
    assert shown.camera.name == "Left"


def test_showing_turns_on_what_shows_it_and_leaves_the_shading(shown: bpy.types.Scene) -> None:
    space = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D").spaces.active
    space.overlay.show_overlays = False
    shading = space.shading.type, space.shading.color_type
    shown.collaborative_cameras.show_backgrounds = False
    bpy.ops.collaborative_cameras.show_take()
    assert space.region_3d.view_perspective == "CAMERA"
    assert space.overlay.show_overlays
    assert (space.shading.type, space.shading.color_type) == shading
    assert shown.camera.data.background_images[0].show_background_image


def test_a_take_without_its_cameras_says_so(shown: bpy.types.Scene) -> None:
    for name in ("Left", "Right"):
        bpy.data.objects.remove(shown.objects[name])
    with pytest.raises(RuntimeError, match="not in this scene any more"):
        bpy.ops.collaborative_cameras.show_take()


def test_without_a_take_there_is_nothing_to_show(scene: bpy.types.Scene, addon: ModuleType) -> None:
    assert not bpy.ops.collaborative_cameras.show_take.poll()
