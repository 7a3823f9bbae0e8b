"""Stable Diffusion weights under the names of a single-file checkpoint, from diffusers' names."""

import re

import torch

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
AUTOENCODER = {
    "mid_block.attentions.0": "mid.attn_1",
    "mid_block.resnets.0": "mid.block_1",
    "mid_block.resnets.1": "mid.block_2",
    "conv_norm_out": "norm_out",
    "conv_shortcut": "nin_shortcut",
    "group_norm": "norm",
    "to_out.0": "proj_out",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
}


def single_file(
    unet: dict[str, torch.Tensor], vae: dict[str, torch.Tensor], text_encoder: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """One state dict of all three networks. U-Net and autoencoder have four levels, a U-Net's block has two layers."""
    tensors = {f"model.diffusion_model.{_unet_name(name)}": tensor for name, tensor in unet.items()}
    for name, tensor in vae.items():
        # In single files, the attention's layers are convolutions.
        is_projection = "attentions" in name and name.endswith("weight") and tensor.ndim == 2
        tensors[f"first_stage_model.{_autoencoder_name(name)}"] = tensor[..., None, None] if is_projection else tensor
    return tensors | {f"cond_stage_model.transformer.{name}": tensor for name, tensor in text_encoder.items()}


def _unet_name(name: str) -> str:
    def down(match: re.Match[str]) -> str:
        block, kind, layer = int(match[1]), match[2], int(match[3])
        if kind == "downsamplers":
            return f"input_blocks.{3 * block + 3}.0.op."
        return f"input_blocks.{3 * block + layer + 1}.{int(kind == 'attentions')}."

    def up(match: re.Match[str]) -> str:
        block, kind, layer = int(match[1]), match[2], int(match[3])
        if kind == "upsamplers":
            return f"output_blocks.{3 * block + 2}.{1 if block == 0 else 2}.conv."
        return f"output_blocks.{3 * block + layer}.{int(kind == 'attentions')}."

    is_resnet = ".resnets." in name
    name = re.sub(r"^down_blocks\.(\d)\.(\w+)\.(\d)\.(?:conv\.(?=\w+$))?", down, name)
    name = re.sub(r"^up_blocks\.(\d)\.(\w+)\.(\d)\.(?:conv\.(?=\w+$))?", up, name)
    name = _replaced(name, UNET)
    return _replaced(name, RESNET) if is_resnet else name


def _autoencoder_name(name: str) -> str:
    name = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{3 - int(m[1])}.block.{m[2]}", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", name)
    return _replaced(name, AUTOENCODER)


def _replaced(name: str, names: dict[str, str]) -> str:
    for theirs, single in names.items():
        name = re.sub(rf"(^|\.){re.escape(theirs)}\.", rf"\g<1>{single}.", name)
    return name
