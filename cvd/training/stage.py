"""The base class of all stages: trained networks, a loss for a batch, a validation picture and a result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn

from .batches import Batch, Mixture, validation_batch
from .datasets import Request
from .errors import TrainingError
from .latents import encode


class Stage(nn.Module, ABC):
    """One stage of training. Its networks are its submodules. Only the parameters in `trained` are not frozen."""

    name: ClassVar[str]
    learning_rate: ClassVar[float] = 1e-3
    """Largest learning rate from scratch, at the starter model's size."""
    batch_size: ClassVar[int] = 4
    validation_size: ClassVar[int] = 4
    """Number of scenes in the validation picture."""
    needs_cameras: ClassVar[bool] = False
    output: Path
    """The run folder that the result is written to."""
    vae: AutoencoderKL
    trained: dict[str, nn.Parameter]
    """The parameters that this stage trains, by name."""
    validation: Batch

    def watch(self, held_out: Mixture) -> None:
        """Draw the scenes of the validation pictures from held-out data.

        Raises:
            TrainingError: the stage needs cameras, and the data has no cameras.
        """
        if self.needs_cameras and not held_out.has_cameras:
            raise TrainingError(
                f"Stage {self.name} learns from cameras, which plain videos do not have.",
                "Leave the videos out, or add them to the epipolar stage.",
            )
        self.validation = validation_batch(held_out, self.validation_size, self.request)

    def _train_only(self, trained: dict[str, nn.Parameter]) -> None:
        self.requires_grad_(False)
        self.trained = trained
        for parameter in trained.values():
            parameter.requires_grad_(True)

    def _latents(self, batch: Batch) -> torch.Tensor:
        """(N, C, F, h, w): the latents of the batch, or its encoded frames if it has no latents."""
        if batch.latents is not None:
            return batch.latents.to(self.device).float().transpose(1, 2)
        assert batch.frames is not None  # a batch has latents or frames
        latents = encode(self.vae, batch.frames.flatten(0, 1))
        return latents.unflatten(0, batch.frames.shape[:2]).transpose(1, 2)

    def _weight(self, batch: Batch) -> torch.Tensor | None:
        """(N, 1, F, h, w) weight of each latent; None: all latents have the same weight."""
        return None if batch.weight is None else batch.weight[:, None].to(self.device)

    @property
    def device(self) -> torch.device:
        return next(iter(self.trained.values())).device

    @property
    @abstractmethod
    def request(self) -> Request:
        """The request that the stage makes to its data sets."""

    @abstractmethod
    def forward(self, batch: Batch) -> torch.Tensor:
        """The loss, a scalar. It depends only on the batch (with its seed) and the weights."""

    @abstractmethod
    def validate(self) -> tuple[dict[str, float], np.ndarray]:
        """Measures by name, and the rows of a contact sheet (R, C, H, W, 3) in [0, 1]."""

    @abstractmethod
    def save(self) -> None:
        """Write the stage's result, with the current (averaged) weights."""
