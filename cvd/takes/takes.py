"""A take on disk: its frames, videos, latents, pictures and record."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from protocol.takes import (
    LATENTS_FILE,
    TAKE_FILE,
    UNFINISHED_FILE,
    TakeError,
    TakeRecord,
    frame_path,
    is_frame_name,
    is_view_name,
    latents_path,
    read_record,
    take_files,
    view_folder,
    view_folders,
    view_name,
    write_record,
)

from ..cameras import Cameras
from ..cameras.files import write_transforms
from ..cameras.plots import plot_trajectories
from ..errors import RequestError
from ..request import Output
from . import export
from .folders import check_writable, writing
from .record import cameras_of

TRANSFORMS_FILE = "transforms.json"
TRAJECTORIES_FILE = "trajectories.png"
GRID_NAME = "grid"

GIVE_A_TAKE = "Give a folder with a take of this program."


@dataclass(frozen=True, eq=False)
class FinishedTake:
    """A take that was read from disk: its videos and latents, cameras and record."""

    output: Output
    cameras: Cameras
    record: TakeRecord


def write_take(folder: Path, output: Output, record: TakeRecord) -> None:
    """Writes a take, and replaces an older one.

    The files are view_NN/0001.png, ..., view_NN/latents.npy, transforms.json, trajectories.png, view_NN.mp4 and .gif,
    grid.mp4 and .gif. take.json comes last: a folder that has it is whole.

    Args:
        record: record of the take. Its `files` are set here.

    Raises:
        RequestError: the folder cannot be written, or has other files of these names, which stay.
    """
    check_take_folder(folder)
    videos, cameras = export.to_uint8(output.videos), cameras_of(record)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / TAKE_FILE).exists():
            os.replace(folder / TAKE_FILE, folder / UNFINISHED_FILE)
        _remove_files(folder)
        write_record(folder, record, UNFINISHED_FILE)
        for view, (video, latents) in enumerate(zip(videos, output.latents, strict=True)):
            export.write_frames(view_folder(folder, view), video)
            np.save(latents_path(folder, view), latents, allow_pickle=False)
        write_record(folder, msgspec.structs.replace(record, files=take_files(folder)), UNFINISHED_FILE)
        write_transforms(folder / TRANSFORMS_FILE, cameras)
        plot_trajectories(folder / TRAJECTORIES_FILE, cameras)
    write_videos(folder, videos)
    with writing(folder):
        os.replace(folder / UNFINISHED_FILE, folder / TAKE_FILE)


def finish_take(folder: Path) -> None:
    """Makes an unfinished take whole if all its files exist. Other folders do not change.

    Raises:
        RequestError, CameraError: files are missing or do not fit each other.
    """
    if (folder / UNFINISHED_FILE).is_file():
        _read_files(folder, _record(folder, UNFINISHED_FILE))
        with writing(folder):
            os.replace(folder / UNFINISHED_FILE, folder / TAKE_FILE)


def check_take_folder(folder: Path) -> None:
    """Checks that a take can be written to a folder, and changes nothing.

    Raises:
        RequestError: it cannot be written, or has a take's files that `write_take` did not write.
    """
    check_writable(folder)
    if not folder.is_dir() or (folder / UNFINISHED_FILE).exists():
        return
    if (folder / TAKE_FILE).exists():
        try:
            record = read_record(folder)
        except TakeError as error:
            raise RequestError(error.message, "Choose another folder.") from None
        if record.scene is not None:
            raise RequestError(f"{folder} holds a take of a Blender scene.", "Choose another folder.")
        return
    with writing(folder):
        files = sorted(_take_files(folder))
    if files:
        raise RequestError(
            f"{folder} holds {files[0].relative_to(folder)}, but no {TAKE_FILE} that says what made it.",
            "Choose another folder, or move those files away.",
        )


def write_videos(folder: Path, videos: export.Frames) -> None:
    """Writes (V, F, H, W, 3) to folder/view_NN and folder/grid, each as .mp4 and .gif.

    Raises:
        RequestError: the encoder failed.
    """
    named = {view_name(view): video for view, video in enumerate(videos)} | {GRID_NAME: export.view_grid(videos)}
    try:
        for name, video in named.items():
            export.write_mp4(folder / f"{name}.mp4", video)
            export.write_gif(folder / f"{name}.gif", video)
    except (OSError, RuntimeError, ValueError, ImportError) as error:  # what imageio raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RequestError(
            f"The videos in {folder} could not be written: {reason}.",
            f"The frames are there: mend the cause, then `python -m cvd videos {folder}` makes the videos.",
        ) from error


def read_videos(folder: Path) -> export.Frames:
    """Reads (V, F, H, W, 3) from folder/view_00/0001.png, ...

    Raises:
        RequestError: there is no view, a file is not an image, or views differ in length or size.
    """
    videos: list[export.Frames] = []
    while frame_path(folder, len(videos), 0).is_file():
        view = view_folder(folder, len(videos))
        try:
            videos.append(export.read_frames(view))
        except (OSError, ValueError, SyntaxError) as error:  # broken files; frames of different sizes; broken PNGs
            raise RequestError(f"The frames in {view} cannot be read: {error}.", "Render them again.") from error
    if not videos:
        raise RequestError(f"{folder} holds no view_00/0001.png.", "Give the folder that a generation was written to.")
    if any(number > len(videos) and frame_path(folder, number, 0).is_file() for number, _ in view_folders(folder)):
        raise RequestError(
            f"{frame_path(folder, len(videos), 0)} is missing, but a later view is there.",
            "Put the missing frames in their place.",
        )
    if len({video.shape for video in videos}) > 1 or videos[0].shape[-1:] != (3,) or videos[0].ndim != 4:
        raise RequestError(f"The views in {folder} differ in number of frames or size, or are not in RGB.")
    return np.stack(videos)


def read_take(folder: Path) -> FinishedTake:
    """Reads a take of the command line, the service or the add-on, to add views to it.

    Raises:
        RequestError, CameraError: the take is not whole, or its files do not fit each other.
    """
    if not (folder / TAKE_FILE).is_file() and (folder / UNFINISHED_FILE).is_file():
        raise RequestError(
            f"{folder} holds an unfinished take.",
            f"`python -m cvd videos {folder}` finishes it, if only videos are missing.",
        )
    return _read_files(folder, _record(folder))


def _record(folder: Path, file: str = TAKE_FILE) -> TakeRecord:
    try:
        return read_record(folder, file)
    except TakeError as error:
        raise RequestError(error.message, GIVE_A_TAKE) from error


def _read_files(folder: Path, record: TakeRecord) -> FinishedTake:
    cameras, videos = cameras_of(record), read_videos(folder)
    latents = []
    for view in range(len(videos)):
        path = latents_path(folder, view)
        try:
            latents.append(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise RequestError(f"{path} cannot be read: {error}.", GIVE_A_TAKE) from error
    size = (cameras.views, cameras.frames, cameras.height, cameras.width)
    shapes = {each.shape for each in latents}
    fits = len(shapes) == 1 and _are_latents_of(size, (len(latents), *shapes.copy().pop()))
    if videos.shape[:4] != size or not fits or not all(np.isfinite(each).all() for each in latents):
        raise RequestError(
            f"The files in {folder} do not fit each other: frames {videos.shape[:4]}, cameras {size} (views, frames, "
            f"height, width), latents {', '.join(map(str, shapes))}.",
            "Generate it again.",
        )
    return FinishedTake(Output(videos.astype(np.float32) / 255, np.stack(latents)), cameras, record)


def _are_latents_of(size: tuple[int, int, int, int], shape: tuple[int, ...]) -> bool:
    """Whether latents (views, channels, f, h, w) fit videos of a size (views, frames, height, width).

    Each must cover a square with a whole number of pixels as its side, the same for all. It must cover one frame, or,
    after the first, the same whole number of frames. Only the model knows these numbers.
    """
    if len(shape) != 5 or min(shape) < 1:
        return False
    views, frames, height, width = size
    f, h, w = shape[2:]
    compressed = 1 < f < frames and (frames - 1) % (f - 1) == 0
    return (
        shape[0] == views and (f == frames or compressed) and (height, width) == (h * (height // h), w * (height // h))
    )


def _take_files(folder: Path) -> Iterator[Path]:
    """Files with the names of a take's files, apart from take.json."""
    for path in folder.iterdir():
        if path.is_dir() and is_view_name(path.name):
            yield from (each for each in path.iterdir() if is_frame_name(each.name) or each.name == LATENTS_FILE)
        elif path.name in (TRANSFORMS_FILE, TRAJECTORIES_FILE) or _is_video_name(path):
            yield path


def _is_video_name(path: Path) -> bool:
    return path.suffix in (".mp4", ".gif") and (is_view_name(path.stem) or path.stem == GRID_NAME)


def _remove_files(folder: Path) -> None:
    """Removes a take's files, and its views' folders if they are empty then."""
    for path in list(_take_files(folder)):
        path.unlink()
    for _, view in view_folders(folder):
        if not any(view.iterdir()):
            view.rmdir()
