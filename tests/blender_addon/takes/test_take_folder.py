"""The folders that takes are written to."""

from pathlib import Path

import pytest

from blender_addon.takes.take_folder import TakeFolderError, claim_take_folder, new_take_folder


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
