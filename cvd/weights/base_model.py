"""Reading a Stable Diffusion 1.5 base model from a diffusers folder or a single file, with diffusers' names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

from ..errors import CheckpointError
from .configs import read_config, require_file
from .files import StateDict, read_tensors

SINGLE_FILE_SUFFIXES = (".safetensors", ".ckpt")
SINGLE_FILE_TEXT_PREFIX = "cond_stage_model.transformer."


@dataclass
class Component:
    """One network: its diffusers or transformers config, its tensors with current names, and the file they are from."""

    config: dict[str, Any]
    tensors: StateDict
    file: Path


@dataclass
class BaseModel:
    """The parts of Stable Diffusion 1.5. `tokenizer` is a folder."""

    unet: Component
    vae: Component
    text_encoder: Component
    tokenizer: Path


def read_folder(folder: Path, unet_subfolder: str = "unet") -> BaseModel:
    """Reads a base model in diffusers' layout: the folders <unet_subfolder>, vae, text_encoder and tokenizer.

    Raises:
        CheckpointError: a file is missing or cannot be read.
    """
    text_encoder = read_component(folder / "text_encoder", "model", "pytorch_model")
    vae = read_component(folder / "vae", "diffusion_pytorch_model")
    text_encoder.tensors = _renamed_text_encoder(text_encoder.tensors)
    vae.tensors = {_autoencoder_name(name): tensor for name, tensor in vae.tensors.items()}
    unet = read_component(folder / unet_subfolder, "diffusion_pytorch_model")
    return BaseModel(unet, vae, text_encoder, folder / "tokenizer")


def read_single_file(path: Path, like: BaseModel) -> BaseModel:
    """Reads a base model from one .safetensors or .ckpt file with the original Stable Diffusion names.

    Args:
        path: path of the file.
        like: model that gives the configs and the tokenizer.

    Raises:
        CheckpointError: the file is missing or unreadable, or is not a Stable Diffusion 1.5 model.
    """
    tensors = read_tensors(path)
    if not any(name.startswith("model.diffusion_model.") for name in tensors):
        raise CheckpointError(
            f"{path} is not a Stable Diffusion checkpoint: it has no model.diffusion_model tensors.",
            "Give a Stable Diffusion 1.5 checkpoint, or a folder in diffusers' layout.",
        )
    try:
        unet = convert_ldm_unet_checkpoint(dict(tensors), like.unet.config)
        vae = convert_ldm_vae_checkpoint(dict(tensors), like.vae.config)
    except KeyError as error:
        raise CheckpointError(
            f"{path} is not a Stable Diffusion 1.5 checkpoint: it lacks the tensor {error}.",
            "Stable Diffusion 2, XL and inpainting models have other shapes and do not fit.",
        ) from error
    text = {
        name.removeprefix(SINGLE_FILE_TEXT_PREFIX): tensor
        for name, tensor in tensors.items()
        if name.startswith(SINGLE_FILE_TEXT_PREFIX)
    }
    return BaseModel(
        Component(like.unet.config, unet, path),
        Component(like.vae.config, {_autoencoder_name(name): tensor for name, tensor in vae.items()}, path),
        Component(like.text_encoder.config, _renamed_text_encoder(text), path),
        like.tokenizer,
    )


def read_component(folder: Path, *stems: str) -> Component:
    """Reads a network's folder: config.json and a weights file.

    Args:
        folder: folder of the network.
        stems: possible names of the weights file. A .safetensors file is preferred to a .bin file.

    Raises:
        CheckpointError: a file is missing or unreadable.
    """
    names = [f"{stem}.{suffix}" for suffix in ("safetensors", "bin") for stem in stems]
    path = next((folder / name for name in names if (folder / name).is_file()), folder / names[0])
    require_file(path)
    return Component(read_config(folder / "config.json"), read_tensors(path), path)


def _autoencoder_name(name: str) -> str:
    """diffusers' current name for an autoencoder's tensor. Files from before 2023 name attention layers differently."""
    new = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
    return re.sub(r"(attentions\.\d+)\.(query|key|value|proj_attn)\.", lambda m: f"{m[1]}.{new[m[2]]}.", name)


def _renamed_text_encoder(tensors: StateDict) -> StateDict:
    """The tensors with transformers' current names, without the table of position indices that old files have."""
    return {
        name.removeprefix("text_model."): tensor
        for name, tensor in tensors.items()
        if not name.endswith("position_ids")
    }
