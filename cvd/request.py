"""The request and the result of a generation, for every model family. Torch is not needed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from protocol.models import ModelInfo, resolved_settings
from protocol.settings import SETTINGS, SamplingSettings

from .cameras import Cameras
from .errors import PromptWarning, RequestError

if TYPE_CHECKING:
    import torch

    from .conditioning.epipolar import Slope
    from .sampling.state import SamplerState

MAX_FRAMES = 128

TRAIN_TIMESTEPS = 1000
FEW_STEPS = 100
NOISE_FROM = 900
"""Timestep from which the video is at most 7 % of its latents, in amplitude."""

DRAFT_SHARE = 3
"""Factor between the steps of a model and of its draft."""


@dataclass(frozen=True)
class Progress:
    """Progress of a generation: `step` of `of` network calls (denoising) or frames (decoding) of `stage` are done."""

    stage: Literal["encoding", "denoising", "decoding"]
    step: int
    of: int


@dataclass(frozen=True, eq=False)
class Output:
    """The result of a generation.

    videos: (V, F, H, W, 3) float32 sRGB in [0, 1]. latents: (V, C, F, h, w) float32. A latent covers the same number of
    pixels in both directions. For SD 1.5 this is 8, and C is 4.
    """

    videos: np.ndarray
    latents: np.ndarray


@dataclass(frozen=True, eq=False)
class Pins:
    """Random draws of the caller, which replace the seed's. They make tests repeatable.

    latents: initial noise (V, C, F, h, w). pairings: permutations of range(V), one for every prediction of the noise. A
    prediction is one network call, or one for every window. renoise: function for the n-th noise of a shape.
    pseudo_slope: fraction of pi, or "horizontal". It replaces one draw for every prediction.
    """

    latents: np.ndarray | torch.Tensor | None = None
    pairings: Iterable[Sequence[int]] | None = None
    renoise: Callable[[int, tuple[int, ...]], np.ndarray] | None = None
    pseudo_slope: Slope | None = None


@dataclass(frozen=True, eq=False)
class Request:
    """Everything that defines one generation.

    prompt, negative_prompt: what the scene shows, and what it must not show, for all views.
    cameras: cameras of V views and F frames.
    settings: settings of the sampling; None in them stands for the model's own value.
    anchors: output of an earlier run for the first A of these cameras. Those views do not change, and the others become
        consistent with them.
    pins: random draws that replace the seed's.
    """

    prompt: str
    cameras: Cameras
    negative_prompt: str = ""
    settings: SamplingSettings = field(default_factory=SamplingSettings)
    anchors: Output | None = None
    pins: Pins = field(default_factory=Pins)

    def resolved(self, info: ModelInfo) -> SamplingSettings:
        """The settings with every number set, see `resolved_settings`."""
        return resolved_settings(self.settings, info, self.cameras.views)

    def check(self, info: ModelInfo | None = None) -> None:
        """Makes all checks that do not need a loaded model.

        Args:
            info: description of the model; None: only the rules of all models are checked.

        Raises:
            RequestError: a setting out of its range; a setting, an input or a number of frames that the model does not
                have; or anchors that do not fit the cameras.
        """
        check_settings(self.settings)
        check_steps(self.settings if info is None else self.resolved(info))
        frames = self.cameras.frames
        if frames > MAX_FRAMES:
            raise RequestError(
                f"{frames} frames are too many: at most {MAX_FRAMES} can be made.",
                "Sample the cameras at fewer frames, or make the shot in parts.",
            )
        if info is not None:
            self._check_inputs(info)
            if not info.frames.allows(frames):
                raise RequestError(
                    f'The model "{info.name}" makes no videos of {frames} frames.',
                    f"Use {info.frames.nearest(frames)} frames, for instance.",
                )
        if self.anchors is not None:
            _check_anchors(self.anchors, self.cameras)

    def _check_inputs(self, info: ModelInfo) -> None:
        """Checks that a model has the given settings and takes the given inputs."""
        for setting in SETTINGS:
            if getattr(self.settings, setting.name) != setting.default and setting.name not in info.settings:
                raise RequestError(f'The model "{info.name}" has no setting {setting.name}.', "Leave it out.")
        given = {"negative_prompt": self.negative_prompt, "prompt": self.prompt, "anchors": self.anchors}
        for name, value in given.items():
            if value and name not in info.inputs:
                raise RequestError(f'The model "{info.name}" takes no {name}.', "Leave it out.")


@dataclass(frozen=True, eq=False)
class Step:
    """A finished step of the sampler: a timestep, or one recurrence of it.

    index, of: number of the timestep, from 0, and of all timesteps. timestep: timestep of the training, 0 .. 999.
    state: state to continue the run from. predict_clean: see `clean`.
    """

    index: int
    of: int
    timestep: float
    state: SamplerState
    predict_clean: Callable[[], torch.Tensor]

    @property
    def latents(self) -> torch.Tensor:
        """(V, C, F, h, w) after the step."""
        return self.state.latents

    def clean(self) -> torch.Tensor:
        """The latents (V, C, F, h, w) without noise, as this step predicts them. Each call computes them."""
        return self.predict_clean()


def ignore(_: Any) -> None:
    """A hook that does nothing."""


def warn(message: str) -> None:
    """A hook that gives a Python warning."""
    warnings.warn(message, PromptWarning, stacklevel=2)


@dataclass(frozen=True)
class Hooks:
    """Functions that a run calls. Their errors end the run.

    on_progress: called after every network call and every batch of decoded frames.
    on_step: called after every step of the sampler, for previews and saved states.
    on_warning: called with a message about an ignored part of the request. The default is a Python `PromptWarning`.
    """

    on_progress: Callable[[Progress], None] = ignore
    on_step: Callable[[Step], None] = ignore
    on_warning: Callable[[str], None] = warn


def draft_settings(settings: SamplingSettings, info: ModelInfo) -> SamplingSettings:
    """Settings of a draft: a third of the model's steps, a second-order solver, and one pairing in each step.

    The caller's own settings stay.
    """
    quick = {
        "num_inference_steps": max(1, (info.defaults.num_inference_steps or DRAFT_SHARE) // DRAFT_SHARE),
        "scheduler": "dpmsolver++",
        "multistep": 1,
        "accumulate_step": 1,
    }
    chosen = {name: each for name, each in quick.items() if name in info.settings and getattr(settings, name) is None}
    return msgspec.structs.replace(settings, **chosen)


def check_settings(settings: SamplingSettings) -> None:
    """Raises RequestError, with the name, for a setting out of its range."""
    for setting in SETTINGS:
        value = getattr(settings, setting.name)
        if not setting.allows(value):
            raise RequestError(f"{setting.name} is {repr(value)[:40]}.", f"Use {setting.range_text}.")


def check_steps(settings: SamplingSettings) -> None:
    """Checks that DDIM can make this number of steps.

    DDIM's timesteps are the multiples of 1000 // steps, plus 1. Most numbers of steps above 100 leave out the noisiest
    timesteps, which decide the layout of the videos. Very few steps do so, too, as in the official code.

    Raises:
        RequestError: it cannot.
    """
    steps = settings.num_inference_steps
    if settings.scheduler not in (None, "ddim") or steps is None or steps <= FEW_STEPS:
        return
    stride = TRAIN_TIMESTEPS // steps
    first = stride * (steps - 1) + 1
    if first < NOISE_FROM:
        raise RequestError(
            f"DDIM with {steps} steps would start at timestep {first}, where videos are not all noise.",
            f"Use {TRAIN_TIMESTEPS // (stride + 1)} or {TRAIN_TIMESTEPS // stride} steps, or another scheduler.",
        )


def _check_anchors(anchors: Output, cameras: Cameras) -> None:
    """Checks that finished views fit the first cameras. Only a model knows the size of its latents."""
    videos, latents = anchors.videos.shape, anchors.latents.shape
    size = (cameras.frames, cameras.height, cameras.width, 3)
    fit_each_other = len(latents) == 5 and latents[0] == videos[0]
    if not fit_each_other or videos[1:] != size or videos[0] >= cameras.views:
        raise RequestError(
            f"The finished views have frames of shape {videos} and latents of shape {latents}; {cameras.views} views "
            f"of {cameras.frames} frames and {cameras.width} x {cameras.height} pixels cannot follow them.",
            "Give the cameras of the finished views first, then at least one new one, of the same frames and size.",
        )
