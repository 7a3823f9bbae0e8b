"""nerfstudio's transforms.json: all views in one file, with camera-to-world poses and OpenGL axes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.geometry import OPENCV_FROM_OPENGL

from ...errors import CameraError
from ..cameras import Cameras
from .stacking import ChooseSize, ImageCamera, image_name, image_size, stack_views
from .text import read_text

Array = NDArray[np.float64]

PERSPECTIVE = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE")
"""Camera models that are pinhole cameras if the distortion is zero."""

DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2", "distortion_params")

LAYOUT = "Each frame needs transform_matrix, fl_x, fl_y, cx, cy, w and h (or the file has them for all)."


def write_transforms(path: str | Path, cameras: Cameras) -> None:
    """Writes all frames of all views. The entry `view` of a frame is the number of its view."""
    frames = [
        {
            "file_path": image_name(view, frame),
            "view": view,
            "fl_x": cameras.K[view, frame, 0, 0],
            "fl_y": cameras.K[view, frame, 1, 1],
            "cx": cameras.K[view, frame, 0, 2],
            "cy": cameras.K[view, frame, 1, 2],
            "w": cameras.width,
            "h": cameras.height,
            "transform_matrix": (cameras.c2w[view, frame] @ OPENCV_FROM_OPENGL).tolist(),
        }
        for view in range(cameras.views)
        for frame in range(cameras.frames)
    ]
    document = {"camera_model": "OPENCV", "w": cameras.width, "h": cameras.height, "frames": frames}
    Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_transforms(path: str | Path, choose_size: ChooseSize | None = None) -> Cameras:
    """Reads a transforms.json. A frame without the entry `view` belongs to view 0.

    The file may give intrinsics for each frame or once for all frames.

    Args:
        path: path of the file.
        choose_size: function that gives the size of the videos; None: the file's size. Images are scaled and cropped.

    Raises:
        CameraError: the file is missing or malformed, a lens has distortion, or views differ in length or size. The
            error names the frame.
        RequestError: the size is not a multiple of 8.
    """
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise CameraError(f"{path} is not a transforms.json: {error}.", LAYOUT) from None
    frames = document.get("frames") if isinstance(document, dict) else None
    if not isinstance(frames, list) or not frames:
        raise CameraError(f"{path} is not a transforms.json: it has no list of frames.", LAYOUT)
    views: dict[int, list[ImageCamera]] = {}
    sizes = set()
    for index, frame in enumerate(frames):
        source = f"in {path}, frame {index}"
        if not isinstance(frame, dict):
            raise CameraError(f"{path} is not a transforms.json: frame {index} is not an object.", LAYOUT)
        values = document | frame
        _check_lens(source, values)
        view = values.get("view", 0)
        if not isinstance(view, int):
            raise CameraError(f"The view {source} is {str(view)[:40]!r}.", "Views are numbered from 0.")
        fx, fy, cx, cy, width, height = (
            _numbers(source, values, name, ()).item() for name in ("fl_x", "fl_y", "cx", "cy", "w", "h")
        )
        pose = _numbers(source, frame, "transform_matrix", (4, 4)) @ OPENCV_FROM_OPENGL
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        views.setdefault(view, []).append(ImageCamera(pose, K, source))
        sizes.add(image_size(path, width, height))
    if len(sizes) > 1:
        raise CameraError(f"{path} holds images of {len(sizes)} sizes.", "All views need one size.")
    return stack_views(path, [views[view] for view in sorted(views)], sizes.pop(), choose_size)


def _check_lens(source: str, values: Mapping[str, Any]) -> None:
    model = values.get("camera_model", PERSPECTIVE[0])
    distorted = [name for name in DISTORTION if np.any(_numbers(source, values, name))]
    if model not in PERSPECTIVE or distorted:
        what = f"distortion ({', '.join(distorted)})" if distorted else f"the camera model {str(model)[:40]!r}"
        raise CameraError(f"The lens {source} has {what}.", "Undistort the images first: only pinhole cameras will do.")


def _numbers(source: str, values: Mapping[str, Any], name: str, shape: tuple[int, ...] | None = None) -> Array:
    """An entry as an array of this shape. Without a shape, any shape is valid, and a missing entry is zero."""
    if shape is not None and name not in values:
        raise CameraError(f"There is no {name} {source}.", LAYOUT)
    try:
        array = np.array(values.get(name, 0.0), np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.array(np.nan)
    if not np.isfinite(array).all() or shape not in (None, array.shape):
        kind = "one finite number" if shape == () else "made of finite numbers" if shape is None else "a 4 x 4 matrix"
        raise CameraError(f"The {name} {source} is not {kind}.", LAYOUT)
    return array
