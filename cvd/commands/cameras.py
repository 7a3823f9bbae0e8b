"""`python -m cvd cameras`: measures, a picture and conversion of camera files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Column, Table

from protocol.geometry import frusta_overlap, target_distance
from protocol.takes import TAKE_FILE, UNFINISHED_FILE

from ..cameras.cameras import Cameras
from ..cameras.files import write_colmap, write_realestate, write_transforms
from ..cameras.plots import plot_trajectories
from ..errors import RequestError
from ..takes.folders import check_writable, writing
from .camera_options import add_camera_options, load_cameras, output_option

FORMATS = ("realestate", "transforms", "colmap")


DESCRIPTION = (
    "Reads cameras, prints their measures, draws them (--plot, and trajectories.png in --out), and "
    "writes them in other formats (--to). Without --size and --frames nothing is resampled or cropped."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `cameras`."""
    add_camera_options(parser)
    parser.add_argument("--to", nargs="+", choices=FORMATS, default=[], help="formats to write into --out")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="picture of the trajectories")
    output_option(parser, required=False)
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints the cameras' measures, and writes what is asked for."""
    out: Path | None = arguments.out
    if arguments.to and out is None:
        raise RequestError("--to needs a folder to write into.", "Add --out DIR.")
    for folder in (out, None if arguments.plot is None else arguments.plot.parent):
        if folder is not None:
            check_writable(folder)
    if out is not None and any((out / name).exists() for name in (TAKE_FILE, UNFINISHED_FILE)):
        raise RequestError(f"{out} holds a take, whose cameras would be replaced.", "Choose another folder.")
    if arguments.plot is not None and arguments.plot.suffix.lower() != ".png":
        raise RequestError(f"--plot {arguments.plot} is not the name of a PNG file.", "Use trajectories.png, for one.")
    chosen = load_cameras(arguments)
    cameras = chosen.cameras
    for remark in chosen.remarks:
        print(remark)
    _print_measures(cameras)
    if arguments.plot is not None:
        with writing(arguments.plot):
            arguments.plot.parent.mkdir(parents=True, exist_ok=True)
            plot_trajectories(arguments.plot, cameras)
        print(f"Picture: {arguments.plot}")
    if out is not None:
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
            _write(out, cameras, arguments.to)


def _write(out: Path, cameras: Cameras, formats: Sequence[str]) -> None:
    if "realestate" in formats:
        paths = write_realestate(out, cameras)
        size = f"{cameras.width}x{cameras.height}"
        # The format does not store the image's size, and other programs give each file its own world.
        print(
            f"Text files: read them back with --cameras {' '.join(map(str, paths))} --common-world "
            f"--source-aspect {size} --size {size} --frames {cameras.frames}"
        )
    if "transforms" in formats:
        write_transforms(out / "transforms.json", cameras)
        print(f"transforms.json: {out / 'transforms.json'}")
    if "colmap" in formats:
        write_colmap(out / "colmap", cameras)
        print(f"COLMAP: {out / 'colmap'}")
    plot_trajectories(out / "trajectories.png", cameras)
    print(f"Picture: {out / 'trajectories.png'}")


def _print_measures(cameras: Cameras) -> None:
    # Headings have two lines so that every row has one in a terminal of 80 columns.
    headings = ("view", "frames", "size", "largest\nmotion", "field of view", "from view 0\nin frame 0", "overlap")
    table = Table(*(Column(heading, no_wrap=True) for heading in headings), box=box.SIMPLE)
    distance = target_distance(cameras.c2w)
    for view in range(cameras.views):
        low, high = _fields_of_view(cameras, view)
        path = cameras.c2w[view, :, :3, 3]
        table.add_row(
            str(view),
            str(cameras.frames),
            f"{cameras.width} x {cameras.height}",
            f"{np.linalg.norm(path - path[0], axis=-1).max():.4g}",
            f"{low:.1f}°" if high - low < 0.05 else f"{low:.1f} to {high:.1f}°",
            _from_first_view(cameras, view),
            f"{_overlap_with_first_view(cameras, view, distance):.0%}",
        )
    Console().print(table)
    print(f"Overlap: the share of a view that view 0 sees in the worst frame, at depths around {distance:.3g} units.")


def _fields_of_view(cameras: Cameras, view: int) -> tuple[float, float]:
    """Smallest and largest horizontal field of view, in degrees."""
    focal, centre = cameras.K[view, :, 0, 0], cameras.K[view, :, 0, 2]
    degrees = np.degrees(np.arctan((cameras.width - centre) / focal) + np.arctan(centre / focal))
    return float(degrees.min()), float(degrees.max())


def _from_first_view(cameras: Cameras, view: int) -> str:
    """Distance and angle of a view's first pose from that of view 0."""
    first, other = cameras.c2w[0, 0], cameras.c2w[view, 0]
    distance = float(np.linalg.norm(other[:3, 3] - first[:3, 3]))
    # From the chord of the rotation. Near zero it is exact, and an arc cosine is not.
    chord = float(np.linalg.norm(other[:3, :3] - first[:3, :3])) / np.sqrt(8)
    angle = float(np.degrees(2 * np.arcsin(min(1.0, chord))))
    return "coincides" if distance < 1e-6 and angle < 1e-4 else f"{distance:.4g} units, {angle:.1f}°"


def _overlap_with_first_view(cameras: Cameras, view: int, distance: float) -> float:
    """The share of a view that view 0 sees in the worst frame, at depths around `distance`."""
    pair = [0, view]
    overlap = frusta_overlap(cameras.c2w[pair], cameras.K[pair], (cameras.height, cameras.width), distance)
    return float(overlap[1, 0].min())
