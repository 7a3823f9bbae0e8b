"""What a data set gives: one scene, as one or two videos of the same length, and what is known of its cameras."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
from PIL import Image, ImageOps

from ...cameras.cameras import Cameras
from ..errors import TrainingError

Split = Literal["train", "validation"]

HELD_OUT = 50
"""One clip in so many is kept for the validation pictures, and at least one."""

MAX_STRIDE = 8
"""Between two frames that are kept lie at most so many of a video's: fast enough for any camera move."""

DRAWS = 100
"""Clips drawn before a data set is said to have none that is long enough."""

Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Request:
    """What a stage asks of a data set.

    Args:
        views: 1, or 2 videos that share frame 0.
        frames: F of a video; 1 asks for a still.
        pixels: the frames are needed even where their latents are at hand.
    """

    views: int = 1
    frames: int = 1
    pixels: bool = False

    @property
    def is_video(self) -> bool:
        """Whether frames follow each other."""
        return self.frames > 1


@dataclass(frozen=True, eq=False)
class Sample:
    """V videos of one scene.

    Args:
        caption: may be empty.
        frames: (V, F, H, W, 3) uint8 sRGB.
        latents: (V, F, C, h, w) of unit variance, where a data set has them at hand.
        cameras: V views of F frames, relative to the shared frame 0.
        homographies: (F, 3, 3) from view 0's pixels to view 1's, corner origin, in place of cameras.
        weight: (V, F, h, w) float32, how much each latent counts in a loss; None: all the same.
    """

    caption: str
    frames: np.ndarray | None = None
    latents: np.ndarray | None = None
    cameras: Cameras | None = None
    homographies: np.ndarray | None = None
    weight: np.ndarray | None = None


class DataSet(Protocol):
    """A source of scenes without end."""

    has_cameras: bool

    def sample(self, rng: np.random.Generator, request: Request) -> Sample:
        """One scene, drawn with `rng` alone, so that a training can be repeated and go on where it stopped.

        Raises:
            TrainingError: the data set has nothing of that kind, or a file in it cannot be read.
        """


def split_names(names: Sequence[str], split: Split) -> list[str]:
    """The part of a folder's clips that is trained on, or the part that is held out; a single clip is in both."""
    if len(names) == 1:
        return list(names)
    return [name for index, name in enumerate(names) if (index % HELD_OUT == 0) == (split == "validation")]


def draw_clip(
    rng: np.random.Generator, names: Sequence[str], read: Callable[[str], Drawn | None], folder: Path
) -> tuple[str, Drawn]:
    """A clip drawn from `names` with what `read` makes of it; where that is None, the clip is too short."""
    for _ in range(DRAWS):
        name = names[int(rng.integers(len(names)))]
        clip = read(name)
        if clip is not None:
            return name, clip
    raise TrainingError(
        f"None of {DRAWS} clips drawn from {folder} is long enough.", "Give a folder with longer videos."
    )


def draw_frames(rng: np.random.Generator, available: int, frames: int) -> np.ndarray | None:
    """Indices of `frames` evenly spaced frames, with a random stride and start; None where there are too few."""
    if available < frames:
        return None
    longest = MAX_STRIDE if frames == 1 else (available - 1) // (frames - 1)
    stride = int(rng.integers(1, min(longest, MAX_STRIDE) + 1))
    start = int(rng.integers(available - (frames - 1) * stride))
    return start + stride * np.arange(frames)


def read_captions(folder: Path) -> dict[str, str]:
    """``captions.json``, an object of clip names and captions; without the file no clip has a caption."""
    path = folder / "captions.json"
    if not path.exists():
        return {}
    try:
        captions = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrainingError(f"{path} is not JSON: {error}.") from error
    if not isinstance(captions, dict) or not all(isinstance(text, str) for text in captions.values()):
        raise TrainingError(f"{path} is not an object of clip names and captions.")
    return captions


def read_image(path: Path) -> Image.Image:
    """An image file as RGB."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise TrainingError(f"{path} cannot be read as an image: {error}.", "Delete it or replace it.") from error


def cover(image: Image.Image, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: the image scaled to cover that size and cropped around its centre."""
    return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS))
