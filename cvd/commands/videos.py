"""`python -m cvd videos`: videos of a folder of frames, such as Blender's."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..takes.folders import check_writable
from ..takes.takes import finish_take, read_videos, write_videos

DESCRIPTION = (
    "Makes view_NN.mp4 and .gif of every view and grid.mp4 and .gif of all, beside their frames. A "
    "generation that could not write its videos is whole afterwards."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `videos`."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with view_00/0001.png and on")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Writes the videos into the folder."""
    videos = read_videos(arguments.folder)
    check_writable(arguments.folder)
    write_videos(arguments.folder, videos)
    finish_take(arguments.folder)
    print(f"{videos.shape[0]} views of {videos.shape[1]} frames: {arguments.folder / 'grid.mp4'}")
