"""Latents: encoding and decoding, and the latents of a pool, which are encoded once and memory-mapped by stages."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from tqdm import tqdm

from ..weights.model_info import vae_scale_factor
from .errors import TrainingError
from .pool import Pool

ENCODE_BATCH, ENCODE_PIXELS = 32, 8 * 256**2
"""Largest number of frames, and of their pixels, in one call of the autoencoder. A small GPU has room for eight frames
of 256 x 256."""


def to_pixels(frames: torch.Tensor) -> torch.Tensor:
    """uint8 (..., H, W, 3) to float (..., 3, H, W) in [-1, 1]."""
    return frames.movedim(-1, -3).float().div_(127.5).sub_(1)


def to_images(pixels: torch.Tensor) -> np.ndarray:
    """float (..., 3, H, W) in [-1, 1] to float (..., H, W, 3) in [0, 1]."""
    return (pixels.movedim(-3, -1).float() / 2 + 0.5).clamp(0, 1).cpu().numpy()


@torch.no_grad()
def encode(vae: AutoencoderKL, frames: torch.Tensor) -> torch.Tensor:
    """Frames (N, H, W, 3) uint8 to latents (N, C, h, w) of unit variance: the posterior's mean, scaled."""
    parts = frames.split(_batch(*frames.shape[1:3]))
    means = [vae.encode(to_pixels(part.to(vae.device))).latent_dist.mode() for part in parts]
    return torch.cat(means).float() * vae.config.scaling_factor


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Latents (N, C, h, w) of unit variance to pixels (N, 3, H, W) in [-1, 1]."""
    factor = vae_scale_factor(vae.config)
    parts = latents.split(_batch(factor * latents.shape[-2], factor * latents.shape[-1]))
    return torch.cat([vae.decode(part / vae.config.scaling_factor).sample for part in parts])


def _batch(height: int, width: int) -> int:
    return min(ENCODE_BATCH, max(1, ENCODE_PIXELS // (height * width)))


def encoder_fingerprint(vae: AutoencoderKL) -> str:
    """Short hash of the part of an autoencoder that makes the latents. It is the same in float32 and float16."""
    digest = hashlib.sha256(str(vae.config.scaling_factor).encode())
    for name, tensor in sorted(vae.state_dict().items()):
        if name.startswith(("encoder.", "quant_conv.")):
            digest.update(tensor.half().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def encode_pool(vae: AutoencoderKL, folder: Path) -> None:
    """Write a pool's `latents.npy` (N, ..., C, h, w) float16, and `latents.json` with the encoder's fingerprint."""
    frames = Pool.open(folder).frames
    flat = frames.reshape(-1, *frames.shape[-3:])
    batches = [
        encode(vae, torch.from_numpy(np.array(flat[start : start + ENCODE_BATCH]))).half().cpu()
        for start in tqdm(range(0, len(flat), ENCODE_BATCH), f"encode {folder.name}", mininterval=5)
    ]
    latents = torch.cat(batches).numpy()
    np.save(folder / "latents.npy", latents.reshape(*frames.shape[:-3], *latents.shape[1:]))
    (folder / "latents.json").write_text(json.dumps({"encoder": encoder_fingerprint(vae)}) + "\n", encoding="utf-8")


def open_latents(folder: Path, encoder: str) -> np.ndarray | None:
    """A pool's latents, memory-mapped; None: the pool has no latents.

    Args:
        encoder: `encoder_fingerprint` of the autoencoder in use.

    Raises:
        TrainingError: another autoencoder made the latents.
    """
    if not (folder / "latents.npy").exists():
        return None
    made_by = folder / "latents.json"
    if not made_by.exists() or json.loads(made_by.read_text(encoding="utf-8"))["encoder"] != encoder:
        raise TrainingError(
            f"The latents in {folder} were made by another autoencoder.",
            f"Run `python -m cvd train encode` for this one, or delete {folder / 'latents.npy'}.",
        )
    return np.load(folder / "latents.npy", "r")
