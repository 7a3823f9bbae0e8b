"""Options for the cameras, which several commands share."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from protocol.geometry import PATTERNS, size_of_area, target_distance
from protocol.models import LearnedMotion, ModelInfo
from protocol.ranges import largest_motion, range_findings
from protocol.scale import choose_scale

from ..cameras.cameras import Cameras
from ..cameras.files import cameras_from_realestate, read_colmap, read_transforms
from ..cameras.files.realestate import SOURCE_ASPECT, SOURCE_SIZE
from ..cameras.patterns import pattern_cameras
from ..errors import RequestError

if TYPE_CHECKING:
    from ..takes.takes import FinishedTake

TEXT_FILES_ONLY = ("reverse", "source_aspect", "common_world", "legacy_intrinsics")

FRAMES = 16
AUTO = "auto"
"""Value of --scale that stands for the cameras' own target distance."""

PATTERN_SIZE = 256
"""Width and height of a pattern's images if no model is given."""


def add_camera_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options for the source of the cameras and for changes to them."""
    group = parser.add_argument_group("cameras")
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument("--cameras", nargs="+", metavar="FILE", help="RealEstate10K text files, one per view")
    source.add_argument("--transforms", metavar="FILE", help="transforms.json with all views")
    source.add_argument("--colmap", metavar="DIR", help="COLMAP text model; images of one folder are one view")
    source.add_argument("--pattern", choices=PATTERNS, help="official camera pattern")
    group.add_argument("--views", type=int, metavar="N", help="pattern: number of views (default 2)")
    group.add_argument(
        "--camera-dist", type=float, metavar="D", help="pattern: motion in target distances (default 0.5)"
    )
    group.add_argument(
        "--frames", type=int, metavar="F", help="frames per view (generate and patterns: default 16; files: all)"
    )
    group.add_argument(
        "--size",
        metavar="WxH",
        help="size of the videos; images of other proportions are cropped (default: the model's, with the proportions "
        "of a transforms.json or COLMAP model)",
    )
    group.add_argument(
        "--reverse", nargs="+", type=int, default=[], metavar="VIEW", help="text files: views to play backwards, from 0"
    )
    group.add_argument(
        "--source-aspect", metavar="WxH", help="text files: size or proportions of their images (default 1280x720)"
    )
    group.add_argument(
        "--common-world",
        action="store_true",
        help="text files: keep the positions of views in one world (default: all views start at one pose)",
    )
    group.add_argument(
        "--legacy-intrinsics", action="store_true", help="text files: swap width and height as the official loader does"
    )
    group.add_argument(
        "--scale",
        type=_scale,
        metavar="X",
        help="scale all cameras: with auto, what they look at is 1 away; with a number, the largest motion from a "
        "first frame is X (default: the files' units)",
    )


@dataclass(frozen=True, eq=False)
class ChosenCameras:
    """The cameras that the options ask for.

    scale: factor from the units of their files to their own. remarks: lines that tell the user how they were changed.
    """

    cameras: Cameras
    scale: float
    remarks: tuple[str, ...]


def load_cameras(
    arguments: argparse.Namespace, model: ModelInfo | None = None, anchor: FinishedTake | None = None
) -> ChosenCameras:
    """The cameras that the options ask for.

    Args:
        model: source of frames and size if the options have none; None: files keep theirs.
        anchor: take that the cameras are added to. They get its size, frames and scale.

    Raises:
        CameraError, RequestError: the files or options are wrong.
    """
    _check_combination(arguments, anchor)
    size, frames = _parse_size(arguments.size, "--size"), arguments.frames
    if anchor is not None:
        size, frames = (anchor.cameras.height, anchor.cameras.width), anchor.cameras.frames
    elif frames is None and (model is not None or arguments.pattern):
        frames = FRAMES if model is None else model.frames.nearest(FRAMES)
    remarks: list[str] = []
    if arguments.pattern:
        cameras = _pattern(arguments, size, frames, model)
    elif arguments.cameras:
        cameras = _text_files(arguments, size, frames, model)
    else:
        cameras = _sized_files(arguments, size, model, remarks)
        cameras = cameras if frames is None else cameras.resampled(frames)
    if anchor is None:
        factor = _scale_factor(cameras, arguments.scale, None if model is None else model.learned, remarks)
    else:
        factor = anchor.record.scale
    if anchor is not None and factor != 1:
        remarks.append(f"Scaled by {factor:.4g}, as the finished views are.")
    return ChosenCameras(cameras.scaled(factor), factor, tuple(remarks))


def range_warnings(cameras: Cameras, model: ModelInfo, arguments: argparse.Namespace) -> list[str]:
    """Lines for the user on what of the cameras the model has not learned. cameras: all of a take, in its units."""
    if model.learned is None:
        return []
    found = range_findings(cameras.c2w, cameras.K, (cameras.height, cameras.width), model.learned)
    in_file_units = arguments.scale is None and arguments.pattern is None and arguments.anchor is None
    units = "If the files have units of their own, use --scale auto."
    return [
        f"{each.text} {units if in_file_units and each.quantity != 'field_of_view' else each.hint}" for each in found
    ]


def camera_arguments(arguments: argparse.Namespace) -> dict[str, object]:
    """The given options of the cameras, to make them again."""
    source = ("cameras", "transforms", "colmap", "pattern", "views", "camera_dist", "frames", "size", "scale")
    given = {name: getattr(arguments, name) for name in (*source, *TEXT_FILES_ONLY)}
    return {name: value for name, value in given.items() if value is not None and value is not False and value != []}


def _check_combination(arguments: argparse.Namespace, anchor: FinishedTake | None) -> None:
    if arguments.pattern is None and not (arguments.views is None and arguments.camera_dist is None):
        raise RequestError("--views and --camera-dist go with --pattern: files have the views they have.")
    for name in TEXT_FILES_ONLY:
        if arguments.cameras is None and getattr(arguments, name):
            raise RequestError(f"--{name.replace('_', '-')} goes with --cameras.", "Leave it out.")
    if arguments.cameras and not set(arguments.reverse) <= set(range(len(arguments.cameras))):
        raise RequestError(
            f"--reverse names a view beyond the {len(arguments.cameras)} there are.", "They count from 0."
        )
    if anchor is None:
        return
    if arguments.scale is not None:
        raise RequestError(
            "--scale does not go with --anchor: the new cameras are scaled as the finished views are.", "Leave it out."
        )
    theirs = (anchor.cameras.height, anchor.cameras.width)
    if arguments.size is not None and _parse_size(arguments.size, "--size") != theirs:
        raise RequestError(f"The finished views have {theirs[1]}x{theirs[0]} pixels.", "Leave --size out.")
    if arguments.frames not in (None, anchor.cameras.frames):
        raise RequestError(f"The finished views have {anchor.cameras.frames} frames.", "Leave --frames out.")


def _pattern(
    arguments: argparse.Namespace, size: tuple[int, int] | None, frames: int, model: ModelInfo | None
) -> Cameras:
    native = PATTERN_SIZE if model is None else model.sizes.native
    height, width = size or (native, native)
    views = 2 if arguments.views is None else arguments.views
    distance = 0.5 if arguments.camera_dist is None else arguments.camera_dist
    return pattern_cameras(arguments.pattern, views, height, width, frames, distance)


def _text_files(
    arguments: argparse.Namespace, size: tuple[int, int] | None, frames: int | None, model: ModelInfo | None
) -> Cameras:
    source = _parse_size(arguments.source_aspect, "--source-aspect")
    if size is None:
        # Videos are square, as the official ones. A change of the format should lose nothing.
        size = _source_size(source) if model is None else (model.sizes.native, model.sizes.native)
    return cameras_from_realestate(
        arguments.cameras,
        *size,
        frames,
        reverse=arguments.reverse,
        source_aspect=SOURCE_ASPECT if source is None else source[1] / source[0],
        legacy_intrinsics=arguments.legacy_intrinsics,
        common_world=arguments.common_world,
    )


def _source_size(source: tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) of the images of text files: as given, or of RealEstate10K's area."""
    if source is None or source[0] % 8 or source[1] % 8:
        height, width = source or SOURCE_SIZE
        return size_of_area(width / height, math.sqrt(math.prod(SOURCE_SIZE)), 8)
    return source


def _sized_files(
    arguments: argparse.Namespace, size: tuple[int, int] | None, model: ModelInfo | None, remarks: list[str]
) -> Cameras:
    """Cameras of a file that has the images' size. Changes to the images are added to `remarks`."""

    def choose_size(height: int, width: int) -> tuple[int, int]:
        chosen = size or ((height, width) if model is None else _model_size(height, width, model))
        if size is None and model is None and (height % 8 or width % 8):
            nearest = "x".join(str(max(8, round(value / 8) * 8)) for value in (width, height))
            raise RequestError(
                f"The files' images have {width} x {height} pixels, not multiples of 8.", f"Use --size {nearest}."
            )
        if chosen != (height, width):
            scale = max(chosen[0] / height, chosen[1] / width)
            kept = chosen[0] * chosen[1] / (scale * height * scale * width)
            remarks.append(
                f"The files' images of {width} x {height} pixels become {chosen[1]} x {chosen[0]}: scaled by "
                f"{scale:.4g}, and {1 - kept:.1%} cropped."
            )
        return chosen

    if arguments.transforms:
        return read_transforms(arguments.transforms, choose_size)
    return read_colmap(arguments.colmap, choose_size)


def _model_size(height: int, width: int, model: ModelInfo) -> tuple[int, int]:
    return size_of_area(width / height, model.sizes.native, model.sizes.multiple)


def _scale(text: str) -> float | str:
    """The value of --scale."""
    try:
        return AUTO if text == AUTO else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is neither {AUTO} nor a number') from None


def _scale_factor(
    cameras: Cameras, asked: float | str | None, learned: LearnedMotion | None, remarks: list[str]
) -> float:
    motion = cameras.largest_motion()
    remarks.append(f"The cameras move at most {motion:.3g} units from their first frames.")
    if asked is None:
        return 1.0
    if isinstance(asked, str):
        return _automatic_factor(cameras, learned, remarks)
    if not 0 < asked < math.inf or motion == 0:
        raise RequestError(f"Cameras that move {motion:.3g} cannot be scaled to {asked:.3g}.", "Leave --scale out.")
    remarks.append(f"Scaled by {asked / motion:.4g}, so that they move at most {asked:.3g}.")
    return asked / motion


def _automatic_factor(cameras: Cameras, learned: LearnedMotion | None, remarks: list[str]) -> float:
    """1 / target distance, by the cameras' axes."""
    motion = largest_motion(cameras.c2w)
    scale = choose_scale(motion, axes=target_distance(cameras.c2w), learned=learned)
    if scale.source == "axes":
        remarks.append(f"Scaled by {scale.factor:.4g}: what they look at is {scale.distance:.3g} units away.")
    elif scale.source == "motion":
        largest = scale.factor * motion
        remarks.append(
            f"Scaled by {scale.factor:.4g}, so that they move at most {largest:.3g}: their axes do not meet."
        )
    else:
        remarks.append("Not scaled: their axes do not meet.")
    return scale.factor


def _parse_size(text: str | None, option: str) -> tuple[int, int] | None:
    """(height, width) from WxH."""
    if text is None:
        return None
    match = re.fullmatch(r"0*([1-9]\d{0,5})x0*([1-9]\d{0,5})", text)
    if not match:
        raise RequestError(f'{option} "{text[:40]}" is not of the form WxH.', f"Use {option} 256x256, for instance.")
    return int(match[2]), int(match[1])


def output_option(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Adds --out."""
    parser.add_argument("--out", type=Path, required=required, metavar="DIR", help="folder for the results")
