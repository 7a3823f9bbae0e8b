"""Model folders like the official release's: with its file names, tensor names and formats, and weights from a rule.

The reference outputs in tests/data/parity were computed by the official code with exactly these weights.
"""

import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from support.tokenizer_files import write_tokenizer

DATA = Path(__file__).parents[1] / "data" / "parity"


def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor's values from its name and shape: normal numbers. The name is the seed; rank and role give the scale."""
    normal = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) >= 2:
        scaled = normal * (0.6 / np.sqrt(np.prod(shape[1:])))
    else:
        scaled = 1 + 0.1 * normal if name.endswith("weight") else 0.05 * normal
    return scaled.astype(np.float32)


def positions(shape: tuple[int, ...]) -> np.ndarray:
    """The sinusoidal table (1, length, channels): sines on even channels, cosines on odd ones."""
    _, length, channels = shape
    angles = np.arange(length)[:, None] * np.exp(np.arange(0, channels, 2) * (-np.log(10000.0) / channels))
    table = np.zeros(shape, np.float32)
    table[0, :, 0::2], table[0, :, 1::2] = np.sin(angles), np.cos(angles)
    return table


def write_official_files(folder: Path) -> None:
    """Writes the tiny model (9 M parameters) in the layout of the official release."""
    with gzip.open(DATA / "manifest.json.gz", "rt") as file:
        manifest = json.load(file)["tiny"]
    tensors = {part: _tensors(shapes) for part, shapes in manifest["files"].items()}
    base, configs = folder / "StableDiffusion", manifest["configs"]
    unet, adapter = tensors["StableDiffusion/unet"], tensors["v3_sd15_adapter.ckpt:state_dict"]
    for name, weights in (("unet", unet), ("unet_webvidlora_v3", _with_adapter(unet, adapter))):
        _write_component(base / name, configs["unet"], weights, "diffusion_pytorch_model.safetensors")
    _write_component(
        base / "vae", configs["vae"], tensors["StableDiffusion/vae"], "diffusion_pytorch_model.safetensors"
    )
    text = tensors["StableDiffusion/text_encoder"]
    _write_component(base / "text_encoder", configs["text_encoder"], text, "model.safetensors")
    write_tokenizer(base / "tokenizer")
    counters = {"epoch": 0, "global_step": 0}
    torch.save({"state_dict": adapter}, folder / "v3_sd15_adapter.ckpt")
    torch.save(tensors["animatediff_mm.ckpt"], folder / "animatediff_mm.ckpt")
    sections = ("pose_encoder_state_dict", "attention_processor_state_dict")
    torch.save(
        counters | {name: tensors[f"CameraCtrl.ckpt:{name}"] for name in sections},
        folder / "CameraCtrl.ckpt",
    )
    torch.save(counters | {"unet_trainable_dict": tensors["CVD.ckpt:unet_trainable_dict"]}, folder / "CVD.ckpt")


def _tensors(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    def tensor(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        if name.endswith("position_ids"):
            return torch.arange(shape[-1])[None]
        return torch.from_numpy(positions(shape) if name.endswith(".pe") else values(name, shape))

    return {name: tensor(name, tuple(shape)) for name, shape in shapes.items()}


def _with_adapter(unet: dict[str, torch.Tensor], adapter: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The image U-Net with the adapter LoRA merged at scale 1: weight + up @ down."""
    merged = dict(unet)
    for name, down in adapter.items():
        stem, found, _ = name.partition("_lora.down.weight")
        if found:
            attention, projection = stem.rsplit(".processor.", 1)
            target = f"{attention}.{projection}.weight"
            target = target if target in unet else f"{attention}.{projection}.0.weight"
            merged[target] = merged[target] + adapter[f"{stem}_lora.up.weight"] @ down
    return merged


def _write_component(folder: Path, config: dict, weights: dict[str, torch.Tensor], file: str) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / file)
