"""The starter model's networks: their sizes, the run folder they grow in, and the folder that is shipped."""

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from cvd.models.camera_encoder import CameraPoseEncoder
from cvd.models.unet import CollaborativeUNet
from cvd.pipeline import CollaborativeVideoPipeline, ModelInfo
from cvd.sampling import official_scheduler
from cvd.training.autoencoder import LATENT_CHANNELS

HEADS = 4  # at these widths more heads cost time and bring nothing
STARTER_INFO = ModelInfo(
    name="starter", native_size=64, size_multiple=64, max_frames=16, num_inference_steps=25, guidance_scale=5.0
)


@dataclass(frozen=True)
class Sizes:
    """Widths of the networks; the defaults are the starter model's."""

    autoencoder: tuple[int, ...] = (16, 32, 64, 96)
    unet: tuple[int, ...] = (64, 128, 160)
    cross_attention_levels: int = 2
    text: int = 128
    frames: int = 16


def build_image_unet(sizes: Sizes) -> UNet2DConditionModel:
    """An untrained image U-Net in SD 1.5's layout, for 8 x 8 latents."""
    crossed, plain = sizes.cross_attention_levels, len(sizes.unet) - sizes.cross_attention_levels
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=sizes.unet,
        down_block_types=("CrossAttnDownBlock2D",) * crossed + ("DownBlock2D",) * plain,
        up_block_types=("UpBlock2D",) * plain + ("CrossAttnUpBlock2D",) * crossed,
        layers_per_block=1,
        cross_attention_dim=sizes.text,
        attention_head_dim=HEADS,  # diffusers' name for the number of heads
    )


def build_collaborative_unet(image_unet: UNet2DConditionModel, frames: int) -> CollaborativeUNet:
    """The image U-Net with new motion and epipolar modules, which change nothing until they are trained."""
    unet = CollaborativeUNet.from_unet2d(image_unet, motion_num_attention_heads=HEADS, motion_max_seq_length=frames)
    for _, module in unet.collaborative_modules():
        nn.init.zeros_(module.motion.proj_out.weight)
        nn.init.zeros_(module.motion.proj_out.bias)
    return unet


def build_camera_encoder(sizes: Sizes) -> CameraPoseEncoder:
    """An untrained camera encoder for the U-Net's widths."""
    return CameraPoseEncoder(
        channels=sizes.unet, layers_per_level=1, num_attention_heads=HEADS, max_frames=sizes.frames
    )


def save_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the tokenizer with the ``vocab.json`` and ``merges.txt`` that every version of transformers reads."""
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))


def ship(run: Path, destination: Path) -> None:
    """Write the finished networks of a run as one float16 folder for ``CollaborativeVideoPipeline.from_pretrained``."""
    tokenizer = CLIPTokenizer.from_pretrained(run / "tokenizer")
    CollaborativeVideoPipeline(
        unet=CollaborativeUNet.from_pretrained(run / "unet"),
        camera_encoder=CameraPoseEncoder.from_pretrained(run / "camera_encoder"),
        vae=AutoencoderKL.from_pretrained(run / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(run / "text_encoder"),
        tokenizer=tokenizer,
        scheduler=official_scheduler(),
        model_info=STARTER_INFO,
        dtype=torch.float16,
    ).save_pretrained(destination)
    save_tokenizer(tokenizer, destination / "tokenizer")
