"""`python -m cvd videos`: videos of a folder of frames, as Blender leaves it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from .. import export
from ..errors import RequestError


def add_parser(subparsers: Any) -> None:
    """Adds `videos` to the command line."""
    parser = subparsers.add_parser(
        "videos",
        help="view_NN.mp4 and grid.mp4 of a folder with view_NN/0001.png and on",
        description="Makes view_NN.mp4 of every view and grid.mp4 of all, beside their frames.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with view_NN/0001.png and on")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Writes the videos into the folder."""
    folder: Path = arguments.folder
    views = sorted(path for path in folder.glob("view_[0-9]*") if path.is_dir())
    if not views:
        raise RequestError(f"{folder} holds no view_00 folder.", "Give the folder that a generation was written to.")
    videos = [export.read_frames(view) for view in views]
    if len({video.shape for video in videos}) > 1:
        raise RequestError(f"The views in {folder} differ in their number of frames or their size.")
    write_videos(folder, np.stack(videos))
    print(f"{len(views)} views of {len(videos[0])} frames: {folder / 'grid.mp4'}")


def write_videos(folder: Path, videos: export.Frames) -> None:
    """(V, F, H, W, 3) to folder/view_NN.mp4 and folder/grid.mp4."""
    for view, video in enumerate(videos):
        export.write_mp4(folder / f"view_{view:02d}.mp4", video)
    export.write_mp4(folder / "grid.mp4", export.view_grid(videos))
