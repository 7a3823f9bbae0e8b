"""Plain videos. A pair is a clip and a warped copy; the homographies start at the identity (CVD, section 4.3)."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..errors import TrainingError
from .sample import Request, Sample, Split, cover, draw_clip, draw_frames, read_captions, read_image, split_names

VIDEO_SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
SHIFT = 0.15
"""Largest movement of the whole copy in the last frame, and largest additional movement of each of its corners, as
shares of the image's size."""


class Videos:
    """Video files, or folders of frames in the order of their names; captions by name in `captions.json`.

    The second video of a pair is a warped copy of the first. There are no cameras. A sample has the homographies from
    the first video's pixels to the second's.

    Args:
        folder: folder with the videos.
        height, width: size of the frames in pixels. Images are scaled to cover it and cropped around the centre.
        factor: number of pixels that a latent covers in each direction; height and width are multiples of it.
        split: part of the videos to draw from.

    Raises:
        TrainingError: the folder holds no video.
    """

    has_cameras = False

    def __init__(self, folder: Path, height: int, width: int, factor: int, split: Split) -> None:
        self.clips = {path.stem: path for path in sorted(folder.iterdir()) if _is_clip(path)}
        if not self.clips:
            raise TrainingError(
                f"{folder} holds no video.", f"It needs files ({', '.join(VIDEO_SUFFIXES)}) or folders of frames."
            )
        self.folder, self.height, self.width, self.factor = folder, height, width, factor
        self.names, self.captions = split_names(list(self.clips), split), read_captions(folder)

    def sample(self, rng: np.random.Generator, request: Request) -> Sample:
        def read(name: str) -> list[Image.Image] | None:
            path = self.clips[name]
            return _read_folder(path, request.frames, rng) if path.is_dir() else _read_file(path, request.frames, rng)

        name, images = draw_clip(rng, self.names, read, self.folder)
        frames = np.stack([cover(image, self.height, self.width) for image in images])
        caption = self.captions.get(name, "")
        if request.views == 1:
            return Sample(caption, frames[None])
        homographies = draw_homographies(rng, len(frames), self.height, self.width)
        warped, seen = warp(frames, homographies)
        seen = np.stack([np.ones_like(seen), seen])
        weight = seen_weights(seen, self.factor)
        return Sample(caption, np.stack([frames, warped]), homographies=homographies, weight=weight)


def draw_homographies(rng: np.random.Generator, frames: int, height: int, width: int) -> np.ndarray:
    """(F, 3, 3): the identity in frame 0. The image's corners move from there at constant speed to random places."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    moves = (rng.uniform(-SHIFT, SHIFT, (1, 2)) + rng.uniform(-SHIFT, SHIFT, (4, 2))) * (width, height)
    return np.stack([homography(corners, corners + share * moves) for share in np.linspace(0, 1, frames)])


def homography(points: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The homography (3, 3) that takes four points (4, 2) to their images (4, 2)."""
    (x, y), (u, v) = points.T, images.T
    zero, one = np.zeros(4), np.ones(4)
    rows = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], 1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], 1),
        ]
    )
    return np.append(np.linalg.solve(rows, np.concatenate([u, v])), 1.0).reshape(3, 3)


def warp(frames: np.ndarray, homographies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Warp every frame by its homography.

    Args:
        frames: (F, H, W, 3) uint8.
        homographies: (F, 3, 3), from the frames' pixels to the result's.

    Returns:
        The warped frames, black where the source is outside the image; and (F, H, W) bool, True where it is inside.
    """
    height, width = frames.shape[1:3]
    y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    pixels = np.stack([x, y, np.ones_like(x)], -1)
    sources = np.einsum("fij,hwj->fhwi", np.linalg.inv(homographies), pixels)
    sources = sources[..., :2] / sources[..., 2:]
    seen = ((sources >= 0) & (sources <= (width, height))).all(-1)
    grid = torch.from_numpy(2 * sources / (width, height) - 1).float()
    images = torch.from_numpy(frames).movedim(-1, 1).float()
    warped = F.grid_sample(images, grid, padding_mode="border", align_corners=False).movedim(1, -1)
    return np.where(seen[..., None], warped.round().byte().numpy(), np.uint8(0)), seen


def seen_weights(seen: np.ndarray, factor: int) -> np.ndarray:
    """(V, F, h, w) float32: 1 for latents all of whose pixels are seen, 0 for others.

    Args:
        seen: (V, F, H, W) bool, True for pixels whose source is in the image.
        factor: number of pixels that a latent covers in each direction.
    """
    views, frames, height, width = seen.shape
    cells = seen.reshape(views, frames, height // factor, factor, width // factor, factor)
    return np.asarray(cells.all((3, 5)), np.float32)


def _is_clip(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES if path.is_file() else bool(_images(path))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def _read_folder(folder: Path, frames: int, rng: np.random.Generator) -> list[Image.Image] | None:
    paths = _images(folder)
    picked = draw_frames(rng, len(paths), frames)
    return None if picked is None else [read_image(paths[index]) for index in picked]


def _read_file(path: Path, frames: int, rng: np.random.Generator) -> list[Image.Image] | None:
    """Frames of a video file. The number of frames is estimated from the duration, so the last ones may be missing."""
    try:
        meta = next(imageio_ffmpeg.read_frames(path))
        available = int(meta["duration"] * meta["fps"])
        picked = draw_frames(rng, available, frames)
        if picked is None:
            return None
        # ffmpeg seeks to the first frame at or after the given time, so the time is half a frame early.
        start = max(0.0, (picked[0] - 0.5) / meta["fps"])
        reader = imageio_ffmpeg.read_frames(path, input_params=["-ss", f"{start:.6f}"])
        next(reader)
        wanted = set((picked - picked[0]).tolist())
        images = []
        for index, content in zip(range(max(wanted) + 1), reader, strict=False):
            if index in wanted:
                images.append(Image.frombytes("RGB", meta["size"], content))
        reader.close()
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise TrainingError(f"{path} cannot be read as a video: {reason}.", "Delete it or replace it.") from error
    return images if len(images) == frames else None
