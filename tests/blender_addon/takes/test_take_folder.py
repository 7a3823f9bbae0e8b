"""Takes on disk."""

from dataclasses import replace
from pathlib import Path

import pytest

from blender_addon.takes.take_files import (
    Take,
    TakeFolderError,
    claim_take_folder,
    frame_path,
    new_take_folder,
    read_take,
    write_atomic,
    write_take,
)

TAKE = Take({"prompt": "a cube", "view_names": ["A"]}, [[[[1.0]]] * 3], [[[[2.0]]] * 3], 1, 48, 1.5)


def test_takes_are_numbered_after_the_highest_there_is(tmp_path: Path) -> None:
    parent = tmp_path / "new" / "takes"
    assert new_take_folder(parent).name == "take_0001"
    (parent / "take_0041").mkdir()
    (parent / "take_notes").mkdir()
    assert new_take_folder(parent).name == "take_0042"


def test_a_folder_takes_one_take_only(tmp_path: Path) -> None:
    folder = claim_take_folder(tmp_path / "mine")
    write_take(folder, TAKE)
    with pytest.raises(TakeFolderError, match="take already"):
        claim_take_folder(folder)


def test_a_take_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_take(tmp_path, replace(TAKE, seconds=2.5))
    assert read_take(tmp_path) == replace(TAKE, seconds=2.5)
    assert read_take(tmp_path).frame_count == 3


def test_a_missing_and_a_broken_take_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TakeFolderError, match="holds no take"):
        read_take(tmp_path)
    (tmp_path / "take.json").write_text('{"request": ')
    with pytest.raises(TakeFolderError, match=r"broken.*again"):
        read_take(tmp_path)


def test_files_appear_whole_under_the_names_that_blender_counts(tmp_path: Path) -> None:
    path = frame_path(tmp_path, 2, 0)
    assert path == tmp_path / "view_02" / "0001.png"
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["0001.png"]
