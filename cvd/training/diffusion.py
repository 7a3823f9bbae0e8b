"""What the four diffusion stages share: noise, text, the prediction loss, and guided sampling for validation."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from cvd.sampling import official_scheduler

CAPTION_DROPOUT = 0.1
GUIDANCE_SCALE = 5.0
MIN_SNR_GAMMA = 5.0
"""Timesteps of a signal-to-noise ratio above it weigh less (Hang et al., 2023): faint noise is a lot of loss that
says little about what a frame shows."""
VALIDATION_STEPS = 20


class Diffusion:
    """The official noise schedule and the epsilon-prediction loss.

    Args:
        seed: fixes timesteps, noise and dropped captions.
        timestep_draws: the largest of so many uniform draws is the timestep. With more than one, training dwells on
            the noisy end, where a frame's layout, and with it the camera's part, is decided.
    """

    def __init__(self, seed: int, timestep_draws: int = 1) -> None:
        self.timestep_draws = timestep_draws
        self.scheduler = official_scheduler()
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)

    def loss(
        self, latents: torch.Tensor, predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], together: int = 1
    ) -> torch.Tensor:
        """Mean squared error of the predicted noise, weighted by timestep.

        Args:
            latents: (B, ...) of unit variance.
            predict: predicted noise from noisy latents (B, ...) and timesteps (B,).
            together: how many consecutive rows, the views of a scene, share a timestep.
        """
        timesteps = torch.randint(0, 1000, (self.timestep_draws, len(latents) // together), generator=self.generator)
        timesteps = timesteps.amax(0).repeat_interleave(together)
        noise = torch.randn(latents.shape, generator=self.generator)
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        signal = self.scheduler.alphas_cumprod[timesteps]
        weight = (MIN_SNR_GAMMA * (1 - signal) / signal).clamp(max=1)
        error = F.mse_loss(predict(noisy, timesteps), noise, reduction="none").flatten(1).mean(1)
        return (weight * error).mean()

    def drop_captions(self, captions: Sequence[str]) -> list[str]:
        """Captions with one in ten replaced by the empty one, for classifier-free guidance."""
        return ["" if self.rng.random() < CAPTION_DROPOUT else caption for caption in captions]


def embed(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, captions: Sequence[str]) -> torch.Tensor:
    """Text embeddings (B, tokens, D)."""
    length = tokenizer.model_max_length
    tokens = tokenizer(list(captions), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return text_encoder(tokens.input_ids)[0]


@torch.no_grad()
def sample(
    shape: tuple[int, ...],
    text: torch.Tensor,
    empty_text: torch.Tensor,
    predict: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    seed: int = 0,
) -> torch.Tensor:
    """Guided DDIM samples (B, ...) from text (B, tokens, D); ``predict`` takes both branches, empty text first."""
    scheduler = official_scheduler()
    scheduler.set_timesteps(VALIDATION_STEPS)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    both_texts = torch.cat([empty_text.expand_as(text), text])
    for timestep in scheduler.timesteps:
        without, with_text = predict(torch.cat([latents, latents]), timestep, both_texts).chunk(2)
        latents = scheduler.step(without + GUIDANCE_SCALE * (with_text - without), timestep, latents).prev_sample
    return latents
