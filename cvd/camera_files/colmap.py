"""COLMAP's text model: cameras.txt and images.txt, world-to-camera with OpenCV axes, pixel centres at 0.5."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..cameras import Cameras
from ..errors import CameraError
from .text import parse_numbers, read_text, write_lines
from .transforms import IMAGE_NAME, stacked_views

Array = NDArray[np.float64]


def write_colmap(folder: str | Path, cameras: Cameras) -> None:
    """Writes cameras.txt (one PINHOLE camera per image, since lenses may change), images.txt, an empty points3D.txt."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    intrinsics: list[str] = []
    images: list[str] = []
    for view in range(cameras.views):
        for frame in range(cameras.frames):
            number = len(intrinsics) + 1
            (fx, _, cx), (_, fy, cy), _ = cameras.K[view, frame]
            w2c = np.linalg.inv(cameras.c2w[view, frame])
            quaternion = Rotation.from_matrix(w2c[:3, :3]).as_quat(scalar_first=True)
            name = IMAGE_NAME.format(view=view, frame=frame + 1)
            intrinsics.append(f"{number} PINHOLE {cameras.width} {cameras.height} {_words((fx, fy, cx, cy))}")
            images += [f"{number} {_words((*quaternion, *w2c[:3, 3]))} {number} {name}", ""]
    write_lines(folder / "cameras.txt", ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]", *intrinsics])
    write_lines(folder / "images.txt", ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", *images])
    write_lines(folder / "points3D.txt", [])


def read_colmap(folder: str | Path) -> Cameras:
    """Images in the same folder are one view, in the order of their names.

    Raises:
        CameraError: missing or malformed (it names the line), lens distortion, different sizes, or views of different
            length.
        RequestError: a size that is not a multiple of 8.
    """
    folder = Path(folder)
    intrinsics, (height, width) = _read_intrinsics(folder / "cameras.txt")
    path = folder / "images.txt"
    images: dict[PurePosixPath, tuple[Array, Array]] = {}
    # Every image has two lines, the second of which lists its points and may be empty.
    lines = [(number, line) for number, line in enumerate(read_text(path).splitlines(), 1) if not line.startswith("#")]
    for number, line in lines[::2]:
        words = line.split(maxsplit=9)
        if len(words) != 10:
            raise CameraError(f"{path}, line {number}: not an image with ID, QW to QZ, TX to TZ, camera and name.")
        qw, qx, qy, qz, *t = parse_numbers(path, number, words[1:8])
        if words[8] not in intrinsics:
            raise CameraError(f"{path}, line {number}: there is no camera {words[8]} in cameras.txt.")
        w2c = np.eye(4)
        w2c[:3, :3] = Rotation.from_quat([qw, qx, qy, qz], scalar_first=True).as_matrix()
        w2c[:3, 3] = t
        images[PurePosixPath(words[9])] = (np.asarray(np.linalg.inv(w2c), np.float64), intrinsics[words[8]])
    if not images:
        raise CameraError(f"{path} holds no image.", "Export the model as text from COLMAP.")
    views: dict[PurePosixPath, list[tuple[Array, Array]]] = {}
    for name in sorted(images):
        views.setdefault(name.parent, []).append(images[name])
    return stacked_views(folder, list(views.values()), height, width)


def _read_intrinsics(path: Path) -> tuple[dict[str, Array], tuple[int, int]]:
    intrinsics: dict[str, Array] = {}
    sizes = set()
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        model = words[1] if len(words) > 1 else ""
        if model not in ("PINHOLE", "SIMPLE_PINHOLE"):
            raise CameraError(
                f'{path}, line {number}: the camera model is "{model}", not PINHOLE or SIMPLE_PINHOLE.',
                "Undistort the images in COLMAP first.",
            )
        values = parse_numbers(path, number, words[2:])
        if len(values) != (6 if model == "PINHOLE" else 5):
            raise CameraError(f"{path}, line {number}: {len(values)} numbers do not make a {model} camera.")
        width, height, fx, *rest = values
        fy, cx, cy = rest if model == "PINHOLE" else (fx, *rest)
        intrinsics[words[0]] = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        sizes.add((int(height), int(width)))
    if len(sizes) != 1:
        raise CameraError(f"{path} holds cameras of {len(sizes)} image sizes.", "All views need one size.")
    return intrinsics, sizes.pop()


def _words(values: tuple[float, ...]) -> str:
    return " ".join(repr(float(value)) for value in values)
