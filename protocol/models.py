"""What a model is, as both sides see it. The service describes its models, and the panel offers what they can do."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .settings import SamplingSettings

STARTER_NAME = "starter"
"""Name of the model that comes with the package."""

LATE_TIMESTEP = 500
"""One of the 1000 training timesteps. Below it, guidance is late."""

ModelName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[0-9A-Za-z][0-9A-Za-z ._-]*$(?!\n)")]
"""A name is never a path: it has no separator and does not start with a dot."""

Positive = Annotated[int, Meta(ge=1, le=100_000)]
Input = Literal["prompt", "negative_prompt", "cameras", "anchors"]


class SizeRule(msgspec.Struct, frozen=True, kw_only=True):
    """Which sizes a model makes, in pixels.

    native: side of the square whose area the model is best at. multiple: width and height are multiples of this.
    """

    native: Positive
    multiple: Positive


class FrameRule(msgspec.Struct, frozen=True, kw_only=True):
    """How many frames a model makes: `first`, and then every `step` more, up to `most`.

    at_once: frames that the network sees together. It makes longer videos in overlapping windows of so many.
    A model whose latents are compressed in time has a `step` of 4, for instance: 1, 5, 9 and so on.
    """

    at_once: Positive
    most: Positive
    first: Positive = 1
    step: Positive = 1

    def allows(self, frames: int) -> bool:
        """Whether the model makes videos of so many frames."""
        return self.first <= frames <= self.most and (frames - self.first) % self.step == 0

    def nearest(self, frames: int) -> int:
        """The allowed number of frames that is closest to a wish; of two, the larger one."""
        largest = (self.most - self.first) // self.step
        steps = (2 * (frames - self.first) + self.step) // (2 * self.step)
        return self.first + self.step * min(max(steps, 0), largest)


class LearnedRange(msgspec.Struct, frozen=True, kw_only=True):
    """What a model saw in training, from `low` to `high`."""

    low: float
    high: float


class LearnedMotion(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's training showed it of cameras. Distances are in units of the target distance.

    motion: largest distance of a camera from its first pose. baseline: largest distance between two cameras of a frame.
    field_of_view: across a square of the image's area, in degrees.
    """

    motion: LearnedRange
    baseline: LearnedRange
    field_of_view: LearnedRange


class GuidanceRule(msgspec.Struct, frozen=True, kw_only=True):
    """How classifier-free guidance acts.

    frees_unconditional: whether the unconditional branch goes without synchronisation. Guidance then strengthens
    synchronisation. The official model has it in both branches.
    late_share: part of the guidance scale that is used below timestep `LATE_TIMESTEP`, where only details are open. The
    official model's guidance does not change.
    """

    frees_unconditional: bool = False
    late_share: float = 1.0

    def scale_at(self, timestep: int, guidance_scale: float) -> float:
        """The guidance scale at a timestep (0 .. 999, noisiest last). guidance_scale: the one that a run asks for."""
        return guidance_scale * (self.late_share if timestep < LATE_TIMESTEP else 1.0)


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is and what it can do, known without loading it.

    name: the name to ask for. family: the kind of network and of sampling (`cvd.family`). defaults: the model's own
    settings; None for those that depend on the number of views. settings: names of the settings that it has.
    inputs: what it takes. learned: what its training showed it; None when nobody knows.
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
    """Which model made something. sha256: hash of its files, which another model of the same name does not have."""

    name: Annotated[str, Meta(max_length=256)]
    family: Annotated[str, Meta(max_length=128)]
    sha256: Annotated[str, Meta(max_length=64)]
