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
    """What stands in each of the U-Net's `motion_modules`: a motion module and, behind it, an epipolar module.

    diffusers' blocks call it with the hidden states alone. What else it needs, `CollaborativeUNet.forward` leaves in
    `pose` and `epipolar` before the call: the camera feature of its level (N*h*w, F, C), and who attends to whom.
    """

    def __init__(self, channels: int, heads: int, norm_num_groups: int, max_frames: int) -> None:
        super().__init__()
        self.motion = MotionModule(channels, heads, norm_num_groups, max_frames)
        self.epipolar_module = EpipolarModule(channels, heads, norm_num_groups)
        self.pose: torch.Tensor | None = None
        self.epipolar: EpipolarContext | None = None

    def forward(self, hidden_states: torch.Tensor, num_frames: int) -> torch.Tensor:
        """(B*F, C, h, w) to (B*F, C, h, w)."""
        hidden_states = self.motion(hidden_states, num_frames, self.pose)
        if self.epipolar is None:
            return hidden_states
        frames = self.epipolar.scenes * num_frames
        free = self.epipolar.free_branches * len(self.epipolar.partners) * frames
        synchronised = self.epipolar_module(hidden_states[free:], frames, self.epipolar)
        return torch.cat([hidden_states[:free], synchronised]) if free else synchronised


class CollaborativeUNet(UNetMotionModel):
    """SD 1.5's U-Net over the frames of several views (CVD, figure 2).

    Args:
        block_out_channels: widths of the levels.
        layers_per_block: of the down blocks; up blocks have one more.
        cross_attention_dim: width of the text embeddings.
        num_attention_heads: of the spatial transformers.
        motion_num_attention_heads: of the motion and epipolar modules.
        motion_max_seq_length: length of the motion modules' positional table, the largest number of frames.
        cross_attention_levels: how many levels, from the finest, have spatial transformers.
        without_baseline: what pixels attended to in training where two cameras have no baseline.
        The others are `UNetMotionModel`'s.
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
        """This class's arguments for an image U-Net's diffusers config, of Stable Diffusion 1.x's layout."""
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
            config: arguments of this class that differ from the image U-Net's.
        """
        model = cls(**(cls.config_from_unet2d(dict(unet.config)) | config))
        _, unexpected = model.load_state_dict(unet.state_dict(), strict=False)
        if unexpected:
            raise ValueError(f"The image U-Net has tensors without a place here, such as {unexpected[0]}.")
        return model

    def collaborative_modules(self) -> Iterator[tuple[int, CollaborativeMotionModule]]:
        """Every motion module with its level, 0 the finest: the level whose camera feature it takes."""
        levels = len(self.down_blocks)
        for level, block in [*enumerate(self.down_blocks), *zip(reversed(range(levels)), self.up_blocks, strict=True)]:
            for module in block.motion_modules:
                yield level, module

    def motion_parameters(self) -> list[nn.Parameter]:
        """Parameters of the motion modules without the camera's part: what the motion stage trains."""
        return [
            parameter
            for _, module in self.collaborative_modules()
            for name, parameter in module.motion.named_parameters()
            if "qkv_merge" not in name
        ]

    def pose_parameters(self) -> list[nn.Parameter]:
        """Parameters that merge the camera features into the attentions: what the camera stage trains in here."""
        return [
            parameter
            for _, module in self.collaborative_modules()
            for name, parameter in module.motion.named_parameters()
            if "qkv_merge" in name
        ]

    def epipolar_parameters(self) -> list[nn.Parameter]:
        """Parameters of the epipolar modules: what the last stage trains."""
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
        """Predicts the noise of B = G * N latent videos: G guidance branches (outermost) of N views.

        In training, of B = G * N * S: S scenes (innermost) that are seen by N views each.

        Args:
            sample: (B, 4, F, h, w).
            timestep: scalar or (B,).
            encoder_hidden_states: (B, 77, D) text embeddings, or (B*F, 77, D).
            pose_features: per level (N * S, C, F, h_i, w_i) from `CameraPoseEncoder`; None: no camera conditioning.
            epipolar: who attends to whom among the N views; None: every view on its own (AnimateDiff, CameraCtrl).
            kwargs: `UNetMotionModel.forward`'s others.

        Returns:
            as `UNetMotionModel.forward`: (B, 4, F, h, w).

        Raises:
            ValueError: camera features of other frames or another size than the sample's.
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
            # In training the backward pass may call checkpointed blocks again; else nothing should outlive the call.
            if not torch.is_grad_enabled():
                for _, module in self.collaborative_modules():
                    module.pose = module.epipolar = None
