"""The interface of model families for the service and the command line, and the list of families.

A family is a kind of network with its own way of sampling. Collaborative Video Diffusion is the first. Another one may
have other rules: 4n + 1 frames, latents compressed in time, flow matching, no epipolar bias, another decoder. The rest
of the program knows only a model's `VideoModel` and `ModelInfo`.
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
    """The amount of work of a request.

    calls: calls of the network. frames: frames to decode.
    """

    calls: int
    frames: int


@dataclass(frozen=True)
class LoadOptions:
    """Changes to a model that is loaded from the official files.

    base_model: folder or file of another Stable Diffusion 1.5 for the images. adapter: whether AnimateDiff's adapter
    is merged. lora: LoRA files and their weights.
    """

    base_model: Path | None = None
    adapter: bool = True
    lora: tuple[tuple[Path, float], ...] = ()


AS_IT_IS = LoadOptions()


class VideoModel(Protocol):
    """A loaded model."""

    @property
    def info(self) -> ModelInfo:
        """The description of the model."""

    def estimate(self, request: Request) -> Estimate:
        """The amount of work of a request. Raises RequestError as `generate` does."""

    def preview(self, latents: torch.Tensor) -> np.ndarray | None:
        """Small pictures (V, h, w, 3) uint8 of latents without noise, as `Step.clean` gives them.

        None where the model has no quick way to make them.
        """

    def generate(self, request: Request, hooks: Hooks = _NO_HOOKS, resume: SamplerState | None = None) -> Output:
        """One video per view.

        Args:
            hooks: functions that the run calls. Their errors end it.
            resume: state to continue from. `Hooks.on_step` got it in an earlier run of the same request. The result has
                the same bytes as without the interruption.

        Raises:
            RequestError: the model cannot make what is asked for.
        """


class ModelFamily(Protocol):
    """Finds models of one kind on disk, and loads them."""

    def find(self, folder: Path) -> ModelInfo | None:
        """The description of the model in a folder, without loading it; None if it is not of this family.

        Raises:
            CheckpointError: the model is damaged.
        """

    def files(self, folder: Path, options: LoadOptions) -> list[Path]:
        """The files that are read to load a model. Its hash is made of them."""

    def load(self, folder: Path, device: str, plan: MemoryPlan, options: LoadOptions) -> VideoModel:
        """A loaded model.

        Raises:
            CheckpointError: a file is missing or does not fit.
            RequestError: the model does not have the options, or the device does not exist.
        """


FAMILIES: dict[str, ModelFamily] = {}
"""The families by their names in `ModelInfo.family`."""


def register(name: str, family: ModelFamily) -> None:
    """Makes a family known to the registry of models, the service and the command line."""
    FAMILIES[name] = family
