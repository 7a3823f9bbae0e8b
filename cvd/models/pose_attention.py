"""AnimateDiff's motion module in CVD's form: group norm per frame, and an attention that is given camera features."""

from __future__ import annotations

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import nn


class PoseConditionedBlock(BasicTransformerBlock):
    """Two self-attentions over the frames and a feed-forward. Camera features are merged into the first attention.

    The first attention's input h, after norm and positions, becomes h + scale * Linear(h + p). Here p is the camera
    encoder's feature of the same place, frame and level (CameraCtrl, eq. 6). The official checkpoints call that linear
    layer `qkv_merge`.
    """

    def __init__(self, dim: int, heads: int, max_frames: int) -> None:
        super().__init__(
            dim,
            heads,
            dim // heads,
            activation_fn="geglu",
            double_self_attention=True,
            positional_embeddings="sinusoidal",
            num_positional_embeddings=max_frames,
        )
        self.qkv_merge = nn.Linear(dim, dim)
        nn.init.zeros_(self.qkv_merge.weight)
        nn.init.zeros_(self.qkv_merge.bias)
        self.pose_scale = 1.0

    def forward(self, hidden: torch.Tensor, pose: torch.Tensor | None = None) -> torch.Tensor:
        """From `hidden` (B*h*w, F, C) and `pose` (N*h*w, F, C) to (B*h*w, F, C). N divides B."""
        normed = self.pos_embed(self.norm1(hidden))
        if pose is not None:
            merged = (normed.unflatten(0, (-1, pose.shape[0])) + pose).flatten(0, 1)
            normed = self.qkv_merge(merged).mul_(self.pose_scale).add_(normed)
        # Sums are in place: at full size, new memory for a sum takes as long as a matrix product.
        hidden = self.attn1(normed).add_(hidden)
        hidden = self.attn2(self.pos_embed(self.norm2(hidden))).add_(hidden)
        return self.ff(self.norm3(hidden)).add_(hidden)


class MotionModule(AnimateDiffTransformer3D):
    """Self-attention over the frames, at every place of the feature map, with a residual connection.

    Args:
        channels: number of channels C of the feature map.
        heads: number of heads of each attention.
        norm_num_groups: number of groups of the group norm. It computes its statistics for each frame.
        max_frames: length of the positional table.
    """

    def __init__(self, channels: int, heads: int, norm_num_groups: int, max_frames: int) -> None:
        super().__init__(
            heads,
            channels // heads,
            in_channels=channels,
            norm_num_groups=norm_num_groups,
            positional_embeddings="sinusoidal",
            num_positional_embeddings=max_frames,
        )
        self.transformer_blocks = nn.ModuleList([PoseConditionedBlock(channels, heads, max_frames)])

    def forward(self, hidden: torch.Tensor, num_frames: int, pose: torch.Tensor | None = None) -> torch.Tensor:
        """From `hidden` (B*F, C, h, w) and `pose` (N*h*w, F, C) to (B*F, C, h, w). N divides B."""
        height, width = hidden.shape[-2:]
        tokens = self.norm(hidden).unflatten(0, (-1, num_frames)).permute(0, 3, 4, 1, 2)
        tokens = self.transformer_blocks[0](self.proj_in(tokens.flatten(0, 2)), pose)
        tokens = self.proj_out(tokens).unflatten(0, (-1, height, width))
        return hidden + tokens.permute(0, 3, 4, 1, 2).flatten(0, 1)
