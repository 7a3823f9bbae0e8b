"""Files of a generation: frames, videos and a grid of all views."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protocol.takes import frame_name

from ..errors import RequestError

Frames = NDArray[np.uint8]

FRAMES_PER_SECOND = 8
"""Frame rate of AnimateDiff's training clips."""

GRID_TILE = 256
"""Height in pixels to which smaller views are enlarged in the grid."""


def to_uint8(videos: NDArray[np.float32]) -> Frames:
    """From images in [0, 1], of any shape, to sRGB bytes."""
    return (np.clip(videos, 0, 1) * 255).round().astype(np.uint8)


def write_frames(folder: str | Path, frames: Frames) -> list[Path]:
    """Writes (F, H, W, 3) to folder/0001.png, 0002.png, ..."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / frame_name(number) for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        iio.imwrite(path, frame)
    return paths


def read_frames(folder: str | Path) -> Frames:
    """Reads (F, H, W, 3) from folder/0001.png, 0002.png, ..."""
    folder = Path(folder)
    frames: list[Frames] = []
    while (path := folder / frame_name(len(frames))).is_file():
        frames.append(iio.imread(path))
    if not frames:
        raise RequestError(f"{folder} holds no frame {frame_name(0)}.")
    return np.stack(frames)


def write_mp4(path: str | Path, frames: Frames) -> None:
    """Writes (F, H, W, 3) as H.264, at 8 frames a second."""
    iio.imwrite(path, frames, fps=FRAMES_PER_SECOND, codec="libx264", macro_block_size=2, quality=9)


def write_gif(path: str | Path, frames: Frames) -> None:
    """Writes (F, H, W, 3) as an endless GIF, at 8 frames a second."""
    iio.imwrite(path, frames, duration=1000 / FRAMES_PER_SECOND, loop=0)


def view_grid(videos: Frames, gap: int = 8) -> Frames:
    """From (V, F, H, W, 3) to (F, H', W', 3): up to 3 views in a row, more in a nearly square grid.

    Args:
        gap: distance of the views in pixels.
    """
    views, frames, height, width = videos.shape[:4]
    scale = max(1, GRID_TILE // height)
    size = (width * scale, height * scale)
    columns = int(np.ceil(np.sqrt(views))) if views > 3 else views
    rows = -(-views // columns)
    grid = np.zeros((frames, rows * (size[1] + gap) - gap, columns * (size[0] + gap) - gap, 3), np.uint8)
    for view, video in enumerate(videos):
        top, left = view // columns * (size[1] + gap), view % columns * (size[0] + gap)
        for frame, image in enumerate(video):
            tile = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
            grid[frame, top : top + size[1], left : left + size[0]] = tile
    return grid
