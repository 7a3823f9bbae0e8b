"""Which cameras to use: options that several commands share."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ..camera_files import cameras_from_realestate, read_colmap, read_transforms
from ..cameras import Cameras
from ..errors import RequestError
from ..trajectories import PATTERNS, pattern_cameras


def add_camera_options(parser: argparse.ArgumentParser) -> None:
    """Where the cameras come from, and what is done to them."""
    group = parser.add_argument_group("cameras")
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument("--cameras", nargs="+", metavar="FILE", help="RealEstate10K text files, one per view")
    source.add_argument("--transforms", metavar="FILE", help="a transforms.json with all views")
    source.add_argument("--colmap", metavar="DIR", help="a COLMAP text model; images of one folder are one view")
    source.add_argument("--pattern", choices=PATTERNS, help="an official camera pattern")
    group.add_argument("--views", type=int, metavar="N", help="pattern: number of views (default 2)")
    group.add_argument("--frames", type=int, default=16, metavar="F", help="frames per view (default 16)")
    group.add_argument("--size", metavar="WxH", help="size of the videos (default: the model's, or the files')")
    group.add_argument(
        "--reverse", nargs="+", type=int, default=[], metavar="VIEW", help="text files: views played backwards, from 0"
    )
    group.add_argument(
        "--legacy-intrinsics", action="store_true", help="text files: the official loader's swapped width and height"
    )
    group.add_argument(
        "--scale",
        type=float,
        metavar="X",
        help="scale all cameras so that the largest motion from a first frame is X (CameraCtrl saw about 0.1 to 2)",
    )


def load_cameras(arguments: argparse.Namespace, native_size: int | None = None) -> Cameras:
    """The cameras that the options ask for.

    Args:
        native_size: width and height where neither the options nor the files give a size.

    Raises:
        CameraError, RequestError: files or options that make no cameras.
    """
    if arguments.views is not None and arguments.pattern is None:
        raise RequestError("--views goes with --pattern: files have as many views as they have.")
    if arguments.cameras is None and (arguments.reverse or arguments.legacy_intrinsics):
        raise RequestError("--reverse and --legacy-intrinsics go with --cameras.")
    size = _parse_size(arguments.size)
    height, width = size or (native_size or 256, native_size or 256)
    if arguments.pattern:
        views = 2 if arguments.views is None else arguments.views
        cameras = pattern_cameras(arguments.pattern, views, height, width, arguments.frames)
    elif arguments.cameras:
        if not set(arguments.reverse) <= set(range(len(arguments.cameras))):
            raise RequestError(f"--reverse names a view beyond the {len(arguments.cameras)} there are.")
        cameras = cameras_from_realestate(
            arguments.cameras,
            height,
            width,
            arguments.frames,
            reverse=arguments.reverse,
            legacy_intrinsics=arguments.legacy_intrinsics,
        )
    else:
        cameras = read_transforms(arguments.transforms) if arguments.transforms else read_colmap(arguments.colmap)
        cameras = cameras.resampled(arguments.frames)
        if size or native_size:
            cameras = cameras.resized(height, width)
    return _scaled(cameras, arguments.scale)


def _scaled(cameras: Cameras, largest: float | None) -> Cameras:
    motion = cameras.largest_motion()
    print(f"The cameras move at most {motion:.3g} units from their first frames.")
    if largest is None:
        return cameras
    if largest <= 0 or motion == 0:
        raise RequestError(f"Cameras that move {motion:.3g} cannot be scaled to {largest:.3g}.", "Leave --scale out.")
    print(f"Scaled by {largest / motion:.4g}, so that they move at most {largest:.3g}.")
    return cameras.scaled(largest / motion)


def _parse_size(text: str | None) -> tuple[int, int] | None:
    """(height, width) from WxH."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise RequestError(f'The size "{text}" is not of the form WxH.', "Use 256x256, for instance.")
    return int(match[2]), int(match[1])


def output_option(parser: argparse.ArgumentParser) -> None:
    """--out."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
