"""Where takes lie: beside their file, and still found when the file, or the whole project, goes elsewhere."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType

import bpy
import pytest
from blender.places import MODULE
from blender.scenes import add_camera
from blender.written_takes import write_take


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's home folder, with a folder of documents."""
    folder = tmp_path / "home"
    (folder / "Documents").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    return folder


@pytest.fixture
def waiting(home: Path) -> Path:
    """The folder for takes of files that are not saved."""
    return home / "Documents" / "Collaborative Cameras" / "takes"


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path))


def import_take(take: Path) -> None:
    bpy.ops.collaborative_cameras.import_take(directory=str(take))


def shown_files() -> set[Path]:
    """The first file of every image in the open file."""
    return {
        Path(os.path.normpath(bpy.path.abspath(image.filepath)))
        for image in bpy.data.images
        if image.source == "SEQUENCE"
    }


def output_folder(scene: bpy.types.Scene) -> Path:
    preferences = importlib.import_module(f"{MODULE}.preferences")
    return preferences.output_folder(scene, bpy.data.filepath)


def test_takes_go_beside_the_file(scene, home: Path, waiting: Path, tmp_path: Path) -> None:
    """Before it is saved, into a folder that people find; none of them is one that goes with the extension."""
    assert output_folder(scene) == waiting
    scene.collaborative_cameras.output_folder = "//renders"
    assert output_folder(scene) == waiting
    scene.collaborative_cameras.output_folder = ""
    save(tmp_path / "project" / "shot.blend")
    assert output_folder(bpy.context.scene) == tmp_path / "project" / "takes"
    bpy.context.scene.collaborative_cameras.output_folder = "//../renders"
    assert output_folder(bpy.context.scene).resolve() == tmp_path / "renders"


def test_without_documents_the_home_folder_has_them(scene, home: Path) -> None:
    (home / "Documents").rmdir()
    assert output_folder(scene) == home / "Collaborative Cameras" / "takes"


def test_a_project_can_be_moved(scene, addon: ModuleType, tmp_path: Path) -> None:
    add_camera(scene, "A")
    save(tmp_path / "project" / "shot.blend")
    write_take(tmp_path / "project" / "takes" / "take_0001", ["A"], 1, 48)
    import_take(tmp_path / "project" / "takes" / "take_0001")
    bpy.ops.wm.save_mainfile()
    (tmp_path / "project").rename(tmp_path / "archive")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "archive" / "shot.blend"))
    take = tmp_path / "archive" / "takes" / "take_0001"
    assert bpy.context.scene.collaborative_cameras.take == str(take)
    assert shown_files() == {take / "view_00" / "0001.png"}
    import_take(take)
    assert len(bpy.data.images) == len(bpy.context.scene.collection.children) == 1


def test_a_take_elsewhere_keeps_its_place(scene, home: Path, addon: ModuleType, tmp_path: Path) -> None:
    """It has nothing in common with the file but the home folder."""
    add_camera(scene, "A")
    save(home / "project" / "shot.blend")
    write_take(home / "store" / "take_0001", ["A"], 1, 48)
    import_take(home / "store" / "take_0001")
    (image,) = bpy.data.images
    assert image.filepath == str(home / "store" / "take_0001" / "view_00" / "0001.png")


def test_saving_elsewhere_leaves_the_takes_shown(scene, addon: ModuleType, tmp_path: Path) -> None:
    add_camera(scene, "A")
    save(tmp_path / "project" / "shot.blend")
    take = tmp_path / "project" / "takes" / "take_0001"
    write_take(take, ["A"], 1, 48)
    import_take(take)
    save(tmp_path / "project" / "versions" / "shot_2.blend")
    assert bpy.context.scene.collaborative_cameras.take == str(take)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "project" / "versions" / "shot_2.blend"))
    assert bpy.context.scene.collaborative_cameras.take == str(take)
    assert shown_files() == {take / "view_00" / "0001.png"}


def test_takes_of_a_file_without_a_place_come_to_it_when_it_is_saved(scene, waiting: Path, tmp_path: Path) -> None:
    """The saved file has their new paths. A take of another file stays, and so does the number of one that is there."""
    add_camera(scene, "A")
    for name in ("take_0001", "take_0002"):
        write_take(waiting / name, ["A"], 1, 48)
    write_take(tmp_path / "project" / "takes" / "take_0002", ["A"], 1, 48)
    import_take(waiting / "take_0002")
    save(tmp_path / "project" / "shot.blend")
    take = tmp_path / "project" / "takes" / "take_0003"
    assert [folder.name for folder in waiting.iterdir()] == ["take_0001"]
    for _ in range(2):
        assert bpy.context.scene.collaborative_cameras.take == str(take)
        assert shown_files() == {take / "view_00" / "0001.png"}
        assert {image.filepath for image in bpy.data.images} == {"//takes/take_0003/view_00/0001.png"}
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "project" / "shot.blend"))


def test_a_take_that_was_finished_after_saving_comes_with_the_next_save(scene, waiting: Path, tmp_path: Path) -> None:
    add_camera(scene, "A")
    save(tmp_path / "project" / "shot.blend")
    write_take(waiting / "take_0001", ["A"], 1, 48)
    import_take(waiting / "take_0001")
    bpy.ops.wm.save_mainfile()
    assert {image.filepath for image in bpy.data.images} == {"//takes/take_0001/view_00/0001.png"}


def test_a_take_that_cannot_be_moved_stays_and_is_shown(scene, waiting: Path, tmp_path: Path, addon) -> None:
    add_camera(scene, "A")
    write_take(waiting / "take_0001", ["A"], 1, 48)
    import_take(waiting / "take_0001")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "takes").write_text("in the way")
    save(tmp_path / "project" / "shot.blend")
    assert "could not be moved" in addon.runtime.session.state.problem.message
    assert bpy.context.scene.collaborative_cameras.take == str(waiting / "take_0001")
    assert shown_files() == {waiting / "take_0001" / "view_00" / "0001.png"}
    assert all(path.is_file() for path in shown_files())


def test_undo_past_the_save_finds_the_moved_take(scene, waiting: Path, tmp_path: Path) -> None:
    add_camera(scene, "A")
    write_take(waiting / "take_0001", ["A"], 1, 48)
    import_take(waiting / "take_0001")
    bpy.ops.ed.undo_push(message="Import")
    save(tmp_path / "project" / "shot.blend")
    bpy.ops.ed.undo_push(message="After")
    bpy.ops.ed.undo()
    assert shown_files() == {tmp_path / "project" / "takes" / "take_0001" / "view_00" / "0001.png"}


def test_removing_the_extension_deletes_no_take(scene, home: Path, addon: ModuleType) -> None:
    mine = Path(bpy.utils.extension_path_user(MODULE))
    assert mine not in output_folder(scene).parents
