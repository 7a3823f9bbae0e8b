"""Camera trajectories as files: RealEstate10K text and nerfstudio's transforms.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .cameras import Cameras
from .errors import CameraError, RequestError

Array = NDArray[np.float64]

OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
"""Between OpenCV's camera axes and OpenGL's: y and z change sign."""


def read_realestate(path: str | Path, height: int, width: int) -> tuple[Array, Array]:
    """One view's poses and intrinsics from a RealEstate10K text file.

    A line with the video's address, then 19 numbers a frame: time stamp, fx fy cx cy over width and height, 0 0, and a
    row-major world-to-camera 3 x 4 matrix.

    Returns:
        c2w (F, 4, 4), K (F, 3, 3) in pixels of a height x width image.

    Raises:
        CameraError: missing, empty or malformed; it names the line.
    """
    c2w, K = [], []
    for number, line in _numbered_lines(path):
        if number == 1 and len(line.split()) != 19:
            continue
        values = _numbers(path, number, line)
        if len(values) != 19:
            raise CameraError(f"{path}, line {number}: {len(values)} numbers instead of 19.")
        fx, fy, cx, cy = values[1:5]
        K.append([[fx * width, 0, cx * width], [0, fy * height, cy * height], [0, 0, 1]])
        c2w.append(_invert(np.reshape(values[7:], (3, 4))))
    if not c2w:
        raise CameraError(f"{path} holds no camera.", "It needs a line with an address and 19 numbers per frame.")
    return np.array(c2w), np.array(K)


def cameras_from_realestate(paths: Sequence[str | Path], height: int, width: int, frames: int) -> Cameras:
    """One view per file, resampled to `frames` frames, each in the coordinates of its own first frame.

    Files solved from different videos have nothing in common but that: the views then start from one pose, as in the
    official two-video mode.
    """
    views = [read_realestate(path, height, width) for path in paths]
    picked = [np.linspace(0, len(c2w) - 1, frames).round().astype(int) for c2w, _ in views]
    c2w = np.stack([np.linalg.inv(poses[0]) @ poses[i] for (poses, _), i in zip(views, picked, strict=True)])
    K = np.stack([intrinsics[i] for (_, intrinsics), i in zip(views, picked, strict=True)])
    return Cameras(c2w, K, height, width)


def write_transforms(path: str | Path, cameras: Cameras, image_name: str = "view_{view:02d}/{frame:04d}.png") -> None:
    """Writes nerfstudio's transforms.json: all frames of all views, camera-to-world with OpenGL axes.

    Args:
        image_name: format of an image's path from the `view` (from 0) and the `frame` (from 1).
    """
    frames = [
        {
            "file_path": image_name.format(view=view, frame=frame + 1),
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
    """Cameras from a transforms.json: views by the frames' "view" where they have one, else a single view.

    Raises:
        CameraError: missing, malformed, or views of different length.
        RequestError: a size that is not a multiple of 8.
    """
    try:
        document = json.loads(_text(path))
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
    lengths = {len(view) for view in views.values()}
    if len(lengths) != 1:
        raise CameraError(f"The views of {path} have different lengths: {sorted(lengths)} frames.")
    ordered = [views[view] for view in sorted(views)]
    c2w = np.array([[pose for pose, _ in view] for view in ordered])
    K = np.array([[intrinsics for _, intrinsics in view] for view in ordered])
    return Cameras(c2w, K, height, width)


def resample(cameras: Cameras, frames: int) -> Cameras:
    """The same trajectories at `frames` evenly spread frames, each the nearest of the given ones.

    Raises:
        RequestError: no frame asked for.
    """
    if frames < 1:
        raise RequestError(f"{frames} frames make no video.", "Use at least 1.")
    picked = np.linspace(0, cameras.frames - 1, frames).round().astype(int)
    return Cameras(cameras.c2w[:, picked], cameras.K[:, picked], cameras.height, cameras.width)


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CameraError(f"The camera file {path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CameraError(f"{path} cannot be read as text: {error}.") from error


def _numbered_lines(path: str | Path) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(_text(path).splitlines(), 1) if line.strip()]


def _numbers(path: str | Path, number: int, line: str) -> list[float]:
    try:
        return [float(word) for word in line.split()]
    except ValueError as error:
        raise CameraError(f"{path}, line {number}: {error}.") from None


def _invert(w2c: Array) -> Array:
    """Camera-to-world 4 x 4 from a world-to-camera 3 x 4."""
    c2w = np.eye(4)
    c2w[:3, :3] = w2c[:, :3].T
    c2w[:3, 3] = -w2c[:, :3].T @ w2c[:, 3]
    return c2w
