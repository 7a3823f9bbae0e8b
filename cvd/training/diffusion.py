"""Code that the diffusion stages share: text embeddings, the prediction loss, and guided sampling for validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from transformers import CLIPTextModel, CLIPTokenizer

from protocol.models import ModelInfo

MIN_SNR_GAMMA = 5.0
"""Timesteps with a signal-to-noise ratio above it get a smaller weight (Hang et al., 2023). The loss of faint noise is
large, but says little about the content of a frame."""
VALIDATION_STEPS = 20


def diffusion_loss(
    scheduler: DDIMScheduler,
    latents: torch.Tensor,
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    seed: int,
    views: int = 1,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean squared error of the predicted noise, weighted by timestep. A predicted velocity is converted to noise.

    Noisy timesteps decide the layout of a video, and so whether views agree. The loss gives them more weight in two
    ways. The timestep is the larger of two uniform draws. Errors are multiplied by 1/sqrt(alphas_cumprod), a weight
    between that of a noise loss and that of a velocity loss (Salimans and Ho, 2022). Without this, the error at
    t = 960 (0.002) would be too small beside the error at t = 400 (0.04).

    Args:
        scheduler: the model's scheduler: noise schedule and prediction type.
        latents: (B, ...) of unit variance.
        predict: function from noisy latents (B, ...) and timesteps (B,) to the model's prediction.
        seed: seed of timesteps and noise.
        views: number of views of a scene; they share a timestep. The rows are the B / views scenes of the first view,
            then those of the next view, and so on.
        weight: weight of each latent, broadcast to the latents; 0: the latent does not count.
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
    """DDIM samples (B, ...) from text (B, tokens, D), with the model's guidance.

    Args:
        shape: shape of the samples.
        empty_text: (1, tokens, D) embedding of the empty caption.
        predict: function from latents, timestep and text of both guidance branches to the prediction. The branch with
            empty text is first.
        info: model info with the guidance settings.
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
