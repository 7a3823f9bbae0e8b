"""Latents of the pool, encoded once by the finished autoencoder and memory-mapped by the diffusion stages."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from tqdm import tqdm

from cvd.training.autoencoder import to_tensor
from cvd.training.errors import TrainingError
from cvd.training.pool import Pool

ENCODE_BATCH = 32


@dataclass(frozen=True)
class LatentPool:
    """Latents of unit variance (N, ..., 4, h, w) float16, cameras (N, ..., 4, 4) float32, one caption per scene."""

    latents: np.ndarray
    c2w: np.ndarray
    captions: list[str]

    @classmethod
    def open(cls, folder: Path) -> "LatentPool":
        """Open an encoded pool; raises TrainingError where there is none."""
        if not (folder / "latents.npy").exists():
            raise TrainingError(f"{folder} holds no latents.", "Run `python -m cvd train encode` first.")
        pool = Pool.open(folder)
        return cls(np.load(folder / "latents.npy", "r"), pool.c2w, pool.captions)

    def __len__(self) -> int:
        return len(self.captions)


@torch.no_grad()
def encode_pool(vae: AutoencoderKL, folder: Path) -> None:
    """Write ``latents.npy`` beside a pool's frames: the posterior's mean times the scaling factor."""
    frames = Pool.open(folder).frames
    flat = frames.reshape(-1, *frames.shape[-3:])
    batches = [
        vae.encode(to_tensor(flat[start : start + ENCODE_BATCH])).latent_dist.mode()
        for start in tqdm(range(0, len(flat), ENCODE_BATCH), f"encode {folder.name}", mininterval=5)
    ]
    latents = torch.cat(batches).mul_(vae.config.scaling_factor).half().numpy()
    np.save(folder / "latents.npy", latents.reshape(*frames.shape[:-3], *latents.shape[1:]))


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Latents (N, 4, h, w) of unit variance to pixels (N, 3, H, W) in [-1, 1]."""
    return torch.cat([vae.decode(part / vae.config.scaling_factor).sample for part in latents.split(ENCODE_BATCH)])
