"""Training of the autoencoder on stills. The loss has absolute, squared and edge errors and a very small KL term."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import nn

from ..pipeline import CollaborativeVideoPipeline
from .batches import Batch
from .datasets import Request
from .latents import encode, to_images, to_pixels
from .model import save_model
from .stage import Stage

EDGE_WEIGHT = 0.5
SQUARED_WEIGHT = 3.0  # for colours: with the absolute error alone, small solids are learnt slowly
CHROMA_GAIN = 2.0
"""Factor on the part of the error that differs between red, green and blue. It separates similar hues, such as dark
orange and red."""

KL_WEIGHT = 1e-6
DRIFT_WEIGHT = 0.1
"""Weight of the squared distance between the latents (of unit variance) and those that the U-Net has learnt."""

SHOWN = 16


def reconstruction_loss(
    decoded: torch.Tensor, pixels: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Absolute, squared and edge error of pixels. The part that differs between channels counts `CHROMA_GAIN` times.

    Args:
        decoded, pixels: (B, 3, H, W) in [-1, 1].
        weight: (B, 1, h, w) weight of the pixels that each latent covers; None: all pixels have the same weight.
    """
    error = decoded.float() - pixels
    grey = error.mean(1, keepdim=True)
    error = grey + CHROMA_GAIN * (error - grey)
    weight = error.new_ones(len(error), 1, 1, 1) if weight is None else weight / weight.mean()
    weight = F.interpolate(weight, error.shape[-2:])
    edges = (weight[..., 1:] * error.diff(dim=-1).abs()).mean() + (weight[..., 1:, :] * error.diff(dim=-2).abs()).mean()
    return (weight * (error.abs() + SQUARED_WEIGHT * error.square())).mean() + EDGE_WEIGHT * edges


class AutoencoderStage(Stage):
    """Trains every parameter of the autoencoder, then sets its scaling factor so that latents have unit variance.

    With a `model`, the U-Net has learnt the latents. The loss then keeps them near what they were, and the scaling
    factor stays. The joint stage adapts the U-Net to the small change.

    Args:
        vae: autoencoder that is trained.
        output: run folder that `vae` is written to.
        model: model that the autoencoder belongs to; all of it is written. None: the autoencoder is from scratch.
    """

    name = "autoencoder"
    learning_rate = 1.5e-3
    batch_size = 8
    validation_size: ClassVar[int] = 128

    def __init__(self, vae: AutoencoderKL, output: Path, model: CollaborativeVideoPipeline | None = None) -> None:
        super().__init__()
        self.vae, self.output, self.model = vae, output, model
        self.learnt_from = None if model is None else copy.deepcopy(vae)
        self._train_only(self._own_parameters())

    def _own_parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.vae.named_parameters())

    @property
    def request(self) -> Request:
        return Request(pixels=True)

    def forward(self, batch: Batch) -> torch.Tensor:
        pixels = self._pixels(batch).contiguous(memory_format=torch.channels_last)
        posterior = self.vae.encode(pixels).latent_dist
        decoded = self.vae.decode(posterior.sample(torch.Generator().manual_seed(batch.seed))).sample
        loss = reconstruction_loss(decoded, pixels, self._still_weight(batch)) + KL_WEIGHT * posterior.kl().mean()
        if self.learnt_from is None:
            return loss
        assert batch.frames is not None  # the request asks for frames
        before = encode(self.learnt_from, batch.frames[:, 0])
        return loss + DRIFT_WEIGHT * F.mse_loss(posterior.mode() * self.vae.config.scaling_factor, before)

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], np.ndarray]:
        """Peak signal-to-noise ratio of the reconstructions; a row of stills above a row of their reconstructions."""
        pixels = self._pixels(self.validation)
        latents = self.vae.encode(pixels).latent_dist.mode()
        decoded = self.vae.decode(latents).sample.float().clamp(-1, 1)
        psnr = -10 * torch.log10(F.mse_loss(decoded / 2, pixels / 2, reduction="none").mean((1, 2, 3))).mean()
        measures = {"PSNR": psnr.item(), "latent deviation": latents.float().std().item()}
        return measures, np.stack([to_images(pixels[:SHOWN]), to_images(decoded[:SHOWN])])

    @torch.no_grad()
    def save(self) -> None:
        if self.model is None:
            latents = self.vae.encode(self._pixels(self.validation)).latent_dist.mode()
            self.vae.register_to_config(scaling_factor=round(1 / latents.float().std().item(), 6))
        self._write()

    def _write(self) -> None:
        if self.model is None:
            self.vae.save_pretrained(self.output / "vae")
        else:
            save_model(self.model, self.output)

    def _pixels(self, batch: Batch) -> torch.Tensor:
        assert batch.frames is not None  # the request asks for frames
        return to_pixels(batch.frames[:, 0].to(self.device))

    def _still_weight(self, batch: Batch) -> torch.Tensor | None:
        weight = self._weight(batch)
        return None if weight is None else weight[:, :, 0]


class DecoderStage(AutoencoderStage):
    """Trains the decoder alone. The latents do not change, so the networks that are trained on them stay valid."""

    name = "decoder"
    learning_rate = 4e-4

    def _own_parameters(self) -> dict[str, nn.Parameter]:
        return {
            name: parameter
            for name, parameter in self.vae.named_parameters()
            if name.startswith(("decoder.", "post_quant_conv."))
        }

    def forward(self, batch: Batch) -> torch.Tensor:
        latents = self._latents(batch)[:, :, 0] / self.vae.config.scaling_factor
        return reconstruction_loss(self.vae.decode(latents).sample, self._pixels(batch), self._still_weight(batch))

    def save(self) -> None:
        """Write the stage's result; the scaling factor does not change."""
        self._write()
