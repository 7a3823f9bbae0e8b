"""RealEstate10K's text files, which CameraCtrl and its successors use: one view each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..cameras import Cameras, frame_indices
from ..errors import CameraError
from .text import parse_numbers, read_text, write_lines

Array = NDArray[np.float64]

SOURCE_ASPECT = 1280 / 720
"""Width over height of RealEstate10K's videos, which its intrinsics are relative to."""

COLUMNS = 19


def read_realestate(
    path: str | Path,
    height: int,
    width: int,
    source_aspect: float = SOURCE_ASPECT,
    legacy_intrinsics: bool = False,
) -> tuple[Array, Array]:
    """One view's poses and intrinsics.

    A line with the video's address, then 19 numbers a frame: time stamp, fx fy cx cy over the source's width and
    height, 0 0, and a row-major world-to-camera 3 x 4 matrix. The source's images are taken to be scaled and cropped
    around their centre to the size asked for, so that pixels stay square.

    Args:
        height, width: of the image that K is for.
        source_aspect: width over height of the images that the file was made for.
        legacy_intrinsics: swap the source's width and height, as the official two-video loader does by mistake.

    Returns:
        c2w (F, 4, 4), K (F, 3, 3).

    Raises:
        CameraError: missing, empty or malformed; it names the line.
    """
    aspect = 1 / source_aspect if legacy_intrinsics else source_aspect
    scaled = (max(width, height * aspect), max(height, width / aspect))  # the source's size, scaled to cover the image
    c2w, K = [], []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split()
        if not words or (number == 1 and len(words) != COLUMNS):
            continue
        values = parse_numbers(path, number, words)
        if len(values) != COLUMNS:
            raise CameraError(
                f"{path}, line {number}: {len(values)} numbers instead of {COLUMNS}.",
                "A frame is a time stamp, fx fy cx cy 0 0 and 12 numbers of a world-to-camera matrix.",
            )
        fx, fy = values[1] * scaled[0], values[2] * scaled[1]
        cx = (values[3] - 0.5) * scaled[0] + width / 2
        cy = (values[4] - 0.5) * scaled[1] + height / 2
        K.append([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        c2w.append(_inverse(np.reshape(values[7:], (3, 4))))
    if not c2w:
        raise CameraError(f"{path} holds no camera.", "It needs a line with an address and 19 numbers per frame.")
    return np.array(c2w), np.array(K)


def cameras_from_realestate(
    paths: Sequence[str | Path],
    height: int,
    width: int,
    frames: int,
    reverse: Collection[int] = (),
    source_aspect: float = SOURCE_ASPECT,
    legacy_intrinsics: bool = False,
) -> Cameras:
    """One view per file, resampled to `frames` frames, each in the coordinates of its own first frame.

    Files solved from different videos have nothing in common but that: the views then start from one pose, as in the
    official two-video mode.

    Args:
        reverse: views that are played backwards. The others are `read_realestate`'s.
    """
    c2w, K = [], []
    for view, path in enumerate(paths):
        poses, intrinsics = read_realestate(path, height, width, source_aspect, legacy_intrinsics)
        picked = frame_indices(len(poses), frames)
        if view in reverse:
            picked = picked[::-1]
        c2w.append(np.linalg.inv(poses[picked[0]]) @ poses[picked])
        K.append(intrinsics[picked])
    return Cameras(np.stack(c2w), np.stack(K), height, width)


def write_realestate(folder: str | Path, cameras: Cameras) -> list[Path]:
    """Writes view_00.txt and on into `folder`, and returns them. The intrinsics are relative to the cameras' own size.

    Reading them back exactly takes `source_aspect` = width / height.
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


def _inverse(w2c: Array) -> Array:
    """Camera-to-world 4 x 4 from a world-to-camera 3 x 4."""
    c2w = np.eye(4)
    c2w[:3, :3] = w2c[:, :3].T
    c2w[:3, 3] = -w2c[:, :3].T @ w2c[:, 3]
    return c2w
