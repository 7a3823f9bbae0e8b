"""The starter's own autoencoder, trained on stills with absolute, squared and edge errors and a tiny KL term."""

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
SQUARED_WEIGHT = 3.0  # colours first: the absolute error alone is slow to notice small objects
CHROMA_GAIN = 2.0
"""How much larger an error counts that differs between red, green and blue: a dark orange is not far from red."""

KL_WEIGHT = 1e-6
DRIFT_WEIGHT = 0.1
"""Of the squared distance of latents, of unit variance, from what they were when a U-Net learnt them."""

SHOWN = 16


def reconstruction_loss(
    decoded: torch.Tensor, pixels: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Absolute, squared and edge error of pixels, what differs between their channels counting `CHROMA_GAIN` times.

    Args:
        decoded, pixels: (B, 3, H, W) in [-1, 1].
        weight: (B, 1, h, w), how much the pixels under each latent count; None: all the same.
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

    Of a model whose U-Net has learnt the latents, the latents stay near what they are and are scaled as they are, so
    that the joint stage soon catches up with them.

    Args:
        vae: trained.
        output: the run folder; ``vae`` is written there.
        model: the model that the autoencoder is of, if it is not from scratch: all of it is written then.
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
        assert batch.frames is not None  # asked for by the request
        before = encode(self.learnt_from, batch.frames[:, 0])
        return loss + DRIFT_WEIGHT * F.mse_loss(posterior.mode() * self.vae.config.scaling_factor, before)

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], np.ndarray]:
        """The peak signal-to-noise ratio of the reconstructions; some stills above their reconstructions."""
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
        assert batch.frames is not None  # asked for by the request
        return to_pixels(batch.frames[:, 0].to(self.device))

    def _still_weight(self, batch: Batch) -> torch.Tensor | None:
        weight = self._weight(batch)
        return None if weight is None else weight[:, :, 0]


class DecoderStage(AutoencoderStage):
    """Goes on with the decoder alone: the latents, and so everything trained on them, stay valid."""

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
        """Its scaling factor stays."""
        self._write()
