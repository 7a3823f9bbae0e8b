"""`python -m cvd cameras`: camera files from one format to another, and a picture of them."""

from __future__ import annotations

import argparse
from typing import Any

from ..camera_files import write_colmap, write_realestate, write_transforms
from ..plots import plot_trajectories
from .camera_options import add_camera_options, load_cameras, output_option

FORMATS = ("realestate", "transforms", "colmap")


def add_parser(subparsers: Any) -> None:
    """Adds `cameras` to the command line."""
    parser = subparsers.add_parser(
        "cameras",
        help="convert camera files, plot trajectories",
        description="Reads cameras, writes them in other formats, and draws them as trajectories.png.",
    )
    add_camera_options(parser)
    parser.add_argument("--to", nargs="*", choices=FORMATS, default=[], help="formats to write")
    output_option(parser)
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Writes the cameras and their picture."""
    cameras = load_cameras(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if "realestate" in arguments.to:
        write_realestate(arguments.out, cameras)
    if "transforms" in arguments.to:
        write_transforms(arguments.out / "transforms.json", cameras)
    if "colmap" in arguments.to:
        write_colmap(arguments.out / "colmap", cameras)
    plot_trajectories(arguments.out / "trajectories.png", cameras)
    print(f"{cameras.views} views of {cameras.frames} frames: {arguments.out}")
