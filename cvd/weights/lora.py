"""Merging LoRAs into a base model's weights: kohya's files, diffusers' files, and AnimateDiff's v3 adapter."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..errors import CheckpointError
from .files import StateDict, read_tensors

LAYER = re.compile(
    r"(?P<stem>.+?)(?:"
    r"(?P<down>[._]lora[._]down\.weight|\.lora_A(?:\.\w+)?\.weight)|"
    r"(?P<up>[._]lora[._]up\.weight|\.lora_B(?:\.\w+)?\.weight)|"
    r"(?P<alpha>\.alpha))$"
)
"""The name of a tensor in a LoRA file: the stem of a layer and the name of one of its three parts."""


@dataclass
class Layer:
    """The low-rank change of one layer: weight += up @ down * alpha / rank. A part is None until it is found."""

    down: torch.Tensor | None = None
    up: torch.Tensor | None = None
    alpha: float | None = None

    def change(self, shape: torch.Size) -> torch.Tensor:
        """The change, in float32 and at scale 1, of a weight of this shape."""
        assert self.down is not None
        assert self.up is not None
        rank = self.down.shape[0]
        scale = 1.0 if self.alpha is None else self.alpha / rank
        return scale * (self.up.float().flatten(1) @ self.down.float().flatten(1)).view(shape)


@dataclass
class _Targets:
    """The weights that stems stand for: from each name used in files to a state dict and the weight's name in it."""

    places: dict[str, tuple[StateDict, str]] = field(default_factory=dict)

    def add(self, tensors: StateDict, prefixes: tuple[str, ...], kohya_prefix: str) -> None:
        for name, tensor in tensors.items():
            if not name.endswith(".weight") or tensor.ndim < 2:
                continue
            module = name.removesuffix(".weight")
            # AnimateDiff's adapter and early versions of diffusers have the attention's processor in the name.
            processor = re.sub(r"(attn\d)\.(to_\w+?)(?:\.0)?$", r"\1.processor.\2", module)
            for spelling in (*(prefix + module for prefix in prefixes), *(prefix + processor for prefix in prefixes)):
                self.places[spelling] = (tensors, name)
            self.places[kohya_prefix + module.replace(".", "_")] = (tensors, name)


def merge_lora(path: Path, weight: float, unet: StateDict, text_encoder: StateDict) -> None:
    """Adds a LoRA file's change, times `weight`, to the state dicts of an image U-Net and a text encoder, in place.

    Raises:
        CheckpointError: the file is not a LoRA, or is for another kind of model. The error names the first layer that
            the model does not have.
    """
    targets = _Targets()
    targets.add(unet, ("", "unet.", "base_model.model.unet."), "lora_unet_")
    text_prefixes = ("text_encoder.", "text_encoder.text_model.")
    targets.add(text_encoder, text_prefixes, "lora_te_text_model_")
    layers = _read_layers(path)
    homeless = [stem for stem in layers if stem not in targets.places]
    if homeless:
        raise CheckpointError(
            f"{path} changes {len(homeless)} layers that this base model does not have (first: {homeless[0]}).",
            "Use a LoRA made for Stable Diffusion 1.5.",
        )
    for stem, layer in layers.items():
        tensors, name = targets.places[stem]
        old = tensors[name]
        try:
            change = layer.change(old.shape)
        except RuntimeError as error:
            raise CheckpointError(
                f"{path}: the change of {stem} does not fit {name}, which is {tuple(old.shape)}.",
                "Use a LoRA made for Stable Diffusion 1.5.",
            ) from error
        tensors[name] = (old.float() + weight * change).to(old.dtype)


def _read_layers(path: Path) -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    for name, tensor in read_tensors(path).items():
        match = LAYER.match(name)
        if match is None:
            raise CheckpointError(
                f"{path} has a tensor that belongs to no LoRA layer: {name}.",
                "LoRAs of kohya's and diffusers' formats can be loaded; LoHa, LoKr and full checkpoints cannot.",
            )
        layer = layers.setdefault(match["stem"], Layer())
        if match["alpha"]:
            layer.alpha = tensor.item()
        elif match["down"]:
            layer.down = tensor
        else:
            layer.up = tensor
    halves = [stem for stem, layer in layers.items() if layer.down is None or layer.up is None]
    if halves or not layers:
        what = f"the layer {halves[0]} is not whole" if halves else "it holds no tensors"
        raise CheckpointError(f"{path} is not a whole LoRA: {what}.", "Download it again.")
    return layers
