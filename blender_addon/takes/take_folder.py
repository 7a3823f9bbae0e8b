"""The folder that a take is written to: a new numbered one, or one that a script names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ..problem import AddonError
from ..protocol.takes import TAKE_FILE, view_folders


class TakeFolderError(AddonError):
    """A folder that cannot receive a take."""

    code = "take_folder"


def take_title(folder: Path) -> str:
    """A take's name for people: "Take 3" for a numbered folder, else the folder's name in quotation marks."""
    match = re.fullmatch(r"take_(\d+)", folder.name)
    return f"Take {int(match[1])}" if match else f"“{folder.name}”"


def new_take_folder(parent: Path) -> Path:
    """Create the next numbered folder in `parent`: `take_0001`, `take_0002` and so on. Raises OSError."""
    parent.mkdir(parents=True, exist_ok=True)
    numbers = [int(match[1]) for entry in parent.iterdir() if (match := re.fullmatch(r"take_(\d+)", entry.name))]
    number = max(numbers, default=0) + 1
    while True:
        folder = parent / f"take_{number:04d}"
        try:
            folder.mkdir()
        except FileExistsError:  # another Blender was faster
            number += 1
        else:
            return folder


def claim_take_folder(folder: Path) -> Path:
    """Create `folder` for one take. It may exist already, and hold other files than those of a take.

    Raises TakeFolderError when it holds a take, or frames of one; the record would mix them with the new ones. Raises
    OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / TAKE_FILE).exists():
        raise TakeFolderError(f"{folder} holds a take already.", "Choose another folder, or delete that take.")
    if any(view_folders(folder)):
        raise TakeFolderError(f"{folder} holds frames already.", "Choose another folder, or delete these frames.")
    return folder


def move_take_folder(take: Path, parent: Path) -> Path:
    """Move a take into another folder, under its name, or under the next number if that is taken there.

    The take is in one of the two places, whole, whatever goes wrong. Returns its new folder. Raises OSError.
    """
    parent.mkdir(parents=True, exist_ok=True)
    target = parent / take.name
    if target.exists():
        target = new_take_folder(parent)
        target.rmdir()  # only its number was wanted: a folder cannot be renamed onto another one everywhere
    try:
        take.rename(target)
    except OSError:  # another disk
        copy = parent / f".{target.name}.copy"
        try:
            shutil.copytree(take, copy)
            copy.rename(target)
        except OSError:
            shutil.rmtree(copy, ignore_errors=True)
            raise
        shutil.rmtree(take, ignore_errors=True)
    return target
