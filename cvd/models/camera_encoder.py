"""CameraCtrl's camera encoder: from Pluecker maps to one feature map for each level of the U-Net."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.modeling_utils import ModelMixin
from torch import nn


class CameraPoseEncoder(ModelMixin, ConfigMixin):
    """Pluecker maps (B, 6, F, H, W) to features (B, C_i, F, H/f/2^i, W/f/2^i) (CameraCtrl, section 4.2).

    The layers are pixel-unshuffle and convolution, and then residual blocks for each level. Self-attention over the
    frames follows each residual block. Module names are those of the official checkpoint, except inside the attention
    blocks (see `cvd.weights.official`).

    Args:
        channels: numbers of channels C_i, one for each U-Net level.
        layers_per_level: number of residual blocks of a level.
        num_attention_heads: number of heads of the attentions over frames.
        max_frames: length of the positional table, which is the largest F.
        downscale_factor: factor f of the pixel-unshuffle, the same as the autoencoder's.
    """

    @register_to_config
    def __init__(
        self,
        channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_level: int = 2,
        num_attention_heads: int = 8,
        max_frames: int = 16,
        downscale_factor: int = 8,
    ) -> None:
        super().__init__()
        self.unshuffle = nn.PixelUnshuffle(downscale_factor)
        self.encoder_conv_in = nn.Conv2d(6 * downscale_factor**2, channels[0], 3, padding=1)
        self.encoder_down_conv_blocks = nn.ModuleList()
        self.encoder_down_attention_blocks = nn.ModuleList()
        for level, width in enumerate(channels):
            inputs = [channels[max(level - 1, 0)]] + [width] * (layers_per_level - 1)
            self.encoder_down_conv_blocks.append(
                nn.ModuleList(PoseResnetBlock(size, width, down=level > 0 and j == 0) for j, size in enumerate(inputs))
            )
            self.encoder_down_attention_blocks.append(
                nn.ModuleList(
                    BasicTransformerBlock(
                        width,
                        num_attention_heads,
                        width // num_attention_heads,
                        activation_fn="geglu",
                        positional_embeddings="sinusoidal",
                        num_positional_embeddings=max_frames,
                    )
                    for _ in inputs
                )
            )

    def forward(self, plucker: torch.Tensor) -> list[torch.Tensor]:
        """From `plucker` (B, 6, F, H, W) to one feature map (B, C_i, F, h_i, w_i) for each level."""
        batch, _, frames = plucker.shape[:3]
        hidden = self.encoder_conv_in(self.unshuffle(plucker.transpose(1, 2).flatten(0, 1)))
        features = []
        for conv_blocks, attention_blocks in zip(
            self.encoder_down_conv_blocks, self.encoder_down_attention_blocks, strict=True
        ):
            for conv_block, attention_block in zip(conv_blocks, attention_blocks, strict=True):  # type: ignore[call-overload]
                hidden = conv_block(hidden)
                height, width = hidden.shape[-2:]
                tokens = hidden.unflatten(0, (batch, frames)).permute(0, 3, 4, 1, 2).flatten(0, 2)
                tokens = attention_block(tokens)
                hidden = tokens.unflatten(0, (batch, height, width)).permute(0, 3, 4, 1, 2).flatten(0, 1)
            features.append(hidden.unflatten(0, (batch, frames)).transpose(1, 2))
        return features


class PoseResnetBlock(nn.Module):
    """3x3 convolution, ReLU and 1x1 convolution, plus the input. With `down`, the input's size is halved first."""

    def __init__(self, in_channels: int, out_channels: int, down: bool) -> None:
        super().__init__()
        self.downsample = nn.AvgPool2d(2, ceil_mode=True) if down else nn.Identity()
        self.in_conv = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        self.block1 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.block2 = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = self.in_conv(self.downsample(hidden))
        return hidden + self.block2(torch.relu(self.block1(hidden)))
