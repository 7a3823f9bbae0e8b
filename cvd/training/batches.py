"""Batches from a mixture of data sets. The content of a batch depends only on its number and the process's rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..cameras.cameras import Cameras
from .datasets import DataSet, Request, Sample
from .errors import TrainingError

CAPTION_DROPOUT = 0.1
"""Share of the captions that are replaced by the empty caption, for classifier-free guidance."""

VALIDATION_SEED = 2**31
"""Seed of the validation batch. Seeds of training batches are different: they begin with the rank of a process."""


@dataclass(frozen=True, eq=False)
class Batch:
    """N = views x scenes videos of one data set: the first view of every scene, then the second view of every scene.

    At least one of `frames` and `latents` is present, and at most one of `cameras` and `homographies`.

    Args:
        captions: N captions, the same for all views of a scene.
        frames: (N, F, H, W, 3) uint8.
        latents: (N, F, C, h, w).
        cameras: cameras of the N videos.
        homographies: (scenes, F, 3, 3), from a scene's first video to its second.
        weight: (N, F, h, w) weight of each latent in the loss; None: all latents have the same weight.
        slope: slope of the pseudo-lines, as a fraction of pi.
        seed: seed of the noise and of all other draws for this batch.
    """

    captions: list[str]
    frames: torch.Tensor | None
    latents: torch.Tensor | None
    cameras: Cameras | None
    homographies: np.ndarray | None
    weight: torch.Tensor | None
    slope: float
    seed: int


class Mixture:
    """Several data sets. Every batch comes from one of them, which is drawn with the data sets' weights.

    Raises:
        TrainingError: the number of weights is not the number of data sets, or a weight is not positive.
    """

    def __init__(self, datasets: Sequence[DataSet], weights: Sequence[float] | None = None) -> None:
        weights = [1.0] * len(datasets) if weights is None else list(weights)
        if len(weights) != len(datasets) or min(weights) <= 0:
            raise TrainingError(
                f"{len(weights)} weights for {len(datasets)} data sets.", "Give each --data one positive weight: --mix."
            )
        self.datasets, self.weights = list(datasets), np.array(weights) / sum(weights)

    @property
    def has_cameras(self) -> bool:
        """Whether every data set has cameras."""
        return all(dataset.has_cameras for dataset in self.datasets)

    def batch(self, rng: np.random.Generator, size: int, request: Request, caption_dropout: float) -> Batch:
        """A batch of `size` scenes of one data set."""
        dataset = self.datasets[rng.choice(len(self.datasets), p=self.weights)]
        samples = [dataset.sample(rng, request) for _ in range(size)]
        captions = ["" if rng.random() < caption_dropout else sample.caption for sample in samples]
        homographies = [sample.homographies for sample in samples if sample.homographies is not None]
        return Batch(
            captions=captions * request.views,
            frames=_joined([sample.frames for sample in samples]),
            latents=_joined([sample.latents for sample in samples]),
            cameras=_joined_cameras(samples),
            homographies=np.stack(homographies) if homographies else None,
            weight=_joined([sample.weight for sample in samples]),
            slope=float(rng.random()),
            seed=int(rng.integers(2**63)),
        )


class Batches(IterableDataset):
    """The batches of one process, from number `first` on. Batch n depends only on the process's rank and on n.

    So an interrupted training continues with the next batch of the same sequence, with any number of workers.
    """

    def __init__(self, mixture: Mixture, size: int, request: Request, rank: int, first: int) -> None:
        self.mixture, self.size, self.request, self.rank, self.first = mixture, size, request, rank, first

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, workers = (self.first, 1) if worker is None else (self.first + worker.id, worker.num_workers)
        while True:
            yield self.mixture.batch(
                np.random.default_rng((self.rank, number)), self.size, self.request, CAPTION_DROPOUT
            )
            number += workers

    def load(self, workers: int) -> Iterator[Batch]:
        """Iterate over the batches. `workers` other processes prepare them; with 0, this process does."""
        return iter(DataLoader(self, batch_size=None, num_workers=workers))


def validation_batch(mixture: Mixture, size: int, request: Request) -> Batch:
    """The batch for all validation pictures of a stage."""
    return mixture.batch(np.random.default_rng(VALIDATION_SEED), size, request, caption_dropout=0.0)


def _joined(arrays: Sequence[np.ndarray | None]) -> torch.Tensor | None:
    present = [array for array in arrays if array is not None]
    return torch.from_numpy(_view_by_view(present)) if present else None


def _joined_cameras(samples: Sequence[Sample]) -> Cameras | None:
    cameras = [sample.cameras for sample in samples if sample.cameras is not None]
    if not cameras:
        return None
    c2w, K = (_view_by_view([getattr(each, name) for each in cameras]) for name in ("c2w", "K"))
    return Cameras(c2w, K, cameras[0].height, cameras[0].width)


def _view_by_view(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """S arrays (V, ...) as one array (V * S, ...): the first view of every scene, then the second view, and so on."""
    stacked = np.stack(arrays, 1)
    return stacked.reshape(-1, *stacked.shape[2:])
