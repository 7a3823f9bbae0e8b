"""What the diffusion stages share: noise, text, the prediction loss, and guided sampling for validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from transformers import CLIPTextModel, CLIPTokenizer

from protocol.models import ModelInfo

MIN_SNR_GAMMA = 5.0
"""Timesteps of a signal-to-noise ratio above it weigh less (Hang et al., 2023): faint noise is a lot of loss that
says little about what a frame shows."""
VALIDATION_STEPS = 20


def diffusion_loss(
    scheduler: DDIMScheduler,
    latents: torch.Tensor,
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    seed: int,
    views: int = 1,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean squared error of the predicted noise, weighted by timestep; from a predicted velocity, of what it implies.

    It dwells on the noisy end, where it is decided what is where, and with it whether views agree: the timestep is the
    larger of two uniform draws, and errors weigh by 1/sqrt(alphas_cumprod), between those of the noise and those of
    the velocity (Salimans and Ho, 2022). Without it, t = 960 with an error of 0.002 counts for nothing beside t = 400
    with 0.04.

    Args:
        scheduler: the model's: its noise schedule, and what the model predicts.
        latents: (B, ...) of unit variance.
        predict: the model's prediction from noisy latents (B, ...) and timesteps (B,).
        seed: fixes timesteps and noise.
        views: how many rows, those of a scene, share a timestep: rows are B / views scenes of the first view, then as
            many of the next.
        weight: broadcasts to the latents: how much each counts, 0 for not at all.
    """
    device = latents.device
    generator = torch.Generator(device).manual_seed(seed)
    draws = torch.randint(0, 1000, (2, len(latents) // views), generator=generator, device=device)
    timesteps = draws.amax(0).repeat(views)
    noise = torch.randn(latents.shape, generator=generator, device=device)
    noisy = scheduler.add_noise(latents, noise, timesteps)
    signal = scheduler.alphas_cumprod.to(device)[timesteps]
    timestep_weight = (MIN_SNR_GAMMA * (1 - signal) / signal).clamp(max=1) / signal.sqrt()
    predicted = predict(noisy, timesteps).float()
    if scheduler.config.prediction_type == "v_prediction":
        share = signal.view(-1, *[1] * (latents.ndim - 1))
        predicted = share.sqrt() * predicted + (1 - share).sqrt() * noisy
    error = F.mse_loss(predicted, noise, reduction="none")
    if weight is None:
        error = error.flatten(1).mean(1)
    else:
        weight = weight.expand_as(error)
        error = (weight * error).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1)
    return (timestep_weight * error).mean()


def embed(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, captions: Sequence[str]) -> torch.Tensor:
    """Text embeddings (B, tokens, D)."""
    length = tokenizer.model_max_length
    tokens = tokenizer(list(captions), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return text_encoder(tokens.input_ids.to(text_encoder.device))[0]


@torch.no_grad()
def sample(
    scheduler: DDIMScheduler,
    shape: tuple[int, ...],
    text: torch.Tensor,
    empty_text: torch.Tensor,
    predict: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    info: ModelInfo,
) -> torch.Tensor:
    """DDIM samples (B, ...) from text (B, tokens, D), guided as the model is.

    Args:
        predict: takes both branches, empty text first.
    """
    scheduler = DDIMScheduler.from_config(scheduler.config)
    scheduler.set_timesteps(VALIDATION_STEPS)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(text.device)
    both_texts = torch.cat([empty_text.expand_as(text), text])
    for timestep in scheduler.timesteps:
        without, with_text = predict(torch.cat([latents, latents]), timestep, both_texts).float().chunk(2)
        scale = info.guidance.scale_at(int(timestep), info.defaults.guidance_scale or 1.0)
        guided = without + scale * (with_text - without)
        latents = scheduler.step(guided, timestep, latents).prev_sample
    return latents
