"""Pools as a data set: procedural scenes that were rendered before the training."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from ...cameras.cameras import Cameras
from ..emphasis import latent_weights
from ..errors import TrainingError
from ..latents import open_latents
from ..pool import Pool
from .sample import Request, Sample, Split


class PoolData:
    """The four pools that `train render` writes: stills, stills_validation, clips and clips_validation.

    Args:
        folder: folder with the pools.
        factor: number of pixels that a latent covers in each direction.
        encoder: `cvd.training.latents.encoder_fingerprint` of the autoencoder in use, which must have made the pools'
            latents; None: latents are not used.
        split: part to draw from: the training pools or the validation pools.
    """

    has_cameras = True

    def __init__(self, folder: Path, factor: int, encoder: str | None, split: Split) -> None:
        self.folder, self.factor, self.encoder = folder, factor, encoder
        self.suffix = "" if split == "train" else "_validation"

    @cached_property
    def stills(self) -> tuple[Pool, np.ndarray | None]:
        return self._open("stills")

    @cached_property
    def clips(self) -> tuple[Pool, np.ndarray | None]:
        return self._open("clips")

    def _open(self, name: str) -> tuple[Pool, np.ndarray | None]:
        folder = self.folder / f"{name}{self.suffix}"
        pool = Pool.open(folder)
        if pool.cell != self.factor:
            raise TrainingError(
                f"{folder} stores solids in cells of {pool.cell} pixels, but a latent of the model covers "
                f"{self.factor}.",
                "Train on --data procedural, or render the pool again if it is an older one.",
            )
        return pool, None if self.encoder is None else open_latents(folder, self.encoder)

    def sample(self, rng: np.random.Generator, request: Request) -> Sample:
        if not request.is_video:
            pool, latents = self.stills
            index: tuple = (int(rng.integers(len(pool))), None, None)
        else:
            pool, latents = self.clips
            if pool.c2w.shape[2] != request.frames:
                raise TrainingError(
                    f"The clips of {self.folder} have {pool.c2w.shape[2]} frames, the model makes {request.frames}.",
                    "Train on --data procedural, or render a pool for this model.",
                )
            side = int(rng.integers(2))
            index = (int(rng.integers(len(pool))), [side, 1 - side][: request.views])
        return Sample(
            pool.captions[index[0]],
            frames=np.array(pool.frames[index]) if request.pixels or latents is None else None,
            latents=None if latents is None else np.array(latents[index]),
            cameras=Cameras(pool.c2w[index], pool.K[index], *pool.frames.shape[-3:-1]),
            weight=latent_weights(pool.solids[index], request.is_video),
        )
