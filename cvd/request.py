"""The settings of a generation, checked before any weight is loaded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .cameras.cameras import Cameras
from .errors import RequestError
from .sampling.denoise import SolverName, check_steps
from .sampling.pairing import default_schedule

if TYPE_CHECKING:
    from .pipeline import Output

MAX_FRAMES = 128
MAX_SEED = 2**63 - 1


def with_defaults(multistep: int | None, accumulate_step: int | None, views: int) -> tuple[int, int]:
    """(multistep, accumulate_step), where None stands for the official setting for the number of views."""
    schedule = default_schedule(views)
    return (
        schedule[0] if multistep is None else multistep,
        schedule[1] if accumulate_step is None else accumulate_step,
    )


def check_request(
    cameras: Cameras,
    num_inference_steps: int,
    multistep: int | None = None,
    accumulate_step: int | None = None,
    anchors: Output | None = None,
    scheduler: SolverName = "ddim",
    guidance_scale: float = 1.0,
    seed: int = 0,
) -> None:
    """Checks what can be checked without a model.

    Args:
        as `CollaborativeVideoPipeline.__call__`.

    Raises:
        RequestError: a setting outside its range, or anchors that do not go with the cameras.
    """
    if cameras.frames > MAX_FRAMES:
        raise RequestError(
            f"{cameras.frames} frames are too many: at most {MAX_FRAMES} can be made.",
            "Sample the cameras at fewer frames, or make the shot in parts.",
        )
    check_steps(scheduler, num_inference_steps)
    if any(value is not None and value < 1 for value in (multistep, accumulate_step)):
        raise RequestError(f"multistep is {multistep}, accumulate_step {accumulate_step}.", "Both start at 1.")
    if not math.isfinite(guidance_scale):
        raise RequestError(f"guidance_scale is {guidance_scale}.", "Use a number; 8.5 is the official one.")
    if not 0 <= seed <= MAX_SEED:
        raise RequestError(f"The seed is {seed}.", f"Use 0 to {MAX_SEED}.")
    if anchors is not None:
        _check_anchors(anchors, cameras)


def _check_anchors(anchors: Output, cameras: Cameras) -> None:
    """Whether finished views can come first among the cameras; only a model knows how large its latents are."""
    videos, latents = anchors.videos.shape, anchors.latents.shape
    size = (cameras.frames, cameras.height, cameras.width, 3)
    fit_each_other = len(latents) == 5 and (latents[0], latents[2]) == videos[:2]
    if not fit_each_other or videos[1:] != size or videos[0] >= cameras.views:
        raise RequestError(
            f"The finished views have frames of shape {videos} and latents of shape {latents}; {cameras.views} views "
            f"of {cameras.frames} frames and {cameras.width} x {cameras.height} pixels cannot follow them.",
            "Give the cameras of the finished views first, then at least one new one, of the same frames and size.",
        )
