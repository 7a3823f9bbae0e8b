"""From the cameras of single images, as files have them, to `Cameras`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocol.takes import frame_name, view_name

from ...errors import CameraError
from ..cameras import Cameras, check_extrinsics, check_intrinsics, cropped_intrinsics

Array = NDArray[np.float64]


def image_name(view: int, frame: int) -> str:
    """An image's path from its view and frame, both counted from 0, as takes have them."""
    return f"{view_name(view)}/{frame_name(frame)}"


ChooseSize = Callable[[int, int], tuple[int, int]]
"""(height, width) to make, from those of the images that the file describes, which may be of any size."""


@dataclass(frozen=True, eq=False)
class ImageCamera:
    """c2w (4, 4), K (3, 3) in pixels, and where in which file it stands, e.g. "in images.txt, line 3"."""

    c2w: Array
    K: Array
    source: str


def stack_views(
    path: str | Path, views: Sequence[Sequence[ImageCamera]], size: tuple[int, int], choose_size: ChooseSize | None
) -> Cameras:
    """All views' cameras.

    Args:
        path: of the file or folder, for errors.
        size: (height, width) of the images that the file describes.
        choose_size: the size of the cameras' images, if another: scaled and cropped (`Cameras.cropped`).

    Raises:
        CameraError: views of different length, or a camera that is none; it names the place.
        RequestError: a size that is not a multiple of 8.
    """
    check_lengths(path, [len(view) for view in views])
    c2w = np.array([[camera.c2w for camera in view] for view in views])
    K = np.array([[camera.K for camera in view] for view in views])

    def where(view: int, frame: int) -> str:
        return views[view][frame].source

    check_extrinsics(c2w, where)
    check_intrinsics(K, where)
    height, width = size if choose_size is None else choose_size(*size)
    return Cameras(c2w, cropped_intrinsics(K, size, (height, width)), height, width)


def check_lengths(path: str | Path, lengths: Sequence[int]) -> None:
    """Raises CameraError when views have different numbers of frames."""
    if len(set(lengths)) > 1:
        raise CameraError(
            f"The views in {path} have different numbers of frames: {', '.join(map(str, lengths))}.",
            "Every view needs a camera for every frame.",
        )


def image_size(path: str | Path, width: float, height: float) -> tuple[int, int]:
    """(height, width) from a file's numbers. Raises CameraError when they are no size."""
    if not (1 <= width <= 1e6 and 1 <= height <= 1e6) or width % 1 or height % 1:
        raise CameraError(f"{path}: {width:g} x {height:g} is not an image's size.", "It is in whole pixels.")
    return int(height), int(width)
