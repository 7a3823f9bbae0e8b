"""What Generate hands to the socket thread: the artist's settings and the exported cameras, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cameras.camera_model import Array
from ..problem import AddonError
from ..protocol.geometry import MAX_SIDE, resized_intrinsics, size_of_area
from .state import Model

SIZE_MULTIPLE = 8
"""What width and height must be multiples of for any model."""


class SettingsError(AddonError):
    """Settings that the chosen model cannot work with."""

    code = "settings"


@dataclass(frozen=True, eq=False)
class CameraExport:
    """V cameras at F times.

    c2w: (V, F, 4, 4), OpenCV axes, scene units. K: (V, F, 3, 3) in pixels of a render of `width` x `height`.
    aspect: width by height of what the cameras see, pixel aspect included.
    """

    names: tuple[str, ...]
    c2w: Array
    K: Array
    width: int
    height: int
    aspect: float


@dataclass(frozen=True, eq=False)
class Submission:
    """One generation as the artist asked for it. `steps`, `guidance` and `size` None: the model's own, and automatic.

    size: (height, width) in pixels. take_folder: the folder for this take, or None for a new one in `output_folder`.
    """

    cameras: CameraExport
    frame_start: int
    frame_end: int
    prompt: str
    negative_prompt: str
    model: str
    seed: int
    steps: int | None
    guidance: float | None
    size: tuple[int, int] | None
    output_folder: Path
    take_folder: Path | None = None

    def request_fields(self, models: Sequence[Model]) -> dict[str, Any]:
        """The fields of `protocol.messages.GenerateRequest`, with the chosen model's own settings where none are set.

        Raises SettingsError when the model is unknown or cannot make what is asked for.
        """
        model = self._with_own_settings(models)
        height, width = self.size or size_of_area(self.cameras.aspect, model.native_size, model.size_multiple, MAX_SIDE)
        if width % model.size_multiple or height % model.size_multiple:
            raise SettingsError(
                f"{width} x {height} pixels do not fit the model “{model.name}”.",
                f"Use multiples of {model.size_multiple}, or the automatic size.",
            )
        frames = self.cameras.c2w.shape[1]
        if frames > model.max_frames:
            raise SettingsError(
                f"The model “{model.name}” makes at most {model.max_frames} frames, not {frames}.",
                "Choose another model.",
            )
        return {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "view_names": self.cameras.names,
            "width": width,
            "height": height,
            "model": model.name,
            "seed": self.seed,
            "num_inference_steps": self.steps or model.num_inference_steps,
            "guidance_scale": self.guidance or model.guidance_scale,
        }

    def K_at(self, size: tuple[int, int]) -> Array:
        """K (V, F, 3, 3) of images of `size` (height, width) that fill the cameras' views."""
        return resized_intrinsics(self.cameras.K, (self.cameras.height, self.cameras.width), size)

    def _with_own_settings(self, models: Sequence[Model]) -> Model:
        """The chosen model. One that is not offered may be a folder on the service's machine: the service will know."""
        for model in models:
            if model.name == self.model:
                return model
        if self.size and self.steps and self.guidance:
            return Model(
                self.model, max(self.size), SIZE_MULTIPLE, self.cameras.c2w.shape[1], self.steps, self.guidance
            )
        offered = ", ".join(model.name for model in models) or "none"
        raise SettingsError(
            f"The backend offers no model “{self.model}” (it offers: {offered}).",
            "Choose one of these. For a folder with a model, set size, steps and guidance yourself.",
        )
