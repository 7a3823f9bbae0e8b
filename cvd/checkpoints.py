"""Reading the official CVD release's files into our models, tensor by tensor, with nothing left over on either side."""

from __future__ import annotations

import re
from pathlib import Path

from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .models.camera_encoder import CameraPoseEncoder
from .models.unet import CollaborativeUNet
from .weight_files import empty_model, load_part, read_config, read_section, read_tensors, require_file

MOTION_FILE = "animatediff_mm.ckpt"
CAMERA_FILE = "CameraCtrl.ckpt"
EPIPOLAR_FILE = "CVD.ckpt"

TRANSFORMER_NAMES = {
    ".attention_blocks.0.pos_encoder.pe": ".pos_embed.pe",
    ".attention_blocks.0.processor.qkv_merge.": ".qkv_merge.",
    ".attention_blocks.0.": ".attn1.",
    ".attention_blocks.1.": ".attn2.",
    ".norms.0.": ".norm1.",
    ".norms.1.": ".norm2.",
    ".ff_norm.": ".norm3.",
}
"""The official names inside a transformer block, and ours (diffusers'); the first that fits holds."""


def load_collaborative_unet(folder: Path, unet_subfolder: str) -> CollaborativeUNet:
    """The U-Net from a folder of official files: image U-Net, AnimateDiff, CameraCtrl's merge layers, CVD.

    Args:
        folder: holds StableDiffusion/<unet_subfolder>, animatediff_mm.ckpt, CameraCtrl.ckpt and CVD.ckpt.

    Raises:
        CheckpointError: a file is missing, truncated, or holds other tensors than the network.
    """
    unet_folder = folder / "StableDiffusion" / unet_subfolder
    files = {
        "unet": weights_file(unet_folder, "diffusion_pytorch_model"),
        "motion": folder / MOTION_FILE,
        "camera": folder / CAMERA_FILE,
        "epipolar": folder / EPIPOLAR_FILE,
    }
    config = read_config(unet_folder / "config.json")
    for path in files.values():
        require_file(path)
    model = empty_model(CollaborativeUNet, CollaborativeUNet.config_from_unet2d(config))
    slots = {name: _unet_part(name) for name in model.state_dict()}
    read = {
        "unet": (read_tensors(files["unet"]), lambda name: name),
        "motion": (read_tensors(files["motion"]), motion_name),
        "camera": (read_section(files["camera"], "attention_processor_state_dict"), motion_name),
        "epipolar": (read_section(files["epipolar"], "unet_trainable_dict"), epipolar_name),
    }
    for part, (tensors, rename) in read.items():
        expected = {name for name, owner in slots.items() if owner == part}
        load_part(model, tensors, rename, expected, files[part])
    return model


def load_camera_encoder(folder: Path, channels: tuple[int, ...]) -> CameraPoseEncoder:
    """CameraCtrl's pose encoder from an official CameraCtrl.ckpt, for a U-Net of these widths.

    Raises:
        CheckpointError: as `load_collaborative_unet`.
    """
    path = folder / CAMERA_FILE
    model = empty_model(CameraPoseEncoder, {"channels": channels})
    tensors = read_section(path, "pose_encoder_state_dict")
    load_part(model, tensors, transformer_name, set(model.state_dict()), path)
    return model


def load_autoencoder(folder: Path) -> AutoencoderKL:
    """A diffusers folder's autoencoder.

    Raises:
        CheckpointError: as `load_collaborative_unet`.
    """
    path = weights_file(folder, "diffusion_pytorch_model")
    model = empty_model(AutoencoderKL.from_config, {"config": read_config(folder / "config.json")})
    load_part(model, read_tensors(path), autoencoder_name, set(model.state_dict()), path)
    return model


def load_text_encoder(folder: Path) -> CLIPTextModel:
    """A transformers folder's CLIP text encoder.

    Raises:
        CheckpointError: as `load_collaborative_unet`.
    """
    path = weights_file(folder, "model", "pytorch_model")
    model = empty_model(CLIPTextModel, {"config": CLIPTextConfig(**read_config(folder / "config.json"))})
    load_part(model, read_tensors(path), text_encoder_name, set(model.state_dict()), path)
    return model


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """A transformers folder's CLIP tokenizer.

    Raises:
        CheckpointError: a file of it is missing.
    """
    if not (folder / "tokenizer.json").is_file():
        for name in ("vocab.json", "merges.txt"):
            require_file(folder / name)
    return CLIPTokenizer.from_pretrained(folder)


def weights_file(folder: Path, *stems: str) -> Path:
    """The weights of a component's folder: the first of `stems` that is there as .safetensors, else as .bin."""
    names = [f"{stem}.{suffix}" for suffix in ("safetensors", "bin") for stem in stems]
    return next((folder / name for name in names if (folder / name).is_file()), folder / names[0])


def autoencoder_name(name: str) -> str:
    """diffusers' present name for an autoencoder's tensor (files of before 2023 call the attention's layers else)."""
    new = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
    return re.sub(r"(attentions\.\d+)\.(query|key|value|proj_attn)\.", lambda m: f"{m[1]}.{new[m[2]]}.", name)


def text_encoder_name(name: str) -> str | None:
    """transformers' present name for a text encoder's tensor; the table of position indices is computed: None."""
    return None if name.endswith("position_ids") else name.removeprefix("text_model.")


def transformer_name(name: str) -> str:
    """Our name for an official tensor, where they differ inside transformer blocks only."""
    for theirs, ours in TRANSFORMER_NAMES.items():
        if theirs in name:
            return name.replace(theirs, ours)
    return name


def motion_name(name: str) -> str | None:
    """Our name for a tensor of the motion module or of the camera's merge layers.

    The second attention's positional table is the first one's, kept once here: None.
    """
    if name.endswith(".attention_blocks.1.pos_encoder.pe"):
        return None
    return transformer_name(name.removeprefix("module.").replace(".temporal_transformer.", ".motion."))


def epipolar_name(name: str) -> str:
    """Our name for a tensor of CVD's epipolar modules."""
    name = name.replace(".epi_modules.", ".motion_modules.").replace(".epi_transformer.", ".epipolar_module.")
    return transformer_name(name.removeprefix("module."))


def _unet_part(name: str) -> str:
    """Which of the official files one of our U-Net's tensors comes from."""
    if ".epipolar_module." in name:
        return "epipolar"
    if "qkv_merge" in name:
        return "camera"
    return "motion" if ".motion_modules." in name else "unet"
