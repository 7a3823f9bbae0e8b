"""The training data: procedural stills and pairs of clips, rendered once and memory-mapped by every stage.

A pool is a folder of ``frames.npy`` (uint8 sRGB), ``c2w.npy`` (float32) and ``captions.txt`` (one line per scene):
stills are (N, H, W, 3) with (N, 4, 4), clips are (N, 2, F, H, W, 3) with (N, 2, F, 4, 4).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cvd.starter.camera_paths import sample_pair, sample_path
from cvd.starter.captions import caption
from cvd.starter.render import render
from cvd.starter.world import Scene, sample_scene
from cvd.training.errors import TrainingError

SIZE = 64
FRAMES = 16


@dataclass(frozen=True)
class Pool:
    """Memory-mapped frames and cameras with one caption per scene."""

    frames: np.ndarray
    c2w: np.ndarray
    captions: list[str]

    @classmethod
    def open(cls, folder: Path) -> "Pool":
        """Open a finished pool; raises TrainingError where there is none."""
        try:
            captions = (folder / "captions.txt").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError as error:
            raise TrainingError(
                f"{folder} holds no finished pool.", "Run `python -m cvd train render` first."
            ) from error
        return cls(np.load(folder / "frames.npy", "r"), np.load(folder / "c2w.npy", "r"), captions)

    def __len__(self) -> int:
        return len(self.captions)


def render_stills(folder: Path, count: int, seed: int) -> None:
    """Render ``count`` scenes once each, at a random moment of a random camera path."""

    def samples(rng: np.random.Generator) -> Iterator[tuple[Scene, np.ndarray]]:
        for _ in range(count):
            yield sample_scene(rng), sample_path(rng, FRAMES)[rng.integers(FRAMES)]

    _render_pool(folder, samples, count, (), seed)


def render_clips(folder: Path, count: int, seed: int) -> None:
    """Render ``count`` scenes along a pair of camera paths each."""

    def samples(rng: np.random.Generator) -> Iterator[tuple[Scene, np.ndarray]]:
        for _ in range(count):
            yield sample_scene(rng), sample_pair(rng, FRAMES)

    _render_pool(folder, samples, count, (2, FRAMES), seed)


def _render_pool(folder: Path, samples, count: int, views: tuple[int, ...], seed: int) -> None:
    """Write a pool; ``captions.txt`` comes last and marks it as finished."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    frames = np.lib.format.open_memmap(folder / "frames.npy", "w+", np.uint8, (count, *views, SIZE, SIZE, 3))
    cameras = np.lib.format.open_memmap(folder / "c2w.npy", "w+", np.float32, (count, *views, 4, 4))
    captions = []
    for index, (scene, c2w) in enumerate(tqdm(samples(rng), f"render {folder.name}", count, mininterval=5)):
        flat = c2w.reshape(-1, 4, 4)
        frames[index] = render([scene] * len(flat), flat, SIZE, SIZE).reshape(frames.shape[1:])
        cameras[index] = c2w
        captions.append(caption(scene, rng if rng.random() < 0.5 else None))
    frames.flush()
    cameras.flush()
    (folder / "captions.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")
