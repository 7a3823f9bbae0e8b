"""Reading the official CVD release's files into our models. Every tensor of a file and of a model must be used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ..errors import CheckpointError
from ..models.camera_encoder import CameraPoseEncoder
from ..models.unet import CollaborativeUNet
from .base_model import SINGLE_FILE_SUFFIXES, BaseModel, Component, read_folder, read_single_file
from .configs import require_file
from .files import empty_model, load_part, read_section, read_tensors
from .layout import (
    ADAPTED_UNET,
    ADAPTER_FILE,
    BASE_FOLDER,
    CAMERA_FILE,
    EPIPOLAR_FILE,
    MOTION_FILE,
    choose_image_model,
)
from .lora import merge_lora

TRANSFORMER_NAMES = {
    ".attention_blocks.0.pos_encoder.pe": ".pos_embed.pe",
    ".attention_blocks.0.processor.qkv_merge.": ".qkv_merge.",
    ".attention_blocks.0.": ".attn1.",
    ".attention_blocks.1.": ".attn2.",
    ".norms.0.": ".norm1.",
    ".norms.1.": ".norm2.",
    ".ff_norm.": ".norm3.",
}
"""The official names inside a transformer block, and our names, which are diffusers'. The first match is used."""


def read_base_model(
    folder: Path,
    unet_subfolder: str = ADAPTED_UNET,
    base_model: str | Path | None = None,
    adapter: bool = True,
    lora: Sequence[tuple[str | Path, float]] = (),
) -> BaseModel:
    """The image model for the official modules, with the AnimateDiff adapter and LoRAs merged.

    Args:
        folder: folder with the official files.
        unet_subfolder: folder of the image U-Net in `folder`/StableDiffusion, which is used without changes. The
            default is the U-Net into which a tool of the official release merged the adapter. If that folder is
            missing, the adapter is merged here.
        base_model: another diffusers folder, or a .safetensors or .ckpt file, to use instead.
        adapter: whether to merge the AnimateDiff v3 adapter into the base model or the default U-Net.
        lora: files and their weights, merged in this order.

    Raises:
        CheckpointError: a file is missing or unreadable, or does not fit.
    """
    image = choose_image_model(folder, unet_subfolder, base_model, adapter)
    if image.path.suffix in SINGLE_FILE_SUFFIXES:
        base = read_single_file(image.path, like=read_folder(folder / BASE_FOLDER))
    elif base_model is None or image.path.is_dir():
        base = read_folder(image.path, image.unet)
    else:
        raise CheckpointError(
            f"The base model {base_model} is neither a folder nor a .safetensors or .ckpt file.",
            "Give a folder in diffusers' layout, or a single file.",
        )
    adapters = [(folder / ADAPTER_FILE, 1.0)] if image.merge_adapter else []
    for path, weight in [*adapters, *lora]:
        merge_lora(Path(path), weight, base.unet.tensors, base.text_encoder.tensors)
    return base


def load_collaborative_unet(folder: Path, image_unet: Component) -> CollaborativeUNet:
    """The U-Net: an image U-Net with AnimateDiff's motion modules, CameraCtrl's merge layers and CVD's modules.

    Args:
        folder: folder with animatediff_mm.ckpt, CameraCtrl.ckpt and CVD.ckpt.
        image_unet: image U-Net.

    Raises:
        CheckpointError: a file is missing or truncated, or its tensors are not those of the network.
    """
    motion, camera, epipolar = (folder / name for name in (MOTION_FILE, CAMERA_FILE, EPIPOLAR_FILE))
    for path in (motion, camera, epipolar):
        require_file(path)
    model = empty_model(CollaborativeUNet, CollaborativeUNet.config_from_unet2d(image_unet.config))
    slots = {name: _unet_part(name) for name in model.state_dict()}
    parts = {
        "image": (image_unet.tensors, lambda name: name, image_unet.file),
        "motion": (read_tensors(motion), motion_name, motion),
        "camera": (read_section(camera, "attention_processor_state_dict"), motion_name, camera),
        "epipolar": (read_section(epipolar, "unet_trainable_dict"), epipolar_name, epipolar),
    }
    for part, (tensors, rename, file) in parts.items():
        load_part(model, tensors, rename, {name for name, owner in slots.items() if owner == part}, file)
    return model


def load_camera_encoder(folder: Path, channels: tuple[int, ...]) -> CameraPoseEncoder:
    """CameraCtrl's camera encoder from an official CameraCtrl.ckpt, for a U-Net with these numbers of channels.

    Raises:
        CheckpointError: for the reasons of `load_collaborative_unet`.
    """
    path = folder / CAMERA_FILE
    model = empty_model(CameraPoseEncoder, {"channels": channels})
    tensors = read_section(path, "pose_encoder_state_dict")
    load_part(model, tensors, pose_encoder_name, set(model.state_dict()), path)
    return model


def load_autoencoder(component: Component) -> AutoencoderKL:
    """Stable Diffusion's autoencoder. Raises CheckpointError if the file does not fit."""
    model = empty_model(AutoencoderKL.from_config, {"config": component.config})
    load_part(model, component.tensors, lambda name: name, set(model.state_dict()), component.file)
    return model


def load_text_encoder(component: Component) -> CLIPTextModel:
    """CLIP's text encoder. Raises CheckpointError if the file does not fit."""
    model = empty_model(CLIPTextModel, {"config": CLIPTextConfig(**component.config)})
    load_part(model, component.tensors, lambda name: name, set(model.state_dict()), component.file)
    return model


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """A folder's CLIP tokenizer. Raises CheckpointError if one of its files is missing."""
    if not (folder / "tokenizer.json").is_file():
        for name in ("vocab.json", "merges.txt"):
            require_file(folder / name)
    return CLIPTokenizer.from_pretrained(folder)


def pose_encoder_name(name: str) -> str:
    """Our name for a tensor of the camera encoder."""
    return _transformer_name(name)


def motion_name(name: str) -> str | None:
    """Our name for a tensor of the motion modules or of the merge layers.

    None for the second attention's positional table. It is equal to the first one's, and our modules have it once.
    """
    if name.endswith(".attention_blocks.1.pos_encoder.pe"):
        return None
    return _transformer_name(name.replace(".temporal_transformer.", ".motion."))


def epipolar_name(name: str) -> str:
    """Our name for a tensor of CVD's epipolar modules."""
    name = name.replace(".epi_modules.", ".motion_modules.").replace(".epi_transformer.", ".epipolar_module.")
    return _transformer_name(name)


def _transformer_name(name: str) -> str:
    for theirs, ours in TRANSFORMER_NAMES.items():
        if theirs in name:
            return name.replace(theirs, ours)
    return name


def _unet_part(name: str) -> str:
    """The official file that one of our U-Net's tensors comes from."""
    if ".epipolar_module." in name:
        return "epipolar"
    if "qkv_merge" in name:
        return "camera"
    return "motion" if ".motion_modules." in name else "image"
