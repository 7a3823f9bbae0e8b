"""The guided prediction of all views' noise, which the sampler asks for again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from protocol.models import GuidanceRule

from ..conditioning.conditioning import Conditioning
from ..conditioning.epipolar import Slope
from ..models.unet import CollaborativeUNet
from .pairing import view_groups


class Predictor:
    """Predicts all views' guided noise or velocity, under a new pairing for each call, blended over windows.

    Args:
        unet: in the precision that it computes in.
        text: (2, 77, D) embeddings of the negative prompt, then of the prompt; all views share them.
        conditionings: one for each window.
        guidance, guidance_scale: of classifier-free guidance.
        pairing: draws every view's partner, and the slope of the pseudo-lines.
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
        """(V, C, F, h, w) of latents of that shape, at a timestep."""
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
        """One call of the U-Net for a part of the views."""
        # A scale of 1 gives the conditional branch back, which then does without the other one.
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
