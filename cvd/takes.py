"""A generation on disk: frames, videos, cameras, latents, and what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import export
from .camera_files import read_transforms, write_transforms
from .cameras import Cameras
from .errors import RequestError
from .pipeline import Output
from .plots import plot_trajectories


def write_take(folder: Path, output: Output, cameras: Cameras, made_from: Mapping[str, Any]) -> None:
    """Writes a generation.

    view_NN/0001.png and on, view_NN.mp4 and .gif, grid.mp4 and .gif, transforms.json, trajectories.png, latents.npy,
    and last take.json with `made_from`: a folder that has it is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    videos = export.to_uint8(output.videos)
    for view, video in enumerate(videos):
        export.write_frames(view_folder(folder, view), video)
    write_videos(folder, videos)
    write_transforms(folder / "transforms.json", cameras)
    plot_trajectories(folder / "trajectories.png", cameras)
    np.save(folder / "latents.npy", output.latents, allow_pickle=False)
    (folder / "take.json").write_text(json.dumps(made_from, indent=2) + "\n", encoding="utf-8")


def write_videos(folder: Path, videos: export.Frames) -> None:
    """(V, F, H, W, 3) to folder/view_NN and folder/grid, each as .mp4 and .gif."""
    named = {f"view_{view:02d}": video for view, video in enumerate(videos)} | {"grid": export.view_grid(videos)}
    for name, video in named.items():
        export.write_mp4(folder / f"{name}.mp4", video)
        export.write_gif(folder / f"{name}.gif", video)


def read_videos(folder: Path) -> export.Frames:
    """(V, F, H, W, 3) from folder/view_00/0001.png and on.

    Raises:
        RequestError: no view there, or views that differ in length or size.
    """
    videos: list[export.Frames] = []
    while view_folder(folder, len(videos)).is_dir():
        videos.append(export.read_frames(view_folder(folder, len(videos))))
    if not videos:
        raise RequestError(f"{folder} holds no view_00 folder.", "Give the folder that a generation was written to.")
    if len({video.shape for video in videos}) > 1:
        raise RequestError(f"The views in {folder} differ in their number of frames or their size.")
    return np.stack(videos)


def read_take(folder: Path) -> tuple[Output, Cameras]:
    """What `write_take` wrote, to generate further views of it.

    Raises:
        RequestError, CameraError: the folder is not whole.
    """
    path = folder / "latents.npy"
    if not path.is_file():
        raise RequestError(f"{folder} holds no latents.npy.", "Give a folder that `python -m cvd generate` wrote.")
    videos = read_videos(folder).astype(np.float32) / 255
    return Output(videos, np.load(path, allow_pickle=False)), read_transforms(folder / "transforms.json")


def view_folder(folder: Path, view: int) -> Path:
    """The folder of a view's frames."""
    return folder / f"view_{view:02d}"
