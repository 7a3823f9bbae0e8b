"""nerfstudio's transforms.json: all views in one file, camera-to-world with OpenGL axes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..cameras import Cameras
from ..errors import CameraError
from .text import read_text

Array = NDArray[np.float64]

OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
"""Between OpenCV's camera axes and OpenGL's: y and z change sign."""

IMAGE_NAME = "view_{view:02d}/{frame:04d}.png"
"""An image's path from its view (from 0) and frame (from 1), as `python -m cvd generate` writes them."""


def write_transforms(path: str | Path, cameras: Cameras) -> None:
    """Writes all frames of all views; a frame says which `view` it belongs to."""
    frames = [
        {
            "file_path": IMAGE_NAME.format(view=view, frame=frame + 1),
            "view": view,
            "fl_x": cameras.K[view, frame, 0, 0],
            "fl_y": cameras.K[view, frame, 1, 1],
            "cx": cameras.K[view, frame, 0, 2],
            "cy": cameras.K[view, frame, 1, 2],
            "w": cameras.width,
            "h": cameras.height,
            "transform_matrix": (cameras.c2w[view, frame] @ OPENGL_AXES).tolist(),
        }
        for view in range(cameras.views)
        for frame in range(cameras.frames)
    ]
    document = {"camera_model": "OPENCV", "w": cameras.width, "h": cameras.height, "frames": frames}
    Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_transforms(path: str | Path) -> Cameras:
    """Views by the frames' `view` where they have one, else a single view. Intrinsics per frame, or for the whole file.

    Raises:
        CameraError: missing, malformed, or views of different length.
        RequestError: a size that is not a multiple of 8.
    """
    try:
        document = json.loads(read_text(path))
        frames = document["frames"]
        views: dict[int, list[tuple[Array, Array]]] = {}
        for frame in frames:
            values = document | frame
            K = np.array([[values["fl_x"], 0, values["cx"]], [0, values["fl_y"], values["cy"]], [0, 0, 1]], float)
            pose = np.array(frame["transform_matrix"], float) @ OPENGL_AXES
            views.setdefault(int(frame.get("view", 0)), []).append((pose, K))
        height, width = int((document | frames[0])["h"]), int((document | frames[0])["w"])
    except (json.JSONDecodeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise CameraError(
            f"{path} is not a transforms.json: {type(error).__name__} {error}.",
            "Each frame needs transform_matrix, fl_x, fl_y, cx, cy, w and h (or the file has them for all).",
        ) from error
    return stacked_views(path, [views[view] for view in sorted(views)], height, width)


def stacked_views(path: str | Path, views: list[list[tuple[Array, Array]]], height: int, width: int) -> Cameras:
    """Cameras from lists of (c2w, K). Raises CameraError when the views differ in length."""
    lengths = [len(view) for view in views]
    if len(set(lengths)) > 1:
        raise CameraError(
            f"The views in {path} have different numbers of frames: {', '.join(map(str, lengths))}.",
            "Every view needs a camera for every frame.",
        )
    c2w = np.array([[pose for pose, _ in view] for view in views])
    K = np.array([[intrinsics for _, intrinsics in view] for view in views])
    return Cameras(c2w, K, height, width)
