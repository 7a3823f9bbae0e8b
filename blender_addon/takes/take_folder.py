"""A take on disk: one folder with the frames of every view and `take.json`, which says what they were made from.

take_0001/take.json
take_0001/view_00/0001.png ... 0016.png
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..problem import AddonError

TAKE_FILE = "take.json"


class TakeFolderError(AddonError):
    """A folder that cannot take a take."""

    code = "take_folder"


@dataclass(frozen=True)
class Take:
    """What a generation was made from.

    request: the fields of the request that was sent (`protocol.messages.GenerateRequest`).
    c2w: (V, F, 4, 4) and K: (V, F, 3, 3), nested lists, as sent. frame_start, frame_end: the scene frames that the
    F generated frames span. aspect: width by height of the camera's view. seconds: how long the service took.
    """

    request: dict[str, Any]
    c2w: list
    K: list
    frame_start: int
    frame_end: int
    aspect: float
    seconds: float | None = None

    @property
    def frame_count(self) -> int:
        """F, frames per view."""
        return len(self.c2w[0])


def new_take_folder(parent: Path) -> Path:
    """Create and return the next numbered folder `take_0001`, `take_0002`, ... in `parent`."""
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
    """Create `folder` for one take. Raises TakeFolderError when it holds a take already."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / TAKE_FILE).exists():
        raise TakeFolderError(f"{folder} holds a take already.", "Choose another folder, or delete that take.")
    return folder


def view_folder(take_folder: Path, view: int) -> Path:
    """The folder of view number `view`, counted from 0."""
    return take_folder / f"view_{view:02d}"


def frame_path(take_folder: Path, view: int, frame: int) -> Path:
    """The file of frame number `frame`, counted from 0. File names count from 1, as Blender's sequences do."""
    return view_folder(take_folder, view) / f"{frame + 1:04d}.png"


def write_atomic(path: Path, content: bytes) -> None:
    """Write `path` so that it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_take(take_folder: Path, take: Take) -> None:
    """Write `take.json`."""
    write_atomic(take_folder / TAKE_FILE, json.dumps(asdict(take), indent=1).encode())


def read_take(take_folder: Path) -> Take:
    """Read `take.json`. Raises TakeFolderError when it is missing or broken."""
    path = take_folder / TAKE_FILE
    try:
        return Take(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise TakeFolderError(f"{take_folder} holds no take.", f"Choose a folder with a {TAKE_FILE}.") from None
    except (ValueError, TypeError) as error:
        raise TakeFolderError(f"{path} is broken: {error}.", "Generate the take again.") from error
