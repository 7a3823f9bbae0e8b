"""A take on disk: its record, and the places of its files.

    take.json                          the record
    view_00/0001.png ... 0016.png      frames of the first view
    view_00/latents.npy                its latents, (C, F, h, w) float32

The service, the command line and the add-on write the same record, and each reads what the others wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from .errors import ProtocolError
from .files import write_whole
from .messages import Count, GenerateRequest, Identifier, MadeWith, Name, Text, shortened
from .models import ModelReference, Positive
from .settings import SamplingSettings

TAKE_FILE = "take.json"
UNFINISHED_FILE = "take.unfinished.json"
"""Name of the record while a take is being written. A folder with it has a take that is not whole."""

LATENTS_FILE = "latents.npy"
TAKE_FORMAT: Literal["collaborative-cameras take"] = "collaborative-cameras take"
TAKE_VERSION: Literal[1] = 1

Length = Annotated[float, msgspec.Meta(gt=0)]
SceneFrame = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""Blender's frame numbers have 32 bits."""

Matrix = tuple[tuple[float, ...], ...]
Trajectories = tuple[tuple[Matrix, ...], ...]
"""Matrices of every view and frame: [view][frame][row][column]."""


class TakeError(ProtocolError):
    """A folder without a take, or a record that cannot be read."""

    code = "take"


class SceneSpan(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a take in a Blender scene.

    name: name of the scene. frame_start, frame_end: scene frames of the take's first and last frame.
    aspect: width / height of the cameras' images.
    """

    name: str
    frame_start: SceneFrame
    frame_end: SceneFrame
    aspect: float


class TakeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that made a take.

    software: version of the program. created: seconds since the epoch. seconds: duration of the generation.
    job_id: id of the service's job; None without a service. settings: settings of the run, with every number set.
    c2w: (V, F, 4, 4) camera-to-world, OpenCV axes, in the model's units. K: (V, F, 3, 3) in pixels of width x height.
    scale: factor from the units of the scene, or of the camera files, to those of `c2w`.
    anchored_views: number of the first views, which came from an earlier take. warnings: warnings for the user.
    scene: place in a Blender scene; None for other cameras. options: further options of the command line.
    shown: (width, height) in pixels of the part in the middle of the frames that the scene's cameras see; the frames,
    with `c2w` and `K`, see more around it. None: it is all of them.
    files: the take's frames and latents, relative to its folder.
    """

    format: Literal["collaborative-cameras take"] = TAKE_FORMAT
    version: Literal[1] = TAKE_VERSION
    software: Name
    created: float
    seconds: float
    job_id: Identifier | None = None
    prompt: Text
    negative_prompt: Text
    settings: SamplingSettings
    model: ModelReference
    view_names: tuple[Name, ...]
    width: Positive
    height: Positive
    c2w: Trajectories
    K: Trajectories
    scale: float = 1.0
    anchored_views: Count = 0
    warnings: tuple[str, ...] = ()
    scene: SceneSpan | None = None
    shown: tuple[Length, Length] | None = None
    options: dict[str, Any] = {}
    files: tuple[str, ...] = ()

    @property
    def views(self) -> int:
        """V, the number of views."""
        return len(self.view_names)

    @property
    def frame_count(self) -> int:
        """F, the number of frames of each view."""
        return len(self.c2w[0])


def record_of(
    request: GenerateRequest,
    c2w: np.ndarray,
    K: np.ndarray,
    *,
    made: MadeWith,
    created: float,
    seconds: float,
    job_id: str | None,
    files: tuple[str, ...],
    scene: SceneSpan | None = None,
    shown: tuple[float, float] | None = None,
) -> TakeRecord:
    """The record of a finished request.

    c2w: (V, F, 4, 4), K: (V, F, 3, 3), as in the request's `Submit`. The other arguments are as in `TakeRecord`.
    """
    return TakeRecord(
        software=made.software,
        created=created,
        seconds=seconds,
        job_id=job_id,
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        settings=made.settings,
        model=made.model,
        view_names=request.view_names,
        width=request.width,
        height=request.height,
        c2w=msgspec.convert(np.asarray(c2w).tolist(), Trajectories),
        K=msgspec.convert(np.asarray(K).tolist(), Trajectories),
        scale=request.scale,
        warnings=made.warnings,
        scene=scene,
        shown=shown,
        files=files,
    )


def view_name(view: int) -> str:
    """The name of a view's folder and of its videos. view: counted from 0."""
    return f"view_{view:02d}"


def view_folder(take: Path, view: int) -> Path:
    """The folder of a view's frames. view: counted from 0."""
    return take / view_name(view)


def frame_name(frame: int) -> str:
    """A frame's file name. frame: counted from 0; file names count from 1, as Blender's image sequences do."""
    return f"{frame + 1:04d}.png"


def frame_path(take: Path, view: int, frame: int) -> Path:
    """The file of a frame. view, frame: counted from 0."""
    return view_folder(take, view) / frame_name(frame)


def latents_path(take: Path, view: int) -> Path:
    """The file of a view's latents, (C, F, h, w) float32. view: counted from 0."""
    return view_folder(take, view) / LATENTS_FILE


def view_folders(take: Path) -> Iterator[tuple[int, Path]]:
    """The views that a folder holds, by number: (number, folder)."""
    numbers = sorted(int(path.name[5:]) for path in take.glob("view_*") if is_view_name(path.name) and path.is_dir())
    for view in numbers:
        yield view, view_folder(take, view)


def is_view_name(name: str) -> bool:
    """Whether a file name is that of a view's folder."""
    return re.fullmatch(r"view_\d{2,}", name, re.ASCII) is not None


def is_frame_name(name: str) -> bool:
    """Whether a file name is that of a frame."""
    return re.fullmatch(r"\d{4,}\.png", name, re.ASCII) is not None


def frame_files(view: Path) -> list[Path]:
    """The frames in a view's folder, in order."""
    return sorted((path for path in view.iterdir() if is_frame_name(path.name)), key=lambda path: int(path.stem))


def take_files(take: Path) -> tuple[str, ...]:
    """The frames and latents that a folder holds, relative to it, as `TakeRecord.files` lists them."""
    found: list[str] = []
    for _, folder in view_folders(take):
        names = [path.name for path in frame_files(folder)]
        names += [LATENTS_FILE] * (folder / LATENTS_FILE).is_file()
        found += [f"{folder.name}/{name}" for name in names]
    return tuple(found)


def write_record(take: Path, record: TakeRecord, file: str = TAKE_FILE) -> None:
    """Write a take's record. Raises OSError."""
    write_whole(take / file, encode_record(record))


def encode_record(record: TakeRecord) -> bytes:
    """A record as the content of take.json: a field on each line, and a line for the cameras of each view."""
    fields = msgspec.to_builtins(record)
    lines = []
    for name, value in fields.items():
        if name in ("c2w", "K"):
            views = ",\n  ".join(msgspec.json.encode(view).decode() for view in value)
            text = f"[\n  {views}\n ]"
        else:
            text = msgspec.json.encode(value).decode()
        lines.append(f' "{name}": {text}')
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def read_record(take: Path, file: str = TAKE_FILE) -> TakeRecord:
    """A take's record.

    Raises:
        TakeError: there is none, another program or another version wrote it, or it is broken.
    """
    path = take / file
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise TakeError(f"{take} holds no take.", f"Choose a folder with a {TAKE_FILE}.") from None
    except OSError as error:
        raise TakeError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
    try:
        mark = msgspec.json.decode(content, type=_Mark)
        if mark.format != TAKE_FORMAT:
            raise TakeError(f"{path} was written by another program.", "Choose a folder that this program wrote.")
        if mark.version != TAKE_VERSION:
            raise TakeError(
                f"{path} has version {shortened(str(mark.version), 40)} of the record; this program reads version "
                f"{TAKE_VERSION}.",
                "Install the release that wrote it, or a later one.",
            )
        record = msgspec.json.decode(content, type=TakeRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TakeError(f"{path} is broken: {error}.", "Generate the take again.") from error
    if not _is_consistent(record):
        raise TakeError(f"{path} is broken: its cameras do not fit its views.", "Generate the take again.")
    return record


class _Mark(msgspec.Struct):
    """The mark of our records, and their version."""

    format: Any = None
    version: Any = None


def _is_consistent(record: TakeRecord) -> bool:
    """Whether every view has a camera for every frame."""
    if not record.views or len(record.c2w) != record.views or not record.c2w[0]:
        return False
    return _has_shape(record.c2w, (record.views, record.frame_count, 4, 4)) and _has_shape(
        record.K, (record.views, record.frame_count, 3, 3)
    )


def _has_shape(values: Any, shape: tuple[int, ...]) -> bool:
    """Whether nested tuples have the lengths of an array of this shape."""
    if not shape:
        return True
    return len(values) == shape[0] and all(_has_shape(part, shape[1:]) for part in values)
