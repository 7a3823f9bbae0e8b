"""The map from a starter model's latents to small pictures, fitted to procedural stills."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL

from ..starter.procedural import render_draws
from ..weights.preview import LatentPreview, fit_preview
from .emphasis import draw_emphasised
from .latents import encode

STILLS = 256


def starter_preview(vae: AutoencoderKL, side: int, seed: int = 5) -> LatentPreview:
    """The map for an autoencoder of the starter's world.

    side: of the stills, in pixels.
    """
    rng = np.random.default_rng(seed)
    draws = [draw_emphasised(rng, views=1, frames=1) for _ in range(STILLS)]
    frames = np.stack([clip.frames for clip in render_draws(draws, side, side)]).reshape(STILLS, side, side, 3)
    latents = encode(vae, torch.from_numpy(frames)).float().cpu().numpy()
    return fit_preview(latents, frames / 127.5 - 1)
