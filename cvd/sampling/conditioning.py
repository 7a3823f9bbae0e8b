"""The conditioning of the U-Net for one window of frames, apart from the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..cameras import Cameras
from ..conditioning.epipolar import EpipolarBias, EpipolarContext, Slope, WithoutBaseline
from ..conditioning.plucker import plucker_maps
from ..memory import MemoryPlan
from ..models.camera_encoder import CameraPoseEncoder
from .windows import blend_weights, window_starts


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Frames of one U-Net call, with the features and biases of their cameras.

    frames: place in the video. share: weight (1, 1, f, 1, 1) of the window in the blended result.
    pose_features: features (V, C, f, h, w) of each level. bias: bias between the views.
    """

    frames: slice
    share: torch.Tensor
    pose_features: list[torch.Tensor]
    bias: EpipolarBias

    def pose_features_of(self, views: Sequence[int]) -> list[torch.Tensor]:
        """The camera features of some views."""
        return [feature[views] for feature in self.pose_features]

    def context(
        self, partners: Sequence[int], slope: Slope, free_branches: int, views: Sequence[int]
    ) -> EpipolarContext:
        """The partners and biases of some views. The arguments are those of `EpipolarContext`."""
        return EpipolarContext(self.bias, partners, slope, free_branches, views=views)


def window_conditionings(
    cameras: Cameras,
    encoder: CameraPoseEncoder,
    window: int,
    without_baseline: WithoutBaseline,
    plan: MemoryPlan,
) -> list[Conditioning]:
    """The conditioning of every window of a video.

    Args:
        window: largest number of frames in a U-Net call.
        without_baseline: what a pixel attends to without a baseline, as in training.
    """
    dtype, device = encoder.dtype, encoder.device
    length = min(cameras.frames, window)
    starts = window_starts(cameras.frames, length)
    weights = blend_weights(length)
    total = torch.zeros(cameras.frames)
    for start in starts:
        total[start : start + length] += weights
    conditionings = []
    for start in starts:
        frames, part = slice(start, start + length), cameras.window(start, length)
        conditionings.append(
            Conditioning(
                frames=frames,
                share=(weights / total[frames]).view(1, 1, length, 1, 1).to(device),
                pose_features=encoder(plucker_maps(part, device).transpose(1, 2).to(dtype)),
                bias=EpipolarBias(part, dtype, device, plan.bias_budget // len(starts), without_baseline),
            )
        )
    return conditionings
