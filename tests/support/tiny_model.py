"""A model folder of the real classes at the smallest size, with random weights: a generation takes about a second."""

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from support.tokenizer_files import VOCABULARY_SIZE, write_tokenizer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from cvd.models.camera_encoder import CameraPoseEncoder
from cvd.models.unet import CollaborativeUNet
from cvd.pipeline import CollaborativeVideoPipeline
from cvd.sampling.denoise import official_scheduler
from cvd.weights.model_info import ALL_SETTINGS
from protocol.models import FrameRule, ModelInfo, SizeRule
from protocol.settings import SamplingSettings

WIDTHS = (16, 32)


def tiny_pipeline(tokenizer_folder: Path, scale_factor: int = 8) -> CollaborativeVideoPipeline:
    """The model. Its latents cover `scale_factor` pixels in each direction, a power of two.

    Its tokenizer's files are written to `tokenizer_folder`.
    """
    torch.manual_seed(0)
    write_tokenizer(tokenizer_folder)
    unet = CollaborativeUNet(
        sample_size=8,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        cross_attention_levels=1,
        cross_attention_dim=16,
        num_attention_heads=2,
        motion_num_attention_heads=2,
        norm_num_groups=8,
    )
    for name, parameter in unet.named_parameters():
        # Modules that have no effect at first must have one here.
        if "qkv_merge" in name or name.endswith("proj_out.weight"):
            torch.nn.init.normal_(parameter, std=0.1)
    text_config = CLIPTextConfig(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
    blocks = scale_factor.bit_length()
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=(8,) * blocks,
        norm_num_groups=4,
        sample_size=64,
    )
    return CollaborativeVideoPipeline(
        unet=unet,
        camera_encoder=CameraPoseEncoder(
            channels=WIDTHS, layers_per_level=1, num_attention_heads=2, downscale_factor=scale_factor
        ),
        vae=vae,
        text_encoder=CLIPTextModel(text_config),
        tokenizer=CLIPTokenizer.from_pretrained(tokenizer_folder),
        scheduler=official_scheduler(),
        info=ModelInfo(
            name="tiny",
            sizes=SizeRule(native=64, multiple=8),
            frames=FrameRule(at_once=16, most=128),
            defaults=SamplingSettings(num_inference_steps=4, guidance_scale=5.0),
            settings=ALL_SETTINGS,
        ),
    )


def write_tiny_model(folder: Path) -> None:
    """Writes the model in the layout of `from_pretrained`."""
    tiny_pipeline(folder / "tokenizer").save_pretrained(folder)


if __name__ == "__main__":
    write_tiny_model(Path(sys.argv[1]))
