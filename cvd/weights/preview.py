"""Small pictures of latents by a linear map, which costs next to nothing beside the decoder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import CheckpointError
from .configs import read_config

PREVIEW_FILE = "preview.json"


@dataclass(frozen=True, eq=False)
class LatentPreview:
    """A linear map from a latent's channels to a colour.

    weights: (C + 1, 3), from C channels and a constant to red, green and blue in [-1, 1].
    """

    weights: np.ndarray

    def pictures(self, latents: torch.Tensor) -> np.ndarray:
        """The middle frame of every view, (V, h, w, 3) uint8, of latents (V, C, F, h, w) without noise."""
        middle = latents[:, :, latents.shape[2] // 2].float().cpu().numpy()
        colours = np.moveaxis(middle, 1, -1) @ self.weights[:-1] + self.weights[-1]
        return ((colours.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)

    def save(self, folder: Path) -> None:
        """Writes preview.json into a model's folder."""
        text = json.dumps({"weights": self.weights.round(5).tolist()})
        (folder / PREVIEW_FILE).write_text(text + "\n", encoding="utf-8")


OFFICIAL_PREVIEW = LatentPreview(
    np.array(
        [
            [0.3512, 0.2297, 0.3227],
            [0.3250, 0.4974, 0.2350],
            [-0.2829, 0.1762, 0.2721],
            [-0.2120, -0.2616, -0.7177],
            [0.0, 0.0, 0.0],
        ]
    )
)
"""Of Stable Diffusion 1.5's autoencoder: the usual approximation by its users."""


def fit_preview(latents: np.ndarray, images: np.ndarray) -> LatentPreview:
    """The map that fits best in the least squares sense.

    Args:
        latents: (N, C, h, w), as the U-Net sees them.
        images: (N, H, W, 3) in [-1, 1] that they stand for; H and W are multiples of h and w.
    """
    count, _, h, w = latents.shape
    colours = images.reshape(count, h, images.shape[1] // h, w, images.shape[2] // w, 3).mean((2, 4))
    channels = np.moveaxis(latents, 1, -1)
    inputs = np.concatenate([channels, np.ones((*channels.shape[:-1], 1))], -1)
    weights, *_ = np.linalg.lstsq(inputs.reshape(-1, inputs.shape[-1]), colours.reshape(-1, 3), rcond=None)
    return LatentPreview(weights)


def read_preview(folder: Path, channels: int) -> LatentPreview | None:
    """The map of a model's folder; None where it has none.

    Raises:
        CheckpointError: the file is damaged, or of another number of channels.
    """
    path = folder / PREVIEW_FILE
    if not path.is_file():
        return None
    weights = read_config(path).get("weights")
    try:
        array = np.array(weights, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (channels + 1, 3) or not np.isfinite(array).all():
        raise CheckpointError(
            f"{path} does not map {channels} channels to colours.", "Remove it, or download it again."
        )
    return LatentPreview(array)
