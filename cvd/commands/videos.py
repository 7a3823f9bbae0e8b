"""`python -m cvd videos`: videos of a folder of frames, such as Blender's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..takes.takes import check_writable, finish_take, read_videos, write_videos


def add_parser(subparsers: Any) -> None:
    """Adds `videos` to the command line."""
    parser = subparsers.add_parser(
        "videos",
        help="make videos of a folder with view_NN/0001.png, ...",
        description="Makes view_NN.mp4 and .gif of every view and grid.mp4 and .gif of all, beside their frames. "
        "Finishes a take whose videos could not be written.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with view_00/0001.png, ...")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Writes the videos into the folder."""
    videos = read_videos(arguments.folder)
    check_writable(arguments.folder)
    write_videos(arguments.folder, videos)
    finish_take(arguments.folder)
    print(f"{videos.shape[0]} views of {videos.shape[1]} frames: {arguments.folder / 'grid.mp4'}")
