"""What Generate hands to the socket thread: the artist's settings and the exported cameras, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..cameras.camera_model import Array
from ..problem import AddonError
from ..protocol.geometry import (
    MAX_SIDE,
    covering_size,
    fitting_part,
    resized_intrinsics,
    scaled_poses,
    target_distance,
    widened_intrinsics,
)
from ..protocol.messages import GenerateRequest
from ..protocol.models import ModelInfo
from ..protocol.ranges import largest_motion
from ..protocol.scale import Scale, choose_scale
from ..protocol.settings import SETTINGS, SamplingSettings
from ..protocol.takes import SceneSpan

MOST_OBLONG = 4.0
"""Longest side of a render divided by its shortest: beyond it, few pixels or many times the model's size are left."""


class SettingsError(AddonError):
    """Settings that the chosen model cannot work with."""

    code = "settings"


@dataclass(frozen=True, eq=False)
class CameraExport:
    """V cameras at F times.

    c2w: (V, F, 4, 4), OpenCV axes, scene units. K: (V, F, 3, 3) in pixels of a render of `width` x `height`.
    aspect: width by height of what the cameras see, pixel aspect included. seen_distance: median distance to what they
    see, in scene units; None where they see nothing.
    """

    names: tuple[str, ...]
    c2w: Array
    K: Array
    width: int
    height: int
    aspect: float
    seen_distance: float | None = None


@dataclass(frozen=True, eq=False)
class Submission:
    """One generation as the artist asks for it.

    scene: the scene and its frames. model: the model's name. settings: None in them stands for the model's own value.
    size: (height, width) in pixels; None for the automatic size. output_folder: where new takes go.
    take_folder: the folder for this take; None for a new one in `output_folder`.
    target_distance: from the cameras to what they film, in scene units, as the artist sets it; None for the measured
    one.
    """

    cameras: CameraExport
    scene: SceneSpan
    prompt: str
    negative_prompt: str
    model: str
    settings: SamplingSettings
    size: tuple[int, int] | None
    output_folder: Path
    take_folder: Path | None = None
    target_distance: float | None = None

    def request(self, models: Sequence[ModelInfo]) -> GenerateRequest:
        """The request for one of the models that the service offers.

        Raises SettingsError when it does not offer the chosen model, or when that model cannot make what is asked for.
        """
        model = self._chosen(models)
        refusal = aspect_problem(self.cameras.aspect)
        if refusal:
            raise SettingsError(refusal, "Change Output Properties > Format > Resolution.")
        height, width = self.size or automatic_size(self.cameras.aspect, model)
        if width % model.sizes.multiple or height % model.sizes.multiple:
            raise SettingsError(
                f"{width} x {height} pixels do not fit the model “{model.name}”.",
                f"Use multiples of {model.sizes.multiple}, or the automatic size.",
            )
        frames = self.cameras.c2w.shape[1]
        if not model.frames.allows(frames):
            raise SettingsError(
                f"The model “{model.name}” makes no videos of {frames} frames.",
                f"Set Frames to {model.frames.nearest(frames)}, or choose another model.",
            )
        return GenerateRequest(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            view_names=self.cameras.names,
            width=width,
            height=height,
            model=model.name,
            settings=known_settings(self.settings, model),
            scale=self._scale(model).factor,
        )

    def c2w_at(self, scale: float) -> Array:
        """c2w (V, F, 4, 4) in the model's units. scale: of the request."""
        return scaled_poses(self.cameras.c2w, scale)

    def K_at(self, size: tuple[int, int]) -> Array:
        """K (V, F, 3, 3) of images of `size`, (height, width) in pixels.

        Their pixels are square, and their part `shown_at` is the render.
        """
        view = 1.0, self.cameras.aspect
        square = resized_intrinsics(self.cameras.K, (self.cameras.height, self.cameras.width), view)
        return widened_intrinsics(square, view, size)

    def shown_at(self, size: tuple[int, int]) -> tuple[float, float]:
        """(width, height) of the part of images of `size`, (height, width), that the render shows."""
        height, width = fitting_part(self.cameras.aspect, size)
        return width, height

    def _scale(self, model: ModelInfo) -> Scale:
        return choose_scale(
            largest_motion(self.cameras.c2w),
            asked=self.target_distance,
            seen=self.cameras.seen_distance,
            axes=target_distance(self.cameras.c2w),
            learned=model.learned,
        )

    def _chosen(self, models: Sequence[ModelInfo]) -> ModelInfo:
        for model in models:
            if model.name == self.model:
                return model
        offered = ", ".join(model.name for model in models) or "none"
        raise SettingsError(
            f"The backend offers no model “{self.model}”.", f"Choose one of those that it offers: {offered}."
        )


def automatic_size(aspect: float, model: ModelInfo) -> tuple[int, int]:
    """(height, width) in pixels of images that a render of some aspect ratio fits into, as many as the model likes."""
    return covering_size(aspect, model.sizes.native, model.sizes.multiple, MAX_SIDE)


def aspect_problem(aspect: float) -> str:
    """What is wrong with the proportions of a render; nothing for most. aspect: width by height."""
    if 1 / MOST_OBLONG <= aspect <= MOST_OBLONG:
        return ""
    width, height = (f"{aspect:.3g}", "1") if aspect > 1 else ("1", f"{1 / aspect:.3g}")
    return f"The render is {width} to {height}; models make {MOST_OBLONG:g} to 1 at most."


def known_settings(settings: SamplingSettings, model: ModelInfo) -> SamplingSettings:
    """The settings that the model has. The others are left to it, because the panel does not show them."""
    defaults = {setting.name: setting.default for setting in SETTINGS if setting.name not in model.settings}
    return msgspec.structs.replace(settings, **defaults)
