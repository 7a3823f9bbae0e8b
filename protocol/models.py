"""Descriptions of models. The service sends them, and the panel offers what the models can do."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .settings import SamplingSettings

STARTER_NAME = "starter"
"""Name of the model that comes with the package."""

LATE_TIMESTEP = 500
"""One of the 1000 training timesteps. Below it, `late_share` counts."""

ModelName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[0-9A-Za-z][0-9A-Za-z ._-]*$(?!\n)")]
"""A name is never a path: it has no separator and does not start with a dot."""

Positive = Annotated[int, Meta(ge=1, le=100_000)]
Input = Literal["prompt", "negative_prompt", "cameras", "anchors"]


class SizeRule(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes that a model makes, in pixels.

    native: side of a square with the model's best area. multiple: width and height are multiples of this.
    """

    native: Positive
    multiple: Positive


class FrameRule(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of frames that a model makes: `first`, and then every `step` more, up to `most`.

    at_once: largest number of frames in a network call. Longer videos are made in windows of this length.
    A model with latents that are compressed in time has a `step` of 4, for example: 1, 5, 9 and so on.
    """

    at_once: Positive
    most: Positive
    first: Positive = 1
    step: Positive = 1

    def allows(self, frames: int) -> bool:
        """Whether the model makes videos of this length."""
        return self.first <= frames <= self.most and (frames - self.first) % self.step == 0

    def nearest(self, frames: int) -> int:
        """The allowed number that is closest to `frames`; of two, the larger one."""
        largest = (self.most - self.first) // self.step
        steps = (2 * (frames - self.first) + self.step) // (2 * self.step)
        return self.first + self.step * min(max(steps, 0), largest)


class LearnedRange(msgspec.Struct, frozen=True, kw_only=True):
    """The values in a model's training, from `low` to `high`."""

    low: float
    high: float


class LearnedMotion(msgspec.Struct, frozen=True, kw_only=True):
    """The cameras in a model's training. Distances are in target distances.

    motion: largest distance of a camera from its first pose. baseline: largest distance between two cameras of a frame.
    field_of_view: across a square of the image's area, in degrees.
    """

    motion: LearnedRange
    baseline: LearnedRange
    field_of_view: LearnedRange


class GuidanceRule(msgspec.Struct, frozen=True, kw_only=True):
    """The rule of classifier-free guidance.

    frees_unconditional: whether the unconditional branch has no synchronisation. Guidance then strengthens
    synchronisation. The official model has it in both branches.
    late_share: share of the guidance scale below timestep `LATE_TIMESTEP`, where only details change. The official
    model's guidance does not change.
    """

    frees_unconditional: bool = False
    late_share: float = 1.0

    def scale_at(self, timestep: int, guidance_scale: float) -> float:
        """The guidance scale at a timestep (0 .. 999, noisiest last). guidance_scale: scale of the run."""
        return guidance_scale * (self.late_share if timestep < LATE_TIMESTEP else 1.0)


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a model. It does not need a loaded model.

    name: name to ask for. family: kind of network and of sampling (`cvd.family`). defaults: the model's own
    settings; None for those that depend on the number of views. settings: names of the settings that it has.
    inputs: inputs that it takes. learned: cameras in its training; None if unknown.
    """

    name: ModelName
    sizes: SizeRule
    frames: FrameRule
    defaults: SamplingSettings
    settings: tuple[str, ...]
    family: ModelName = "cvd"
    inputs: tuple[Input, ...] = ("prompt", "negative_prompt", "cameras", "anchors")
    learned: LearnedMotion | None = None
    guidance: GuidanceRule = GuidanceRule()


class ModelReference(msgspec.Struct, frozen=True, kw_only=True):
    """The model that made something. sha256: hash of its files. Another model of the same name has another hash."""

    name: Annotated[str, Meta(max_length=256)]
    family: Annotated[str, Meta(max_length=128)]
    sha256: Annotated[str, Meta(max_length=64)]


def official_schedule(views: int) -> tuple[int, int]:
    """(multistep, accumulate_step) for a number of views: the official settings for 2, 4 and 6 views.

    Two views have a single pairing, so recurrence and accumulation add nothing. 3 and 5 views use the setting for one
    more view. More than 6 views use that for 6, because the release has no others.
    """
    if views <= 2:
        return 1, 1
    if views <= 4:
        return 3, 1
    return 6, 2


def resolved_settings(settings: SamplingSettings, info: ModelInfo, views: int) -> SamplingSettings:
    """The settings with every number set: the caller's, or the model's own, or the official ones for the views."""
    multistep, accumulate_step = official_schedule(views)
    official = SamplingSettings(scheduler="ddim", multistep=multistep, accumulate_step=accumulate_step)
    chosen: dict[str, Any] = {}
    for each in (official, info.defaults, settings):
        chosen |= {name: value for name, value in msgspec.structs.asdict(each).items() if value is not None}
    return SamplingSettings(**chosen)
