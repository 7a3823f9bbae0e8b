"""What every model family is to the service and the command line, and the families that there are.

A family is a kind of network with its own way of sampling. Collaborative Video Diffusion is the first. Another one may
have other rules: frames of 4n + 1, latents compressed in time, flow matching, no epipolar bias, another decoder. All
that the rest of the program knows of a model is `VideoModel`, and what `ModelInfo` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from protocol.models import ModelInfo

from .memory import MemoryPlan
from .request import Hooks, Output, Request

if TYPE_CHECKING:
    import numpy as np
    import torch

    from .sampling.state import SamplerState

_NO_HOOKS = Hooks()


@dataclass(frozen=True)
class Estimate:
    """How much work a request is.

    calls: of the network. frames: to decode.
    """

    calls: int
    frames: int


@dataclass(frozen=True)
class LoadOptions:
    """What is changed about a model when it is loaded from the official files.

    base_model: another Stable Diffusion 1.5 for the images, a folder or a file. adapter: whether AnimateDiff's adapter
    is merged. lora: files, and the weight of each.
    """

    base_model: Path | None = None
    adapter: bool = True
    lora: tuple[tuple[Path, float], ...] = ()


AS_IT_IS = LoadOptions()


class VideoModel(Protocol):
    """A loaded model."""

    @property
    def info(self) -> ModelInfo:
        """What the model is."""

    def estimate(self, request: Request) -> Estimate:
        """How much work a request is. Raises RequestError as `generate`."""

    def preview(self, latents: torch.Tensor) -> np.ndarray | None:
        """Small pictures (V, h, w, 3) uint8 of latents without noise, as `Step.clean` gives them.

        None where the model has no quick way to make them.
        """

    def generate(self, request: Request, hooks: Hooks = _NO_HOOKS, resume: SamplerState | None = None) -> Output:
        """One video per view.

        Args:
            hooks: hear of the run. What they raise ends it.
            resume: a state that `Hooks.on_step` saw in an earlier run of the same request, from which this one goes on.
                The result has the same bytes as that of an undisturbed run.

        Raises:
            RequestError: the model cannot do what is asked for.
        """


class ModelFamily(Protocol):
    """How models of one kind are found on disk and loaded."""

    def find(self, folder: Path) -> ModelInfo | None:
        """What the model in a folder is, without loading it; None where the folder holds no model of this family.

        Raises:
            CheckpointError: it is one, and damaged.
        """

    def files(self, folder: Path, options: LoadOptions) -> list[Path]:
        """The files that loading a model reads, which its hash is made of."""

    def load(self, folder: Path, device: str, plan: MemoryPlan, options: LoadOptions) -> VideoModel:
        """A loaded model.

        Raises:
            CheckpointError: a file is missing or does not fit. RequestError: options that the model does not have, or a
                device that is not there.
        """


FAMILIES: dict[str, ModelFamily] = {}
"""The families by name, as `ModelInfo.family` has it."""


def register(name: str, family: ModelFamily) -> None:
    """Makes a family known to the registry of models, the service and the command line."""
    FAMILIES[name] = family
