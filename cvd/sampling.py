"""Denoising several views together: the paper's Algorithm 1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import DDIMScheduler

PredictNoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Renoise = Callable[[int], torch.Tensor]


def official_scheduler() -> DDIMScheduler:
    """DDIM as the official release configures it: 1000 steps, linear beta, offset 1, no clipping."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        steps_offset=1,
        clip_sample=False,
    )


def unet_calls(num_inference_steps: int, multistep: int, accumulate_step: int) -> int:
    """How many U-Net calls `denoise` makes: the last timestep has a single recurrence."""
    return ((num_inference_steps - 1) * multistep + 1) * accumulate_step


def denoise(
    latents: torch.Tensor,
    scheduler: DDIMScheduler,
    predict_noise: PredictNoise,
    renoise: Renoise,
    multistep: int,
    accumulate_step: int,
    on_latents: Callable[[torch.Tensor], None] | None = None,
) -> torch.Tensor:
    """Recurrent denoising of V views with random matchings (CVD, Algorithm 1).

    Args:
        latents: (V, 4, F, h, w) at the first timestep.
        scheduler: with its timesteps set.
        predict_noise: guided noise of all views, from (latents, timestep), under a matching it draws for this call.
        renoise: the n-th noise to go back a timestep with, of the latents' shape.
        multistep: recurrences of every timestep but the last.
        accumulate_step: matchings whose noise is averaged in each recurrence.
        on_latents: sees the latents after every timestep.

    Returns:
        (V, 4, F, h, w) free of noise.
    """
    draws = 0
    for timestep, previous in zip(scheduler.timesteps, [*scheduler.timesteps[1:], None], strict=True):
        recurrences = 1 if previous is None else multistep
        for recurrence in range(recurrences):
            noise = sum(predict_noise(latents, timestep) for _ in range(accumulate_step)) / accumulate_step
            latents = scheduler.step(noise, timestep, latents).prev_sample
            if recurrence < recurrences - 1:
                kept = scheduler.alphas_cumprod[timestep] / scheduler.alphas_cumprod[previous]
                latents = kept.sqrt() * latents + (1 - kept).sqrt() * renoise(draws)
                draws += 1
        if on_latents is not None:
            on_latents(latents)
    return latents
