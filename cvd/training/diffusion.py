"""What the diffusion stages share: noise, text, the prediction loss, and guided sampling for validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from ..sampling import official_scheduler

MIN_SNR_GAMMA = 5.0
"""Timesteps of a signal-to-noise ratio above it weigh less (Hang et al., 2023): faint noise is a lot of loss that
says little about what a frame shows."""
VALIDATION_STEPS = 20


def diffusion_loss(
    latents: torch.Tensor,
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    seed: int,
    timestep_draws: int = 1,
    together: int = 1,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean squared error of the predicted noise, weighted by timestep.

    Args:
        latents: (B, ...) of unit variance.
        predict: predicted noise from noisy latents (B, ...) and timesteps (B,).
        seed: fixes timesteps and noise.
        timestep_draws: the largest of so many uniform draws is the timestep. With more than one, training dwells on
            the noisy end, where a frame's layout, and with it the camera's part, is decided.
        together: how many consecutive rows, the views of a scene, share a timestep.
        weight: broadcasts to the latents; 0 where they do not count.
    """
    scheduler, generator = official_scheduler(), torch.Generator().manual_seed(seed)
    timesteps = torch.randint(0, 1000, (timestep_draws, len(latents) // together), generator=generator)
    timesteps = timesteps.amax(0).repeat_interleave(together).to(latents.device)
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    noisy = scheduler.add_noise(latents, noise, timesteps)
    signal = scheduler.alphas_cumprod.to(latents.device)[timesteps]
    snr_weight = (MIN_SNR_GAMMA * (1 - signal) / signal).clamp(max=1)
    error = F.mse_loss(predict(noisy, timesteps).float(), noise, reduction="none")
    if weight is None:
        error = error.flatten(1).mean(1)
    else:
        weight = weight.expand_as(error)
        error = (weight * error).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1)
    return (snr_weight * error).mean()


def embed(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, captions: Sequence[str]) -> torch.Tensor:
    """Text embeddings (B, tokens, D)."""
    length = tokenizer.model_max_length
    tokens = tokenizer(list(captions), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return text_encoder(tokens.input_ids.to(text_encoder.device))[0]


@torch.no_grad()
def sample(
    shape: tuple[int, ...],
    text: torch.Tensor,
    empty_text: torch.Tensor,
    predict: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    guidance_scale: float,
) -> torch.Tensor:
    """Guided DDIM samples (B, ...) from text (B, tokens, D); ``predict`` takes both branches, empty text first."""
    scheduler = official_scheduler()
    scheduler.set_timesteps(VALIDATION_STEPS)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(text.device)
    both_texts = torch.cat([empty_text.expand_as(text), text])
    for timestep in scheduler.timesteps:
        without, with_text = predict(torch.cat([latents, latents]), timestep, both_texts).float().chunk(2)
        latents = scheduler.step(without + guidance_scale * (with_text - without), timestep, latents).prev_sample
    return latents
