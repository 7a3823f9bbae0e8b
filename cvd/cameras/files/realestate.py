"""RealEstate10K's text files, which CameraCtrl and later models use. A file is one view."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocol.geometry import cropped_intrinsics

from ...errors import CameraError
from ..cameras import Cameras, check_extrinsics, check_intrinsics
from .stacking import check_lengths
from .text import numbered_lines, parse_numbers, write_lines

Array = NDArray[np.float64]

SOURCE_SIZE = (720, 1280)
"""(height, width) of RealEstate10K's videos. The intrinsics are relative to it."""

SOURCE_ASPECT = SOURCE_SIZE[1] / SOURCE_SIZE[0]

COLUMNS = 19


def read_realestate(
    path: str | Path,
    height: int,
    width: int,
    source_aspect: float = SOURCE_ASPECT,
    legacy_intrinsics: bool = False,
) -> tuple[Array, Array]:
    """Reads one view's poses and intrinsics.

    The file has a line with the video's address, and then a line of 19 numbers for each frame:

        time stamp   fx fy cx cy   0 0   world-to-camera 3 x 4 matrix, row by row

    The values fx and cx are relative to the source's width, fy and cy to its height. K is for source images that are
    scaled and cropped around their centre to the asked size. So pixels stay square.

    Args:
        path: path of the file.
        height, width: size of the images that K is for.
        source_aspect: width divided by height of the source's images.
        legacy_intrinsics: whether to swap the source's width and height. The official two-video loader does so by
            mistake.

    Returns:
        c2w (F, 4, 4), K (F, 3, 3).

    Raises:
        CameraError: the file is missing, empty or malformed. The error names the line.
    """
    aspect = 1 / source_aspect if legacy_intrinsics else source_aspect
    c2w, K, lines = [], [], []
    for number, line in numbered_lines(path):
        words = line.split()
        if not words or (number == 1 and _is_address(words)):
            continue
        values = parse_numbers(path, number, words)
        if len(values) != COLUMNS:
            raise CameraError(
                f"{path}, line {number}: {len(values)} numbers instead of {COLUMNS}.",
                "A frame is a time stamp, fx fy cx cy 0 0 and 12 numbers of a world-to-camera matrix.",
            )
        fx, fy, cx, cy = values[1:5]
        K.append([[fx * aspect, 0, cx * aspect], [0, fy, cy], [0, 0, 1]])  # in units of the source's height
        c2w.append(_inverse(np.reshape(values[7:], (3, 4))))
        lines.append(number)
    if not c2w:
        raise CameraError(f"{path} holds no camera.", "It needs a line with an address and 19 numbers per frame.")

    def where(_: int, frame: int) -> str:
        return f"in {path}, line {lines[frame]},"

    pixels = cropped_intrinsics(np.array(K), (1, aspect), (height, width))
    check_extrinsics(np.array([c2w]), where)
    check_intrinsics(pixels[None], where)
    return np.array(c2w), pixels


def cameras_from_realestate(
    paths: Sequence[str | Path],
    height: int,
    width: int,
    frames: int | None = None,
    reverse: Collection[int] = (),
    source_aspect: float = SOURCE_ASPECT,
    legacy_intrinsics: bool = False,
    common_world: bool = False,
) -> Cameras:
    """Reads several files, one view each.

    Files that were solved from different videos have no common world. So by default each view is relative to its own
    first frame, and all views start from one pose, as in the official two-video mode.

    Args:
        paths: paths of the files.
        frames: number of frames that every file is resampled to (`Cameras.resampled`); None: all files must have the
            same number.
        reverse: views that are played backwards.
        common_world: whether to keep the files' poses, for files in one world such as those of `write_realestate`.
        height, width, source_aspect, legacy_intrinsics: arguments of `read_realestate`.

    Raises:
        CameraError: a file is missing, empty or malformed, or the files differ in length.
        RequestError: the size is impossible.
    """
    views = []
    for view, path in enumerate(paths):
        c2w, K = read_realestate(path, height, width, source_aspect, legacy_intrinsics)
        cameras = Cameras(c2w[None], K[None], height, width)
        if frames is not None:
            cameras = cameras.resampled(frames)
        if view in reverse:
            cameras = Cameras(cameras.c2w[:, ::-1], cameras.K[:, ::-1], height, width)
        views.append(cameras)
    check_lengths("the files", [view.frames for view in views])
    c2w = np.concatenate([view.c2w if common_world else view.relative_to_first_frame() for view in views])
    return Cameras(c2w, np.concatenate([view.K for view in views]), height, width)


def write_realestate(folder: str | Path, cameras: Cameras) -> list[Path]:
    """Writes view_00.txt, view_01.txt, ... into `folder`, and returns their paths.

    The intrinsics are relative to the cameras' own size. To read the same cameras back, use the same size,
    `source_aspect` = width / height and `common_world`.
    """
    paths = []
    for view in range(cameras.views):
        lines = ["camera trajectory"]
        for frame in range(cameras.frames):
            (fx, _, cx), (_, fy, cy), _ = cameras.K[view, frame]
            intrinsics = (fx / cameras.width, fy / cameras.height, cx / cameras.width, cy / cameras.height)
            w2c = np.linalg.inv(cameras.c2w[view, frame])[:3].ravel()
            lines.append(" ".join(map(repr, map(float, (frame, *intrinsics, 0, 0, *w2c)))))
        paths.append(Path(folder) / f"view_{view:02d}.txt")
        write_lines(paths[-1], lines)
    return paths


def _is_address(words: Sequence[str]) -> bool:
    """Whether a file's first line is the video's address, or another text, and not a frame."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return True
    return len(numbers) == 1


def _inverse(w2c: Array) -> Array:
    """Camera-to-world (4, 4) from world-to-camera (3, 4)."""
    c2w = np.eye(4)
    c2w[:3, :3] = w2c[:, :3].T
    c2w[:3, 3] = -w2c[:, :3].T @ w2c[:, 3]
    return c2w
