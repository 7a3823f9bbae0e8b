"""The guided prediction of all views' noise. The sampler calls it many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from protocol.models import GuidanceRule

from ..conditioning.epipolar import Slope
from ..models.unet import CollaborativeUNet
from .conditioning import Conditioning
from .pairing import view_groups


class Predictor:
    """Predicts all views' guided noise or velocity, with a new pairing for each call, and blends windows.

    Args:
        unet: U-Net in the precision of its calls.
        text: embeddings (2, 77, D) of the negative prompt, then of the prompt, for all views.
        conditionings: conditioning of each window.
        guidance, guidance_scale: rule and scale of classifier-free guidance.
        pairing: function that draws the partners, and the slope of the pseudo-lines.
        pairs_per_call: see `MemoryPlan`.
        on_window: called after every window of a prediction.
    """

    def __init__(
        self,
        unet: CollaborativeUNet,
        text: torch.Tensor,
        conditionings: Sequence[Conditioning],
        guidance: GuidanceRule,
        guidance_scale: float,
        pairing: Callable[[], tuple[list[int], Slope]],
        pairs_per_call: int | None,
        on_window: Callable[[], None],
    ) -> None:
        self._unet, self._text, self._conditionings = unet, text, conditionings
        self._guidance, self._guidance_scale = guidance, guidance_scale
        self._pairing, self._pairs_per_call, self._on_window = pairing, pairs_per_call, on_window

    def __call__(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """The prediction (V, C, F, h, w) for latents of this shape at a timestep."""
        partners, slope = self._pairing()
        scale = self._guidance.scale_at(int(timestep), self._guidance_scale)
        predicted = torch.zeros_like(latents)
        for conditioning in self._conditionings:
            for views in view_groups(partners, self._pairs_per_call):
                part = latents[views][:, :, conditioning.frames]
                guided = self._guided(part, timestep, scale, conditioning, partners, slope, views)
                predicted[views, :, conditioning.frames] += conditioning.share * guided
            self._on_window()
        return predicted

    def _guided(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        scale: float,
        conditioning: Conditioning,
        partners: Sequence[int],
        slope: Slope,
        views: Sequence[int],
    ) -> torch.Tensor:
        """One call of the U-Net for some of the views."""
        # With a scale of 1 the result is the conditional branch, and the other is not needed.
        branches = 1 if scale == 1 else 2
        free_branches = 1 if branches == 2 and self._guidance.frees_unconditional else 0
        output = self._unet(
            latents.to(self._unet.dtype).repeat(branches, 1, 1, 1, 1),
            timestep,
            self._text[-branches:].repeat_interleave(len(views), dim=0),
            conditioning.pose_features_of(views),
            conditioning.context(partners, slope, free_branches, views),
        ).sample.float()
        unconditional, conditional = output[: len(views)], output[-len(views) :]
        return unconditional + scale * (conditional - unconditional)
