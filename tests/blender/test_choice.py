"""Which cameras get a video: those that cannot are listed with the reason, and stop no other."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import bpy
import numpy as np
import pytest
from blender.places import MODULE
from blender.scenes import add_camera, render
from blender.written_takes import SIZE, write_take


def chosen(addon: ModuleType) -> list[str]:
    return [camera.name for camera in addon.cameras.choice.chosen_cameras(bpy.context.scene)]


def disabled(camera: bpy.types.Object) -> None:
    camera.hide_viewport = True


def in_a_disabled_collection(camera: bpy.types.Object) -> None:
    outer, inner = (bpy.data.collections.new(name) for name in ("outer", "inner"))
    bpy.context.scene.collection.children.link(outer)
    outer.children.link(inner)
    inner.objects.link(camera)
    bpy.context.scene.collection.objects.unlink(camera)
    outer.hide_viewport = True


def in_an_excluded_collection(camera: bpy.types.Object) -> None:
    in_a_disabled_collection(camera)
    bpy.data.collections["outer"].hide_viewport = False
    bpy.context.view_layer.layer_collection.children["outer"].exclude = True


def orthographic(camera: bpy.types.Object) -> None:
    camera.data.type = "ORTHO"


SPOILED = {
    disabled: "disabled in viewports",
    in_a_disabled_collection: "disabled in viewports",
    in_an_excluded_collection: "disabled in viewports",
    orthographic: "orthographic",
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_a_camera_that_cannot_be_used_is_listed_and_stops_no_other(
    scene: bpy.types.Scene, addon: ModuleType, spoil: Callable[[bpy.types.Object], None]
) -> None:
    for name in ("Good", "Spoiled"):
        add_camera(scene, name)
    spoil(scene.objects["Spoiled"])
    assert chosen(addon) == ["Good"]
    addon.cameras.export.export_cameras(bpy.context, [scene.objects["Good"]], 2)
    labels, ticks = listed(addon, scene)
    assert labels == ["Cameras: 1 of 2", f"Spoiled: {SPOILED[spoil]}"]
    assert ticks == ["Good"]


def listed(addon: ModuleType, scene: bpy.types.Scene) -> tuple[list[str], list[str]]:
    """(labels, cameras with a check box) of the panel's list."""
    layout = MagicMock()
    box = layout.box.return_value
    box.column.return_value = box.row.return_value = box
    addon.panels.sidebar._draw_cameras(layout, scene)
    labels = [call.kwargs["text"] for call in box.label.call_args_list]
    return labels, [call.kwargs["text"] for call in box.prop.call_args_list]


def test_the_scenes_own_camera_can_be_disabled(scene: bpy.types.Scene, addon: ModuleType) -> None:
    """Blender evaluates it all the same."""
    scene.camera = add_camera(scene, "A")
    scene.camera.hide_viewport = True
    assert chosen(addon) == ["A"]
    addon.cameras.export.export_cameras(bpy.context, [scene.camera], 2)


def test_a_hidden_camera_is_no_disabled_one(scene: bpy.types.Scene, addon: ModuleType) -> None:
    camera = add_camera(scene, "A")
    camera.hide_set(True)
    assert chosen(addon) == ["A"]
    addon.cameras.export.export_cameras(bpy.context, [camera], 2)


@pytest.fixture
def linked(scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path) -> bpy.types.Object:
    """A camera of another file in a saved scene that has one of its own."""
    other = add_camera(scene, "Linked", (0.0, 1.0, 0.0))
    bpy.data.libraries.write(str(tmp_path / "set.blend"), {other})
    bpy.data.objects.remove(other)
    add_camera(scene, "Own")
    with bpy.data.libraries.load(str(tmp_path / "set.blend"), link=True) as (_, wanted):
        wanted.objects = ["Linked"]
    camera = bpy.data.objects["Linked"]
    scene.collection.objects.link(camera)
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    assert not camera.is_editable
    return camera


def test_a_linked_camera_is_unticked_and_can_be_ticked(linked, scene, addon: ModuleType, tmp_path: Path) -> None:
    """The scene keeps the tick, in the file too."""
    assert chosen(addon) == ["Own"]
    bpy.ops.collaborative_cameras.choose_linked(camera="Linked")
    assert chosen(addon) == ["Linked", "Own"]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert chosen(addon) == ["Linked", "Own"]
    bpy.ops.collaborative_cameras.choose_linked(camera="Linked")
    assert chosen(addon) == ["Own"]
    with pytest.raises(RuntimeError, match="no linked camera “Own”"):
        bpy.ops.collaborative_cameras.choose_linked(camera="Own")


def test_a_linked_camera_shows_its_take_without_being_changed(linked, scene, addon: ModuleType, tmp_path: Path) -> None:
    bpy.ops.collaborative_cameras.choose_linked(camera="Linked")
    generation = importlib.import_module(f"{MODULE}.operators.generation")
    cameras = addon.cameras.choice.required_cameras(scene)
    asked = generation._submission(bpy.context, cameras, "")
    assert asked.cameras.names == ("Linked", "Own")
    images = write_take(tmp_path / "take_0001", ["Linked", "Own"], 1, 48)
    scene.collaborative_cameras.show_in_renders = True
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    assert not linked.data.background_images
    assert sorted(child.type for child in linked.children) == ["EMPTY", "MESH"]
    for view, camera in enumerate((linked, scene.objects["Own"])):
        pixels = render(scene, camera, 1, tmp_path / "render.png")
        assert np.abs(pixels.astype(int) - images[view, 0]).max() <= 1
    scene.collaborative_cameras.show_planes = False
    scene.camera = linked
    bpy.ops.collaborative_cameras.show_take()
    assert scene.camera == linked
    assert scene.collaborative_cameras.show_planes, "it has no background"
