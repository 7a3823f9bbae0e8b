"""The autoencoder, trained on stills with absolute, squared and edge errors and a tiny KL term."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from cvd.training.contact_sheet import write_contact_sheet
from cvd.training.pool import Pool

LATENT_CHANNELS = 8  # at 64 x 64 four channels lose the objects' colours or their edges
EDGE_WEIGHT = 0.5
SQUARED_WEIGHT = 3.0  # colours first: the absolute error alone is slow to notice small objects
KL_WEIGHT = 1e-6


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


def to_tensor(frames: np.ndarray) -> torch.Tensor:
    """uint8 (..., H, W, 3) to float (..., 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(frames)).movedim(-1, -3).float().div_(127.5).sub_(1)


def to_images(pixels: torch.Tensor) -> np.ndarray:
    """float (..., 3, H, W) in [-1, 1] to float (..., H, W, 3) in [0, 1]."""
    return (pixels.movedim(-3, -1) / 2 + 0.5).clamp(0, 1).numpy()


def reconstruction_loss(decoded: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Absolute, squared and edge error of pixels (B, 3, H, W) in [-1, 1]."""
    error = decoded - pixels
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + SQUARED_WEIGHT * error.square().mean() + EDGE_WEIGHT * edges


class AutoencoderStage:
    """Trains every parameter of the autoencoder, then sets its scaling factor so that latents have unit variance."""

    name = "autoencoder"

    def __init__(
        self, vae: AutoencoderKL, stills: Pool, validation: Pool, output: Path, batch_size: int = 8, seed: int = 0
    ) -> None:
        self.vae, self.stills, self.validation, self.output = vae, stills, validation, output
        self.batch_size, self.learning_rate = batch_size, 1.5e-3
        self.rng = np.random.default_rng(seed)
        self.parameters = dict(vae.named_parameters())

    def loss(self) -> torch.Tensor:
        index = np.sort(self.rng.choice(len(self.stills), self.batch_size, replace=False))
        pixels = to_tensor(self.stills.frames[index]).contiguous(memory_format=torch.channels_last)
        posterior = self.vae.encode(pixels).latent_dist
        decoded = self.vae.decode(posterior.sample()).sample
        return reconstruction_loss(decoded, pixels) + KL_WEIGHT * posterior.kl().mean()

    @torch.no_grad()
    def validate(self, picture: Path) -> str:
        pixels = to_tensor(self.validation.frames[:64])
        latents = self.vae.encode(pixels).latent_dist.mode()
        decoded = self.vae.decode(latents).sample.clamp(-1, 1)
        psnr = -10 * torch.log10(F.mse_loss(decoded / 2, pixels / 2, reduction="none").mean((1, 2, 3))).mean()
        write_contact_sheet(picture, np.stack([to_images(pixels[:16]), to_images(decoded[:16])]))
        return f"PSNR {psnr:.2f} dB, latent deviation {latents.std():.3f}"

    @torch.no_grad()
    def save(self) -> None:
        latents = self.vae.encode(to_tensor(self.validation.frames)).latent_dist.mode()
        self.vae.register_to_config(scaling_factor=round(1 / latents.std().item(), 6))
        self.vae.save_pretrained(self.output)


class DecoderStage(AutoencoderStage):
    """Goes on with the decoder alone: the latents, and so everything trained on them, stay valid.

    Args:
        latents: those of the stills, in the same order, scaled by the autoencoder's ``scaling_factor``.
    """

    name = "decoder"

    def __init__(self, *args, latents: np.ndarray, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.latents, self.learning_rate = latents, 4e-4
        self.vae.requires_grad_(False)
        self.parameters = {
            name: p for name, p in self.vae.named_parameters() if name.startswith(("decoder.", "post_quant_conv."))
        }

    def loss(self) -> torch.Tensor:
        index = np.sort(self.rng.choice(len(self.latents), self.batch_size, replace=False))
        latents = torch.from_numpy(self.latents[index]).float() / self.vae.config.scaling_factor
        return reconstruction_loss(self.vae.decode(latents).sample, to_tensor(self.stills.frames[index]))

    def save(self) -> None:
        self.vae.save_pretrained(self.output)
