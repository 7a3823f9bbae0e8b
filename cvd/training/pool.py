"""Pools: procedural stills or pairs of clips, rendered once and memory-mapped by every stage.

A pool is a folder with these files. N is the number of scenes; `captions.txt` has one line per scene.

    file                   stills             clips
    frames.npy  uint8      (N, H, W, 3)       (N, 2, F, H, W, 3)       sRGB
    c2w.npy     float32    (N, 4, 4)          (N, 2, F, 4, 4)
    K.npy       float32    (N, 3, 3)          (N, 2, F, 3, 3)
    solids.npy  bool       (N, H/16, W/16)    (N, 2, F, H/16, W/16)    the cells that show solids
    captions.txt

Scene n depends only on the pool's seed and on n, so any number of processes makes the same pool. The scenes are drawn
with `cvd.training.emphasis`.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..starter.coverage import CELL
from ..starter.procedural import PATH_FRAMES, render_draws
from ..starter.world import IMAGE_SIZE
from .emphasis import draw_emphasised
from .errors import TrainingError

STILLS_PART, CLIPS_PART = 64, 2
"""Number of stills, and of pairs of clips, that a process renders as one part."""

ARRAYS = {
    "frames": (np.uint8, (IMAGE_SIZE, IMAGE_SIZE, 3)),
    "c2w": (np.float32, (4, 4)),
    "K": (np.float32, (3, 3)),
    "solids": (np.bool_, (IMAGE_SIZE // CELL, IMAGE_SIZE // CELL)),
}
"""Type of each array of a pool, and its shape for one frame."""


@dataclass(frozen=True)
class Pool:
    """Memory-mapped frames, cameras and cells with solids, and one caption per scene."""

    frames: np.ndarray
    c2w: np.ndarray
    K: np.ndarray
    solids: np.ndarray
    captions: list[str]

    @classmethod
    def open(cls, folder: Path) -> "Pool":
        """Open a finished pool. Raises TrainingError if the folder holds no finished pool."""
        try:
            captions = (folder / "captions.txt").read_text(encoding="utf-8").splitlines()
            frames, c2w, K, solids = (np.load(folder / f"{name}.npy", "r") for name in ARRAYS)
        except FileNotFoundError as error:
            raise TrainingError(
                f"{folder} holds no finished pool.", "Run `python -m cvd train render` first."
            ) from error
        return cls(frames, c2w, K, solids, captions)

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def cell(self) -> int:
        """Width and height of a cell of `solids`, in pixels."""
        return self.frames.shape[-2] // self.solids.shape[-1]


@dataclass(frozen=True)
class _Job:
    """The settings of a pool, for the processes that render it."""

    folder: Path
    seed: int
    views: int
    frames: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Leading dimensions of a scene in the pool's arrays, before the dimensions of a frame."""
        return (self.views, self.frames) if self.frames > 1 else ()


def render_stills(folder: Path, count: int, seed: int, workers: int = 1) -> None:
    """Render `count` scenes, each once, at a random moment of a random camera path.

    Args:
        workers: number of processes that render, with one thread each; 1: this process renders.
    """
    _render_pool(_Job(folder, seed, views=1, frames=1), count, STILLS_PART, workers)


def render_clips(folder: Path, count: int, seed: int, workers: int = 1, frames: int = PATH_FRAMES) -> None:
    """Render `count` scenes, each along a pair of camera paths; `workers` as in `render_stills`."""
    _render_pool(_Job(folder, seed, views=2, frames=frames), count, CLIPS_PART, workers)


def _render_pool(job: _Job, count: int, part: int, workers: int) -> None:
    """Write a pool. `captions.txt` is written last and marks the pool as finished."""
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / "captions.txt").unlink(missing_ok=True)
    for name, (dtype, shape) in ARRAYS.items():
        np.lib.format.open_memmap(job.folder / f"{name}.npy", "w+", dtype, (count, *job.shape, *shape)).flush()
    parts = [range(start, min(start + part, count)) for start in range(0, count, part)]
    captions: list[str] = []
    with (
        _mapping(workers) as mapping,
        tqdm(desc=f"render {job.folder.name}", total=count, mininterval=5) as progress,
    ):
        for rendered in mapping(partial(_render_part, job), parts):
            captions += rendered
            progress.update(len(rendered))
    (job.folder / "captions.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")


@contextmanager
def _mapping(workers: int) -> Iterator:
    """A `map` that runs in some processes and keeps the order."""
    if workers == 1:
        yield map
        return
    # The processes are spawned, because torch's threads do not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as executor:
        yield executor.map


def _render_part(job: _Job, scenes: range) -> list[str]:
    """Render some scenes into the pool's files, and return their captions."""
    draws = [draw_emphasised(np.random.default_rng((job.seed, scene)), job.views, job.frames) for scene in scenes]
    arrays = {name: np.load(job.folder / f"{name}.npy", "r+") for name in ARRAYS}
    for scene, clips in zip(scenes, render_draws(draws), strict=True):
        for name, array in arrays.items():
            array[scene] = getattr(clips, name).reshape(array.shape[1:])
    return [each.caption for each in draws]
