"""The interface of data sets, and functions that several data sets use. A sample is one scene in one or two videos."""

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
"""One clip in this many is held out for the validation pictures, but at least one."""

MAX_STRIDE = 8
"""Largest step from one kept frame to the next, in frames of the video."""

DRAWS = 100
"""Number of clips that are drawn before the error that no clip is long enough."""

Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Request:
    """The kind of sample that a stage needs from a data set.

    Args:
        views: number of videos, 1 or 2. Two videos share frame 0.
        frames: number of frames F of a video; 1: a still.
        pixels: whether frames are needed even if the data set has their latents.
    """

    views: int = 1
    frames: int = 1
    pixels: bool = False

    @property
    def is_video(self) -> bool:
        """Whether the request is for more than one frame."""
        return self.frames > 1


@dataclass(frozen=True, eq=False)
class Sample:
    """V videos of one scene.

    Args:
        caption: caption of the scene; may be empty.
        frames: (V, F, H, W, 3) uint8 sRGB; None: `latents` are enough.
        latents: (V, F, C, h, w) of unit variance; None: the data set has no latents.
        cameras: V views of F frames, relative to the shared frame 0; None: they are not known.
        homographies: (F, 3, 3) from view 0's pixels to view 1's, origin at the corner. They replace cameras.
        weight: (V, F, h, w) float32 weight of each latent in the loss; None: all latents have the same weight.
    """

    caption: str
    frames: np.ndarray | None = None
    latents: np.ndarray | None = None
    cameras: Cameras | None = None
    homographies: np.ndarray | None = None
    weight: np.ndarray | None = None


class DataSet(Protocol):
    """An endless source of scenes."""

    has_cameras: bool

    def sample(self, rng: np.random.Generator, request: Request) -> Sample:
        """One scene. It depends only on `rng`, so that a training can be repeated, and continued after a stop.

        Raises:
            TrainingError: the data set has no such scene, or a file in it cannot be read.
        """


def split_names(names: Sequence[str], split: Split) -> list[str]:
    """The part of a folder's clips for training, or the held-out part. If there is only one clip, it is in both."""
    if len(names) == 1:
        return list(names)
    return [name for index, name in enumerate(names) if (index % HELD_OUT == 0) == (split == "validation")]


def draw_clip(
    rng: np.random.Generator, names: Sequence[str], read: Callable[[str], Drawn | None], folder: Path
) -> tuple[str, Drawn]:
    """The name of a clip drawn from `names`, and the result of `read` for it. `read` returns None for short clips."""
    for _ in range(DRAWS):
        name = names[int(rng.integers(len(names)))]
        clip = read(name)
        if clip is not None:
            return name, clip
    raise TrainingError(
        f"None of {DRAWS} clips drawn from {folder} is long enough.", "Give a folder with longer videos."
    )


def draw_frames(rng: np.random.Generator, available: int, frames: int) -> np.ndarray | None:
    """Indices of `frames` evenly spaced frames, with a random stride and start; None: there are too few frames."""
    if available < frames:
        return None
    longest = MAX_STRIDE if frames == 1 else (available - 1) // (frames - 1)
    stride = int(rng.integers(1, min(longest, MAX_STRIDE) + 1))
    start = int(rng.integers(available - (frames - 1) * stride))
    return start + stride * np.arange(frames)


def read_captions(folder: Path) -> dict[str, str]:
    """The captions by clip name from `captions.json`; empty if there is no such file."""
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
    """(height, width, 3) uint8: the image, scaled to cover that size and cropped around its centre."""
    return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS))
