"""The starter model's networks: their sizes, and reading and writing them in run folders and shipped folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from protocol.models import (
    STARTER_NAME,
    FrameRule,
    GuidanceRule,
    LearnedMotion,
    LearnedRange,
    ModelInfo,
    SizeRule,
)
from protocol.settings import SamplingSettings

from ..memory import MemoryPlan
from ..models.camera_encoder import CameraPoseEncoder
from ..models.unet import CollaborativeUNet
from ..pipeline import CollaborativeVideoPipeline
from ..request import MAX_FRAMES
from ..sampling.denoise import official_scheduler
from ..starter.world import IMAGE_SIZE
from ..weights.devices import precision_of
from ..weights.model_info import ALL_SETTINGS, INFO_FILE, read_info, vae_scale_factor
from .errors import TrainingError
from .preview import starter_preview

LATENT_CHANNELS = 16  # for latents of 16 x 16 pixels; 4 channels for 8 x 8 pixels lost solids' colours or edges
HEADS = 4  # at these widths more heads take time and do not help
STARTER_INFO = ModelInfo(
    name=STARTER_NAME,
    sizes=SizeRule(native=IMAGE_SIZE, multiple=64),
    frames=FrameRule(at_once=16, most=MAX_FRAMES),
    defaults=SamplingSettings(num_inference_steps=25, guidance_scale=5.0),
    settings=ALL_SETTINGS,
    # What `cvd.starter.camera_paths` draws.
    learned=LearnedMotion(
        motion=LearnedRange(low=0.0, high=0.6),
        baseline=LearnedRange(low=0.0, high=1.2),
        field_of_view=LearnedRange(low=37.0, high=88.0),
    ),
    guidance=GuidanceRule(frees_unconditional=True, late_share=0.5),
)

MADE_BY = {
    "vae": "autoencoder",
    "tokenizer": "image",
    "text_encoder": "image",
    "image_unet": "image",
    "unet": "motion",
    "camera_encoder": "motion",
    "scheduler": "motion",
}
"""For each folder of a run, the stage that writes it first."""


@dataclass(frozen=True)
class Sizes:
    """Widths of the networks. The defaults are the starter model's."""

    autoencoder: tuple[int, ...] = (16, 16, 32, 64, 96)
    unet: tuple[int, ...] = (64, 128, 160)
    cross_attention_levels: int = 2
    text: int = 128
    frames: int = 16


def build_autoencoder(widths: tuple[int, ...]) -> AutoencoderKL:
    """A small AutoencoderKL. Every level but the first halves the image: with five, a latent covers 16 x 16 pixels."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
        scaling_factor=1.0,
    )


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
    """The image U-Net with new motion and epipolar modules. Untrained modules do not change the output."""
    unet = CollaborativeUNet.from_unet2d(
        image_unet, motion_num_attention_heads=HEADS, motion_max_seq_length=frames, without_baseline="point"
    )
    for _, module in unet.collaborative_modules():
        nn.init.zeros_(module.motion.proj_out.weight)
        nn.init.zeros_(module.motion.proj_out.bias)
    return unet


def build_camera_encoder(sizes: Sizes, downscale_factor: int) -> CameraPoseEncoder:
    """An untrained camera encoder for the U-Net's widths. `downscale_factor`: the autoencoder's, pixels per latent."""
    return CameraPoseEncoder(
        channels=sizes.unet,
        layers_per_level=1,
        num_attention_heads=HEADS,
        max_frames=sizes.frames,
        downscale_factor=downscale_factor,
    )


def extract_image_unet(unet: CollaborativeUNet) -> UNet2DConditionModel:
    """The image U-Net inside a collaborative one, with a copy of its weights."""
    config = unet.config
    levels, crossed = len(config.block_out_channels), config.cross_attention_levels
    image_unet = UNet2DConditionModel(
        sample_size=config.sample_size,
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        block_out_channels=config.block_out_channels,
        down_block_types=("CrossAttnDownBlock2D",) * crossed + ("DownBlock2D",) * (levels - crossed),
        up_block_types=("UpBlock2D",) * (levels - crossed) + ("CrossAttnUpBlock2D",) * crossed,
        layers_per_block=config.layers_per_block,
        cross_attention_dim=config.cross_attention_dim,
        attention_head_dim=config.num_attention_heads,  # diffusers' name for the number of heads
        norm_num_groups=config.norm_num_groups,
        norm_eps=config.norm_eps,
    )
    weights = unet.state_dict()
    image_unet.load_state_dict({name: weights[name] for name in image_unet.state_dict()})
    return image_unet


def merge_image_unet(image_unet: UNet2DConditionModel, unet: CollaborativeUNet) -> None:
    """Write an image U-Net's weights back into the collaborative U-Net that `extract_image_unet` took it from."""
    unet.load_state_dict(image_unet.state_dict(), strict=False)


def starter_scheduler() -> DDIMScheduler:
    """The official noise schedule, for a U-Net that predicts the velocity (Salimans and Ho, 2022).

    In the first steps of a sampling run the video's share in its latents is only 5 % in amplitude. A network that
    predicts noise must then be exact to a few per mille, and its errors hide the video. A velocity is nearly all video
    there.
    """
    return official_scheduler("v_prediction")


def load_run_part(run: Path, name: str) -> Any:
    """One network of a run, frozen; or its tokenizer or scheduler.

    Args:
        name: name of the folder, a key of `MADE_BY`.

    Raises:
        TrainingError: the stage that writes it has not been trained.
    """
    classes: dict[str, type[Any]] = {
        "vae": AutoencoderKL,
        "tokenizer": CLIPTokenizer,
        "text_encoder": CLIPTextModel,
        "image_unet": UNet2DConditionModel,
        "unet": CollaborativeUNet,
        "camera_encoder": CameraPoseEncoder,
        "scheduler": DDIMScheduler,
    }
    folder = run / name
    if not any((folder / f"{kind}config.json").exists() for kind in ("", "tokenizer_", "scheduler_")):
        raise TrainingError(
            f"{folder} is not there yet.", f"Train stage {MADE_BY[name]} of {run} first, or start from a --model."
        )
    part = classes[name].from_pretrained(folder)
    return part.eval().requires_grad_(False) if isinstance(part, nn.Module) else part


def start_model(run: Path, sizes: Sizes) -> CollaborativeVideoPipeline:
    """The model that the motion stage starts with: a run's image model, new video modules, a new camera encoder."""
    parts = {name: load_run_part(run, name) for name in ("vae", "tokenizer", "text_encoder")}
    parts["scheduler"] = starter_scheduler()
    unet = build_collaborative_unet(load_run_part(run, "image_unet"), sizes.frames)
    camera_encoder = build_camera_encoder(sizes, vae_scale_factor(parts["vae"].config))
    return _pipeline(parts | {"unet": unet, "camera_encoder": camera_encoder}, STARTER_INFO)


def load_run_model(run: Path, dtype: torch.dtype = torch.float32) -> CollaborativeVideoPipeline:
    """A run's model, as its last trained stage wrote it.

    Raises:
        TrainingError: a stage has not been trained.
    """
    info = read_info(run) if (run / INFO_FILE).exists() else STARTER_INFO
    names = ("vae", "tokenizer", "text_encoder", "unet", "camera_encoder", "scheduler")
    return _pipeline({name: load_run_part(run, name) for name in names}, info, dtype)


def _pipeline(parts: dict[str, Any], info: ModelInfo, dtype: torch.dtype = torch.float32) -> CollaborativeVideoPipeline:
    return CollaborativeVideoPipeline(**parts, info=info, plan=MemoryPlan(precision=precision_of(dtype)))


def save_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the tokenizer with the `vocab.json` and `merges.txt` that every version of transformers reads."""
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))


def save_model(model: CollaborativeVideoPipeline, folder: Path) -> None:
    """Write a model as one folder for `CollaborativeVideoPipeline.from_pretrained`."""
    model.save_pretrained(folder)
    save_tokenizer(model.tokenizer, folder / "tokenizer")


def ship(run: Path, destination: Path) -> None:
    """Write the finished model of a run as one float16 folder.

    Raises:
        TrainingError: a stage has not been trained.
    """
    model = load_run_model(run, torch.float16)
    vae = load_run_part(run, "vae")
    model.preview_map = starter_preview(vae, model.info.sizes.native)
    save_model(model, destination)
