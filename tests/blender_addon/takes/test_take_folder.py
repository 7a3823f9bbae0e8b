"""The folders that takes are written to."""

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

from blender_addon.takes import take_folder
from blender_addon.takes.take_folder import (
    TakeFolderError,
    claim_take_folder,
    move_take_folder,
    new_take_folder,
    take_title,
)


def test_takes_are_numbered_after_the_highest_there_is(tmp_path: Path) -> None:
    parent = tmp_path / "new" / "takes"
    assert new_take_folder(parent).name == "take_0001"
    (parent / "take_0041").mkdir()
    (parent / "take_notes").mkdir()
    assert new_take_folder(parent).name == "take_0042"


def test_a_folder_takes_one_take_only(tmp_path: Path) -> None:
    folder = claim_take_folder(tmp_path / "mine")
    (folder / "take.json").write_text("{}")
    with pytest.raises(TakeFolderError, match="take already"):
        claim_take_folder(folder)


def test_frames_of_a_take_that_failed_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    (tmp_path / "view_00").mkdir()
    with pytest.raises(TakeFolderError, match="frames already"):
        claim_take_folder(tmp_path)


def test_other_files_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert claim_take_folder(tmp_path) == tmp_path


@pytest.mark.parametrize(("name", "title"), [("take_0003", "Take 3"), ("take_0120", "Take 120"), ("v001", "“v001”")])
def test_takes_have_a_title_for_people(name: str, title: str) -> None:
    assert take_title(Path("takes") / name) == title


def take_in(parent: Path, content: str) -> Path:
    folder = parent / "take_0001"
    (folder / "view_00").mkdir(parents=True)
    (folder / "view_00" / "0001.png").write_text(content)
    return folder


def test_a_take_moves_and_takes_the_next_number_where_its_own_is_taken(tmp_path: Path) -> None:
    assert move_take_folder(take_in(tmp_path / "home", "a"), tmp_path / "project" / "takes").name == "take_0001"
    moved = move_take_folder(take_in(tmp_path / "home", "b"), tmp_path / "project" / "takes")
    assert moved == tmp_path / "project" / "takes" / "take_0002"
    assert (moved / "view_00" / "0001.png").read_text() == "b"
    assert (moved.parent / "take_0001" / "view_00" / "0001.png").read_text() == "a"
    assert not any((tmp_path / "home").iterdir())


@pytest.mark.parametrize("full", [False, True])
def test_a_take_goes_to_another_disk_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    take = take_in(tmp_path / "home", "a")
    rename, copytree = Path.rename, shutil.copytree

    def rename_within_a_disk(path: Path, target: Path) -> Path:
        if path.parent != target.parent:
            raise OSError(errno.EXDEV, "another disk")
        return rename(path, target)

    def copy(source: Path, target: Path, *options: Any, **more: Any) -> Path:
        copytree(source, target, *options, **more)
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return target

    monkeypatch.setattr(Path, "rename", rename_within_a_disk)
    monkeypatch.setattr(take_folder.shutil, "copytree", copy)
    if full:
        with pytest.raises(OSError, match="No space left"):
            move_take_folder(take, tmp_path / "project")
    else:
        assert move_take_folder(take, tmp_path / "project") == tmp_path / "project" / "take_0001"
    here, gone = (take, tmp_path / "project") if full else (tmp_path / "project" / "take_0001", take.parent)
    assert (here / "view_00" / "0001.png").read_text() == "a"
    assert not any(gone.iterdir())
