"""The starter's own autoencoder, trained on stills with absolute, squared and edge errors and a tiny KL term."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import nn

from .batches import Batch
from .datasets import Request
from .latents import to_images, to_pixels
from .stage import Stage

LATENT_CHANNELS = 8  # at 64 x 64 four channels lose the objects' colours or their edges
EDGE_WEIGHT = 0.5
SQUARED_WEIGHT = 3.0  # colours first: the absolute error alone is slow to notice small objects
KL_WEIGHT = 1e-6
SHOWN = 16


def build_autoencoder(widths: tuple[int, ...]) -> AutoencoderKL:
    """A small AutoencoderKL of factor 8 for 64 x 64 images."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=64,
        scaling_factor=1.0,
    )


def reconstruction_loss(decoded: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Absolute, squared and edge error of pixels (B, 3, H, W) in [-1, 1]."""
    error = decoded.float() - pixels
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + SQUARED_WEIGHT * error.square().mean() + EDGE_WEIGHT * edges


class AutoencoderStage(Stage):
    """Trains every parameter of the autoencoder, then sets its scaling factor so that latents have unit variance."""

    name = "autoencoder"
    learning_rate = 1.5e-3
    batch_size = 8
    validation_size: ClassVar[int] = 128

    def __init__(self, vae: AutoencoderKL, output: Path) -> None:
        super().__init__()
        self.vae, self.output = vae, output
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
        return reconstruction_loss(decoded, pixels) + KL_WEIGHT * posterior.kl().mean()

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], np.ndarray]:
        """The peak signal-to-noise ratio of the reconstructions; some stills above their reconstructions."""
        pixels = self._pixels(self.validation)
        latents = self.vae.encode(pixels).latent_dist.mode()
        decoded = self.vae.decode(latents).sample.float().clamp(-1, 1)
        psnr = -10 * torch.log10(F.mse_loss(decoded / 2, pixels / 2, reduction="none").mean((1, 2, 3))).mean()
        figures = {"PSNR": psnr.item(), "latent deviation": latents.float().std().item()}
        return figures, np.stack([to_images(pixels[:SHOWN]), to_images(decoded[:SHOWN])])

    @torch.no_grad()
    def save(self) -> None:
        """Write the autoencoder, which scales the validation stills' latents to unit variance."""
        latents = self.vae.encode(self._pixels(self.validation)).latent_dist.mode()
        self.vae.register_to_config(scaling_factor=round(1 / latents.float().std().item(), 6))
        self.vae.save_pretrained(self.output / "vae")

    def _pixels(self, batch: Batch) -> torch.Tensor:
        assert batch.frames is not None  # asked for by the request
        return to_pixels(batch.frames[:, 0].to(self.device))


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
        return reconstruction_loss(self.vae.decode(latents).sample, self._pixels(batch))

    def save(self) -> None:
        """Write the autoencoder; its scaling factor stays."""
        self.vae.save_pretrained(self.output / "vae")
