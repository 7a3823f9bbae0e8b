"""The starter model from scratch at the smallest size, and a trainer for it."""

from pathlib import Path

import torch
from msgspec.structs import replace

from cvd.pipeline import CollaborativeVideoPipeline
from cvd.starter.captions import VOCABULARY
from cvd.training.batches import Mixture
from cvd.training.datasets import DataSet, Procedural
from cvd.training.loop import Settings, Trainer, start_accelerator
from cvd.training.model import (
    STARTER_INFO,
    Sizes,
    build_autoencoder,
    build_camera_encoder,
    build_collaborative_unet,
    build_image_unet,
    starter_scheduler,
)
from cvd.training.stage import Stage
from cvd.training.text import build_text_encoder, build_tokenizer
from protocol.models import SizeRule

SIZES = Sizes(autoencoder=(8,) * 5, unet=(32, 32), cross_attention_levels=1, text=16, frames=4)
FACTOR = 16
"""Pixels that a latent covers in each direction."""
SIDE = 32
"""Width and height of the frames. They need not be the networks' own."""


def tiny_model() -> CollaborativeVideoPipeline:
    """A model in which all modules have an effect, as after earlier stages. No zeros block a gradient."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(VOCABULARY)
    unet = build_collaborative_unet(build_image_unet(SIZES), SIZES.frames)
    for _, module in unet.collaborative_modules():
        motion = module.motion
        for layer in (motion.proj_out, motion.transformer_blocks[0].qkv_merge, module.epipolar_module.proj_out):
            torch.nn.init.normal_(layer.weight, std=0.1)
    return CollaborativeVideoPipeline(
        unet=unet,
        camera_encoder=build_camera_encoder(SIZES, FACTOR),
        vae=build_autoencoder(SIZES.autoencoder),
        text_encoder=build_text_encoder(tokenizer, SIZES.text),
        tokenizer=tokenizer,
        scheduler=starter_scheduler(),
        info=replace(STARTER_INFO, name="tiny", sizes=SizeRule(native=SIDE, multiple=FACTOR)),
    )


def trainer(
    stage: Stage, folder: Path, settings: Settings, *data: DataSet, mixed_precision: str | None = None, log=print
) -> Trainer:
    """A trainer whose files go to `folder`, on procedural scenes if no data is given."""
    mixture = Mixture(data or [Procedural(SIDE, SIDE, FACTOR)])
    stage.watch(mixture)
    accelerator = start_accelerator(folder, mixed_precision, settings.accumulation)
    return Trainer(stage, mixture, folder, settings, accelerator, log)
