"""From the cameras of single images in a file to `Cameras`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocol.geometry import cropped_intrinsics
from protocol.takes import frame_name, view_name

from ...errors import CameraError
from ..cameras import Cameras, check_extrinsics, check_intrinsics

Array = NDArray[np.float64]


def image_name(view: int, frame: int) -> str:
    """An image's path from its view and frame, both counted from 0, as takes have them."""
    return f"{view_name(view)}/{frame_name(frame)}"


ChooseSize = Callable[[int, int], tuple[int, int]]
"""Function from the (height, width) of a file's images, which may be any, to the (height, width) of the videos."""


@dataclass(frozen=True, eq=False)
class ImageCamera:
    """The camera of one image.

    Attributes:
        c2w: (4, 4) camera-to-world.
        K: (3, 3) camera matrix in pixels.
        source: place in the file, for errors, such as "in images.txt, line 3".
    """

    c2w: Array
    K: Array
    source: str


def stack_views(
    path: str | Path, views: Sequence[Sequence[ImageCamera]], size: tuple[int, int], choose_size: ChooseSize | None
) -> Cameras:
    """The cameras of all views.

    Args:
        path: path of the file or folder, for errors.
        views: cameras of each view's images.
        size: (height, width) of the images that the file describes.
        choose_size: function that gives the size of the cameras' images; None: the same size. Images are scaled and
            cropped to it (`Cameras.cropped`).

    Raises:
        CameraError: views have different lengths, or a camera is invalid. The error names the place.
        RequestError: the size is not a multiple of 8.
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
    """Raises CameraError if views have different numbers of frames."""
    if len(set(lengths)) > 1:
        raise CameraError(
            f"The views in {path} have different numbers of frames: {', '.join(map(str, lengths))}.",
            "Every view needs a camera for every frame.",
        )


def image_size(path: str | Path, width: float, height: float) -> tuple[int, int]:
    """(height, width) from a file's numbers. Raises CameraError if they are not an image size."""
    if not (1 <= width <= 1e6 and 1 <= height <= 1e6) or width % 1 or height % 1:
        raise CameraError(f"{path}: {width:g} x {height:g} is not an image's size.", "It is in whole pixels.")
    return int(height), int(width)
