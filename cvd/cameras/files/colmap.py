"""COLMAP's text model, cameras.txt and images.txt: world-to-camera poses, OpenCV axes, pixel centres at 0.5."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from protocol.geometry import quaternions_of, rotations_of

from ...errors import CameraError
from ..cameras import Cameras
from .stacking import ChooseSize, ImageCamera, image_name, image_size, stack_views
from .text import numbered_lines, parse_numbers, write_lines

Array = NDArray[np.float64]


def write_colmap(folder: str | Path, cameras: Cameras) -> None:
    """Writes cameras.txt (a PINHOLE camera for each image, as lenses may change), images.txt and empty points3D.txt."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    intrinsics: list[str] = []
    images: list[str] = []
    for view in range(cameras.views):
        for frame in range(cameras.frames):
            number = len(intrinsics) + 1
            (fx, _, cx), (_, fy, cy), _ = cameras.K[view, frame]
            w2c = np.linalg.inv(cameras.c2w[view, frame])
            quaternion = quaternions_of(w2c[:3, :3])
            name = image_name(view, frame)
            intrinsics.append(f"{number} PINHOLE {cameras.width} {cameras.height} {_words((fx, fy, cx, cy))}")
            images += [f"{number} {_words((*quaternion, *w2c[:3, 3]))} {number} {name}", ""]
    write_lines(folder / "cameras.txt", ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]", *intrinsics])
    write_lines(folder / "images.txt", ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", *images])
    write_lines(folder / "points3D.txt", [])


def read_colmap(folder: str | Path, choose_size: ChooseSize | None = None) -> Cameras:
    """Reads a COLMAP text model. Images in the same folder are one view, in the order of their names (2 before 10).

    Args:
        folder: folder with cameras.txt and images.txt.
        choose_size: function that gives the size of the videos; None: the file's size. Images are scaled and cropped.

    Raises:
        CameraError: a file is missing or malformed (the error names the line), a lens has distortion, or views differ
            in size or length.
        RequestError: the size is not a multiple of 8.
    """
    folder = Path(folder)
    intrinsics, size = _read_intrinsics(folder / "cameras.txt")
    path = folder / "images.txt"
    images: dict[str, ImageCamera] = {}
    for number, words in _image_lines(path):
        *pose, camera, name = words
        if camera not in intrinsics:
            raise CameraError(f"{path}, line {number}: there is no camera {camera[:40]!r} in cameras.txt.")
        if name in images:
            raise CameraError(f"{path}, line {number}: there are two images {name[:80]!r}.")
        c2w = _camera_to_world(path, number, parse_numbers(path, number, pose))
        images[name] = ImageCamera(c2w, intrinsics[camera], f"in {path}, line {number},")
    if not images:
        raise CameraError(f"{path} holds no image.", "Export the model as text from COLMAP.")
    views: dict[PurePosixPath, list[ImageCamera]] = {}
    for name in sorted(images, key=_natural_order):
        views.setdefault(PurePosixPath(name).parent, []).append(images[name])
    return stack_views(folder, list(views.values()), size, choose_size)


def _image_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line number and [QW, QX, QY, QZ, TX, TY, TZ, camera, name] of every image.

    The line after an image holds its points. That line may be empty, and some tools drop empty lines.
    """
    after_image = False
    for number, line in numbered_lines(path):
        if line.startswith("#") or not line:
            continue
        if after_image and _is_points(line):
            after_image = False
            continue
        words = line.split(maxsplit=9)
        if len(words) != 10:
            raise CameraError(f"{path}, line {number}: not an image with ID, QW to QZ, TX to TZ, camera and name.")
        yield number, words[1:]
        after_image = True


def _is_points(line: str) -> bool:
    """Whether a line holds X, Y and POINT3D_ID of points, and not an image."""
    words = line.split()
    return len(words) % 3 == 0 and all(re.fullmatch(r"[-+.\deE]+", word) for word in words)


def _camera_to_world(path: Path, number: int, values: list[float]) -> Array:
    """Camera-to-world (4, 4) from QW, QX, QY, QZ, TX, TY, TZ of the world-to-camera transform."""
    with np.errstate(over="ignore"):
        length = np.linalg.norm(values[:4])
    if not 1e-3 < length < 1e3:
        raise CameraError(f"{path}, line {number}: the quaternion has length {length:.3g} instead of 1.")
    c2w = np.eye(4)
    c2w[:3, :3] = rotations_of(np.array(values[:4])).T
    c2w[:3, 3] = -c2w[:3, :3] @ values[4:]
    return c2w


def _natural_order(name: str) -> tuple[list[tuple[int, int, str]], ...]:
    """Sorting key of a path: folder by folder, with digits sorted by their value."""
    return tuple(
        [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d{1,18})", folder) if part]
        for folder in PurePosixPath(name).parts
    )


def _read_intrinsics(path: Path) -> tuple[dict[str, Array], tuple[int, int]]:
    intrinsics: dict[str, Array] = {}
    sizes = set()
    for number, line in numbered_lines(path):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        model = words[1] if len(words) > 1 else ""
        if model not in ("PINHOLE", "SIMPLE_PINHOLE"):
            raise CameraError(
                f"{path}, line {number}: the camera model is {model[:40]!r}, not PINHOLE or SIMPLE_PINHOLE.",
                "Undistort the images in COLMAP first.",
            )
        values = parse_numbers(path, number, words[2:])
        if len(values) != (6 if model == "PINHOLE" else 5):
            raise CameraError(f"{path}, line {number}: {len(values)} numbers do not make a {model} camera.")
        if words[0] in intrinsics:
            raise CameraError(f"{path}, line {number}: there are two cameras {words[0][:40]!r}.")
        width, height, fx, *rest = values
        fy, cx, cy = rest if model == "PINHOLE" else (fx, *rest)
        intrinsics[words[0]] = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        sizes.add(image_size(f"{path}, line {number}", width, height))
    if len(sizes) != 1:
        raise CameraError(f"{path} holds cameras of {len(sizes)} image sizes.", "All views need one size.")
    return intrinsics, sizes.pop()


def _words(values: tuple[float, ...]) -> str:
    return " ".join(repr(float(value)) for value in values)
