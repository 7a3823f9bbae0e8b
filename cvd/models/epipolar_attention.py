"""CVD's epipolar module: every frame of a view attends to the same frame of the view's partner."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.models.attention import FeedForward
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from ..conditioning.epipolar import EpipolarContext


def epipolar_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    partners: Sequence[int],
    biases: Sequence[torch.Tensor],
) -> torch.Tensor:
    """Attention of every view to its partner's pixels in the same frame, with an additive bias.

    The kernel is called for each guidance branch and view, and broadcasts the bias along the heads. So biases, queries,
    keys and values are not copied.

    Args:
        query, key, value: (G, N, F, heads, L, d) for G guidance branches of N views.
        partners: partner of each of the N views.
        biases: bias (F, L, L) of each of the N views.

    Returns:
        (G, N, F, heads, L, d)
    """
    branches, views = query.shape[:2]
    masks = [bias.to(query.dtype)[:, None] for bias in biases]
    attended = [
        scaled_dot_product_attention(
            query[branch, view],
            key[branch, partners[view]],
            value[branch, partners[view]],
            attn_mask=masks[view],
        )
        for branch in range(branches)
        for view in range(views)
    ]
    # The heads are moved inside before stacking. The kernel's memory and the next layers have this order.
    stacked = torch.stack([each.transpose(1, 2) for each in attended])
    return stacked.unflatten(0, (branches, views)).transpose(3, 4)


class CrossViewAttention(nn.Module):
    """Multi-head attention. The queries are a view's tokens, the keys and values are its partner's tokens."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])

    def forward(self, tokens: torch.Tensor, context: EpipolarContext, biases: Sequence[torch.Tensor]) -> torch.Tensor:
        """From `tokens` (G, N, F, L, C) to (G, N, F, L, C)."""

        def split(projected: torch.Tensor) -> torch.Tensor:
            return projected.unflatten(-1, (self.heads, -1)).transpose(-2, -3)

        query, key, value = split(self.to_q(tokens)), split(self.to_k(tokens)), split(self.to_v(tokens))
        attended = epipolar_attention(query, key, value, context.partners, biases)
        return self.to_out[0](attended.transpose(-2, -3).flatten(-2))


class EpipolarBlock(nn.Module):
    """Two cross-view attentions and a feed-forward, each after a layer norm and with a residual connection."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn1, self.attn2 = CrossViewAttention(dim, heads), CrossViewAttention(dim, heads)
        self.ff = FeedForward(dim, activation_fn="geglu")

    def forward(self, tokens: torch.Tensor, context: EpipolarContext, biases: Sequence[torch.Tensor]) -> torch.Tensor:
        """From `tokens` (G, N, F, L, C) to (G, N, F, L, C)."""
        # Sums are in place: at full size, new memory for a sum takes as long as a matrix product.
        tokens = self.attn1(self.norm1(tokens), context, biases).add_(tokens)
        tokens = self.attn2(self.norm2(tokens), context, biases).add_(tokens)
        return self.ff(self.norm3(tokens)).add_(tokens)


class EpipolarModule(nn.Module):
    """Synchronises views after a motion module (CVD, section 4.2), with a residual connection.

    Args:
        channels: number of channels C of the feature map.
        heads: number of heads of each attention.
        norm_num_groups: number of groups of the group norm. It computes its statistics for each frame.
    """

    def __init__(self, channels: int, heads: int, norm_num_groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(norm_num_groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([EpipolarBlock(channels, heads)])
        self.proj_out = nn.Linear(channels, channels)
        # An untrained module has no effect, so training starts from the model without it.
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, hidden: torch.Tensor, num_frames: int, context: EpipolarContext) -> torch.Tensor:
        """From `hidden` (G*N*F, C, h, w), guidance branches outermost, to the same shape."""
        rows, columns = hidden.shape[-2:]
        tokens = self.norm(hidden).flatten(2).transpose(1, 2)
        tokens = self.proj_in(tokens).unflatten(0, (-1, len(context.partners), num_frames))
        tokens = self.transformer_blocks[0](tokens, context, context.biases(rows, columns))
        tokens = self.proj_out(tokens.flatten(0, 2))
        return hidden + tokens.transpose(1, 2).unflatten(2, (rows, columns))
