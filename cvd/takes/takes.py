"""A generation on disk: frames, videos, cameras, latents, and what it was made from."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ..cameras.cameras import Cameras
from ..cameras.files import read_transforms, write_transforms
from ..cameras.plots import plot_trajectories
from ..errors import RequestError
from ..pipeline import Output
from . import export

TAKE_FILE = "take.json"

UNFINISHED_FILE = "take.unfinished.json"
"""Has the place of take.json while a take is being written: a folder with it is ours, but not whole."""

VERSION_KEY = "cvd_version"
"""Of the package that wrote take.json, which tells it from other programs' files of this name."""

GIVE_A_TAKE = "Give a folder that `python -m cvd generate` wrote."


@dataclass(frozen=True, eq=False)
class FinishedTake:
    """What `write_take` wrote. scale: the factor that brought the cameras from their files' units to these."""

    output: Output
    cameras: Cameras
    scale: float


def write_take(folder: Path, output: Output, cameras: Cameras, made_from: Mapping[str, Any]) -> None:
    """Writes a generation in place of an older one.

    latents.npy, view_NN/0001.png and on, transforms.json, trajectories.png, view_NN.mp4 and .gif, grid.mp4 and .gif,
    and last take.json with `made_from` and this package's version: a folder that has it is whole.

    Args:
        made_from: JSON's types. Its "scale" is a `FinishedTake`'s, without which the take is no anchor.

    Raises:
        RequestError: files of these names that are none of ours, which stay, or a folder that cannot be written.
    """
    check_take_folder(folder)
    unfinished = folder / UNFINISHED_FILE
    videos = export.to_uint8(output.videos)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / TAKE_FILE).exists():
            os.replace(folder / TAKE_FILE, unfinished)
        _remove_files(folder)
        record = {**made_from, VERSION_KEY: _version()}
        unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        np.save(folder / "latents.npy", output.latents, allow_pickle=False)
        for view, video in enumerate(videos):
            export.write_frames(view_folder(folder, view), video)
        write_transforms(folder / "transforms.json", cameras)
        plot_trajectories(folder / "trajectories.png", cameras)
    write_videos(folder, videos)
    with writing(folder):
        os.replace(unfinished, folder / TAKE_FILE)


def finish_take(folder: Path) -> None:
    """Turns a take whose files are all there into a whole one, if it is not; other folders stay as they are.

    Raises:
        RequestError, CameraError: files are missing or do not fit each other.
    """
    if (folder / UNFINISHED_FILE).is_file():
        _read_files(folder)
        with writing(folder):
            os.replace(folder / UNFINISHED_FILE, folder / TAKE_FILE)


def check_take_folder(folder: Path) -> None:
    """Whether a take can be written there, found out without changing anything.

    Raises:
        RequestError: it cannot be written, or holds a take's files that `write_take` did not write.
    """
    check_writable(folder)
    if not folder.is_dir() or (folder / UNFINISHED_FILE).exists():
        return
    if (folder / TAKE_FILE).exists():
        if VERSION_KEY not in _read_record(folder):
            raise RequestError(f"The take in {folder} was written by another program.", "Choose another folder.")
        return
    with writing(folder):
        files = sorted(_take_files(folder))
    if files:
        raise RequestError(
            f"{folder} holds {files[0].relative_to(folder)}, but no {TAKE_FILE} that says what made it.",
            "Choose another folder, or move those files away.",
        )


def check_writable(folder: Path) -> None:
    """Raises RequestError when a folder cannot be written, or cannot be made. It is not made here."""
    with writing(folder):
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not existing.is_dir():
            raise NotADirectoryError(f"{existing} is a file")
        with tempfile.TemporaryFile(dir=existing):
            pass


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns what the file system refuses into a RequestError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise RequestError(f"{folder} cannot be written: {reason}.", "Choose another folder, or make room.") from error


def write_videos(folder: Path, videos: export.Frames) -> None:
    """(V, F, H, W, 3) to folder/view_NN and folder/grid, each as .mp4 and .gif.

    Raises:
        RequestError: the encoder failed.
    """
    named = {f"view_{view:02d}": video for view, video in enumerate(videos)} | {"grid": export.view_grid(videos)}
    try:
        for name, video in named.items():
            export.write_mp4(folder / f"{name}.mp4", video)
            export.write_gif(folder / f"{name}.gif", video)
    except (OSError, RuntimeError, ValueError, ImportError) as error:  # what imageio raises, by the cause
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RequestError(
            f"The videos in {folder} could not be written: {reason}.",
            f"The frames are there: mend the cause, then `python -m cvd videos {folder}` makes the videos.",
        ) from error


def read_videos(folder: Path) -> export.Frames:
    """(V, F, H, W, 3) from folder/view_00/0001.png and on.

    Raises:
        RequestError: no view there, files that are no images, or views that differ in length or size.
    """
    videos: list[export.Frames] = []
    while ((view := view_folder(folder, len(videos))) / "0001.png").is_file():
        try:
            videos.append(export.read_frames(view))
        except (OSError, ValueError, SyntaxError) as error:  # broken files; frames of different sizes; broken PNGs
            raise RequestError(f"The frames in {view} cannot be read: {error}.", "Render them again.") from error
    if not videos:
        raise RequestError(f"{folder} holds no view_00/0001.png.", "Give the folder that a generation was written to.")
    if any((path / "0001.png").is_file() for path in folder.glob("view_*") if path.name > view.name):
        raise RequestError(
            f"{view} holds no 0001.png, but a later view does.", "Put the missing frames in their place."
        )
    if len({video.shape for video in videos}) > 1 or videos[0].shape[-1:] != (3,) or videos[0].ndim != 4:
        raise RequestError(f"The views in {folder} differ in number of frames or size, or are not in RGB.")
    return np.stack(videos)


def read_take(folder: Path) -> FinishedTake:
    """What `write_take` wrote, to generate further views of it.

    Raises:
        RequestError, CameraError: the folder is not whole, or its files do not fit each other.
    """
    if not (folder / TAKE_FILE).is_file():
        unfinished = (folder / UNFINISHED_FILE).is_file()
        raise RequestError(
            f"{folder} holds {'an unfinished take' if unfinished else f'no {TAKE_FILE}'}.",
            f"`python -m cvd videos {folder}` finishes it, if only videos are missing." if unfinished else GIVE_A_TAKE,
        )
    scale = _read_record(folder).get("scale")
    if not isinstance(scale, int | float) or not 0 < scale < float("inf"):
        raise RequestError(f"{folder / TAKE_FILE} does not say the scale of its cameras.", GIVE_A_TAKE)
    output, cameras = _read_files(folder)
    return FinishedTake(output, cameras, float(scale))


def view_folder(folder: Path, view: int) -> Path:
    """The folder of a view's frames."""
    return folder / f"view_{view:02d}"


def _read_files(folder: Path) -> tuple[Output, Cameras]:
    path = folder / "latents.npy"
    try:
        latents = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RequestError(f"{path} cannot be read: {error}.", GIVE_A_TAKE) from error
    videos, cameras = read_videos(folder), read_transforms(folder / "transforms.json")
    size = (cameras.views, cameras.frames, cameras.height, cameras.width)
    if videos.shape[:4] != size or not _are_latents_of(size, latents.shape) or not np.isfinite(latents).all():
        raise RequestError(
            f"The files in {folder} do not fit each other: frames {videos.shape[:4]}, cameras {size} (views, frames, "
            f"height, width), latents {latents.shape}.",
            "Generate it again.",
        )
    return Output(videos.astype(np.float32) / 255, latents), cameras


def _are_latents_of(size: tuple[int, int, int, int], shape: tuple[int, ...]) -> bool:
    """Whether latents (views, channels, frames, h, w) can be those of videos, size (views, frames, height, width).

    That is when each covers a square of the same whole number of pixels; of how many, only the model knows.
    """
    if len(shape) != 5 or min(shape) < 1:
        return False
    views, _, frames, h, w = shape
    return size == (views, frames, h * (size[2] // h), w * (size[2] // h))


def _read_record(folder: Path) -> dict[str, Any]:
    """What take.json says. Raises RequestError when it is none."""
    path = folder / TAKE_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{path} cannot be read: {error}.", GIVE_A_TAKE) from error
    if not isinstance(record, dict):
        raise RequestError(f"{path} is not a take's: it is no JSON object.", GIVE_A_TAKE)
    return record


def _take_files(folder: Path) -> Iterator[Path]:
    """Files that are named like a take's, apart from take.json."""
    for path in folder.iterdir():
        if path.is_dir() and re.fullmatch(r"view_\d{2,}", path.name):
            yield from (frame for frame in path.iterdir() if re.fullmatch(r"\d{4,}\.png", frame.name))
        elif re.fullmatch(r"(view_\d{2,}|grid)\.(mp4|gif)|transforms\.json|trajectories\.png|latents\.npy", path.name):
            yield path


def _remove_files(folder: Path) -> None:
    """Removes a take's files, and its views' folders where nothing else is in them."""
    for path in list(_take_files(folder)):
        path.unlink()
    for path in folder.glob("view_*"):
        if re.fullmatch(r"view_\d{2,}", path.name) and path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _version() -> str:
    try:
        return version("collaborative-cameras")
    except PackageNotFoundError:
        return "not installed as a package"
