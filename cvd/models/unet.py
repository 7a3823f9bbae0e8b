"""The collaborative U-Net: diffusers' `UNetMotionModel` with CVD's motion modules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any, ClassVar

import torch
from diffusers import UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from torch import nn

from ..conditioning.epipolar import EpipolarContext, WithoutBaseline
from .epipolar_attention import EpipolarModule
from .pose_attention import MotionModule


class CollaborativeMotionModule(nn.Module):
    """A motion module and, after it, an epipolar module. It takes the place of each of the U-Net's `motion_modules`.

    diffusers' blocks call it with the hidden states only. So `CollaborativeUNet.forward` sets its other inputs before
    the call: `pose`, the camera feature (N*h*w, F, C) of its level, and `epipolar`, the views' partners and biases.
    """

    def __init__(self, channels: int, heads: int, norm_num_groups: int, max_frames: int) -> None:
        super().__init__()
        self.motion = MotionModule(channels, heads, norm_num_groups, max_frames)
        self.epipolar_module = EpipolarModule(channels, heads, norm_num_groups)
        self.pose: torch.Tensor | None = None
        self.epipolar: EpipolarContext | None = None

    def forward(self, hidden_states: torch.Tensor, num_frames: int) -> torch.Tensor:
        """From `hidden_states` (B*F, C, h, w) to (B*F, C, h, w)."""
        hidden_states = self.motion(hidden_states, num_frames, self.pose)
        if self.epipolar is None:
            return hidden_states
        frames = self.epipolar.scenes * num_frames
        free = self.epipolar.free_branches * len(self.epipolar.partners) * frames
        synchronised = self.epipolar_module(hidden_states[free:], frames, self.epipolar)
        return torch.cat([hidden_states[:free], synchronised]) if free else synchronised


class CollaborativeUNet(UNetMotionModel):
    """SD 1.5's U-Net for the frames of several views (CVD, Fig. 2).

    Arguments that are not listed here are those of `UNetMotionModel`.

    Args:
        block_out_channels: numbers of channels of the levels.
        layers_per_block: number of layers of a down block; an up block has one more.
        cross_attention_dim: width of the text embeddings.
        num_attention_heads: number of heads of the spatial transformers.
        motion_num_attention_heads: number of heads of the motion and epipolar modules.
        motion_max_seq_length: length of the motion modules' positional table, which is the largest number of frames.
        cross_attention_levels: number of levels, from the finest, that have spatial transformers.
        without_baseline: what a pixel attends to if two cameras have no baseline. It must be as in training.
    """

    _repeated_blocks: ClassVar[list[str]] = ["BasicTransformerBlock", "CollaborativeMotionModule"]
    _no_split_modules: ClassVar[list[str]] = ["BasicTransformerBlock", "CollaborativeMotionModule"]

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        in_channels: int = 4,
        out_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        cross_attention_levels: int = 3,
        cross_attention_dim: int = 768,
        num_attention_heads: int = 8,
        motion_num_attention_heads: int = 8,
        motion_max_seq_length: int = 32,
        norm_num_groups: int = 32,
        norm_eps: float = 1e-5,
        without_baseline: WithoutBaseline = "line",
    ) -> None:
        plain_levels = len(block_out_channels) - cross_attention_levels
        super().__init__(
            sample_size=sample_size,
            in_channels=in_channels,
            out_channels=out_channels,
            down_block_types=("CrossAttnDownBlockMotion",) * cross_attention_levels
            + ("DownBlockMotion",) * plain_levels,
            up_block_types=("UpBlockMotion",) * plain_levels + ("CrossAttnUpBlockMotion",) * cross_attention_levels,
            block_out_channels=block_out_channels,
            layers_per_block=layers_per_block,
            cross_attention_dim=cross_attention_dim,
            num_attention_heads=num_attention_heads,
            motion_num_attention_heads=motion_num_attention_heads,
            motion_max_seq_length=motion_max_seq_length,
            norm_num_groups=norm_num_groups,
            norm_eps=norm_eps,
            use_motion_mid_block=False,
        )
        for block, channels in [
            *zip(self.down_blocks, block_out_channels, strict=True),
            *zip(self.up_blocks, reversed(block_out_channels), strict=True),
        ]:
            block.motion_modules = nn.ModuleList(
                CollaborativeMotionModule(channels, motion_num_attention_heads, norm_num_groups, motion_max_seq_length)
                for _ in block.motion_modules
            )

    @staticmethod
    def config_from_unet2d(config: dict[str, Any]) -> dict[str, Any]:
        """The arguments of this class for an image U-Net's diffusers config in Stable Diffusion 1.x's layout."""
        parameters = signature(UNet2DConditionModel.__init__).parameters.values()
        config = {each.name: each.default for each in parameters if each.default is not each.empty} | config
        heads = config["num_attention_heads"] or config["attention_head_dim"]
        return {
            "sample_size": config["sample_size"],
            "in_channels": config["in_channels"],
            "out_channels": config["out_channels"],
            "block_out_channels": tuple(config["block_out_channels"]),
            "layers_per_block": config["layers_per_block"],
            "cross_attention_levels": sum(name.startswith("CrossAttn") for name in config["down_block_types"]),
            "cross_attention_dim": config["cross_attention_dim"],
            "num_attention_heads": heads,
            "norm_num_groups": config["norm_num_groups"],
            "norm_eps": config["norm_eps"],
        }

    @classmethod
    def from_unet2d(cls, unet: UNet2DConditionModel, **config: Any) -> CollaborativeUNet:
        """A U-Net with an image U-Net's weights and new motion and epipolar modules.

        Args:
            unet: image U-Net.
            config: arguments of this class that differ from the image U-Net's.
        """
        model = cls(**(cls.config_from_unet2d(dict(unet.config)) | config))
        _, unexpected = model.load_state_dict(unet.state_dict(), strict=False)
        if unexpected:
            raise ValueError(f"The image U-Net has tensors without a place here, such as {unexpected[0]}.")
        return model

    def collaborative_modules(self) -> Iterator[tuple[int, CollaborativeMotionModule]]:
        """The level (0 is the finest) of every motion module, and the module. Its camera feature has the same level."""
        levels = len(self.down_blocks)
        for level, block in [*enumerate(self.down_blocks), *zip(reversed(range(levels)), self.up_blocks, strict=True)]:
            for module in block.motion_modules:
                yield level, module

    def motion_parameters(self) -> list[nn.Parameter]:
        """Parameters of the motion modules without the merge layers. The motion stage trains them."""
        return [
            parameter
            for _, module in self.collaborative_modules()
            for name, parameter in module.motion.named_parameters()
            if "qkv_merge" not in name
        ]

    def pose_parameters(self) -> list[nn.Parameter]:
        """Parameters of the merge layers for camera features. The camera stage trains them and the camera encoder."""
        return [
            parameter
            for _, module in self.collaborative_modules()
            for name, parameter in module.motion.named_parameters()
            if "qkv_merge" in name
        ]

    def epipolar_parameters(self) -> list[nn.Parameter]:
        """Parameters of the epipolar modules. The epipolar stage trains them."""
        return [p for _, module in self.collaborative_modules() for p in module.epipolar_module.parameters()]

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float,
        encoder_hidden_states: torch.Tensor,
        pose_features: Sequence[torch.Tensor] | None = None,
        epipolar: EpipolarContext | None = None,
        **kwargs: Any,
    ) -> Any:
        """Predicts the noise (or velocity) of B = G * N latent videos: G guidance branches (outermost) of N views.

        In training there are B = G * N * S videos: S scenes (innermost), each seen by N views.

        Args:
            sample: (B, C, F, h, w) noisy latents.
            timestep: scalar or (B,).
            encoder_hidden_states: (B, tokens, D) or (B*F, tokens, D) text embeddings.
            pose_features: feature map (N * S, C_i, F, h_i, w_i) of each level, from `CameraPoseEncoder`; None: no
                camera conditioning.
            epipolar: partners and biases of the N views; None: the views are not synchronised, as in AnimateDiff and
                CameraCtrl.
            kwargs: other arguments of `UNetMotionModel.forward`.

        Returns:
            The result of `UNetMotionModel.forward`, with a sample (B, C, F, h, w).

        Raises:
            ValueError: the camera features have other frames or another size than the sample.
        """
        if encoder_hidden_states.shape[0] == sample.shape[0]:
            encoder_hidden_states = encoder_hidden_states.repeat_interleave(sample.shape[2], dim=0)
        pose = None
        if pose_features is not None:
            if pose_features[0].shape[2:] != sample.shape[2:]:
                raise ValueError(
                    f"Camera features of {tuple(pose_features[0].shape[2:])} frames and places do not fit latents of "
                    f"{tuple(sample.shape[2:])}."
                )
            pose = [feature.permute(0, 3, 4, 2, 1).flatten(0, 2) for feature in pose_features]
        for level, module in self.collaborative_modules():
            module.pose = None if pose is None else pose[level]
            module.epipolar = epipolar
        try:
            return super().forward(sample, timestep, encoder_hidden_states, **kwargs)
        finally:
            # In training the backward pass may call checkpointed blocks again, so their inputs are kept.
            if not torch.is_grad_enabled():
                for _, module in self.collaborative_modules():
                    module.pose = module.epipolar = None
