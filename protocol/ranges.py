"""How far cameras go, and what of it a model has not learned. In numpy alone, for both sides.

V views, F frames, as in `geometry.py`. A model learned cameras in units of the target distance (`LearnedMotion`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from .geometry import ROUNDING, Array
from .models import LearnedMotion, LearnedRange

Quantity = Literal["motion", "baseline", "field_of_view"]
Level = Literal["yellow", "red"]

FAR = 2.0
"""From this many times the end of a range on, a finding is red."""

TOLERANCE = 0.01
"""Share by which a value may leave its range unnoticed: rounding, and what nobody sees."""


@dataclass(frozen=True)
class Finding:
    """Something about cameras that a model has not learned.

    quantity: the one of `LearnedMotion`. level: yellow beyond the range, red beyond `FAR` times its end.
    text: what it is. hint: what to do.
    """

    quantity: Quantity
    level: Level
    text: str
    hint: str


class CameraExtent(msgspec.Struct, frozen=True, kw_only=True):
    """How far cameras go.

    motion: largest distance of a camera from its first pose. baseline: largest distance between two cameras of a frame.
    Both are in the unit of the poses. narrowest, widest: fields of view as in `fields_of_view`, in degrees.
    The other fields are the numbers of the views that have these values, counted from 0.
    """

    motion: float
    motion_view: int
    baseline: float
    baseline_views: tuple[int, int]
    narrowest: float
    narrowest_view: int
    widest: float
    widest_view: int

    def scaled(self, factor: float) -> CameraExtent:
        """The extent of the same cameras in other units: distances times `factor`, above 0."""
        return msgspec.structs.replace(self, motion=self.motion * factor, baseline=self.baseline * factor)


def motions(c2w: Array) -> Array:
    """Returns (V, F) distances of cameras c2w (V, F, 4, 4) from where their views start."""
    return np.linalg.norm(c2w[..., :3, 3] - c2w[:, :1, :3, 3], axis=-1)


def largest_motion(c2w: Array) -> float:
    """The largest distance of cameras c2w (V, F, 4, 4) from where their views start. Rounding counts as 0."""
    motion = float(motions(c2w).max())
    return motion if motion > ROUNDING * np.abs(c2w[..., :3, 3]).max() else 0.0


def baselines(c2w: Array) -> Array:
    """Returns (V, V) largest distances between cameras c2w (V, F, 4, 4) of one frame."""
    centres = c2w[..., :3, 3]
    return np.linalg.norm(centres[:, None] - centres[None], axis=-1).max(-1)


def fields_of_view(K: Array, size: tuple[int, int]) -> Array:
    """Returns (V, F) fields of view in degrees, across the square that has the image's area.

    Models make images of one area, whatever their proportions, and learned most from squares. A wide image shows things
    as large, in pixels, as a square with this field of view does. Shifts of the lens do not change that.

    Args:
        K: (V, F, 3, 3) in pixels.
        size: (height, width) of the images in pixels.
    """
    focal = np.sqrt(K[..., 0, 0] * K[..., 1, 1])
    return np.degrees(2 * np.arctan(np.sqrt(size[0] * size[1]) / 2 / focal))


def camera_extent(c2w: Array, K: Array, size: tuple[int, int]) -> CameraExtent:
    """Measures how far cameras go.

    Args:
        c2w: (V, F, 4, 4), rigid, in any unit.
        K: (V, F, 3, 3) in pixels.
        size: (height, width) of all images in pixels.
    """
    moved, apart, seen = motions(c2w).max(1), baselines(c2w), fields_of_view(K, size)
    first, second = np.unravel_index(apart.argmax(), apart.shape)
    return CameraExtent(
        motion=largest_motion(c2w),
        motion_view=int(moved.argmax()),
        baseline=float(apart.max()),
        baseline_views=(int(first), int(second)),
        narrowest=float(seen.min()),
        narrowest_view=int(seen.min(1).argmin()),
        widest=float(seen.max()),
        widest_view=int(seen.max(1).argmax()),
    )


def range_findings(
    c2w: Array, K: Array, size: tuple[int, int], learned: LearnedMotion, names: Sequence[str] | None = None
) -> list[Finding]:
    """What of the cameras a model has not learned; empty where all is within its ranges.

    Args:
        c2w: (V, F, 4, 4), rigid, in the model's units.
        K: (V, F, 3, 3) in pixels.
        size: (height, width) of all images in pixels.
        learned: what the model learned.
        names: of the views; None for their numbers.
    """
    return extent_findings(camera_extent(c2w, K, size), learned, names)


def extent_findings(extent: CameraExtent, learned: LearnedMotion, names: Sequence[str] | None = None) -> list[Finding]:
    """The same as `range_findings`, for cameras that were measured before. extent: in the model's units."""
    return [
        *_distance_findings("motion", extent.motion, learned.motion, _moves(extent, names), _MOTION_HINTS),
        *_distance_findings("baseline", extent.baseline, learned.baseline, _apart(extent, names), _BASELINE_HINTS),
        *_view_findings(extent, learned.field_of_view, names),
    ]


_MOTION_HINTS = (
    "Let the camera move more.",
    "Let the camera move less, or film from farther away.",
)
_BASELINE_HINTS = (
    "Move the cameras apart.",
    "Move the cameras closer together, or film from farther away.",
)


def _moves(extent: CameraExtent, names: Sequence[str] | None) -> str:
    return f"{_name(extent.motion_view, names)} moves"


def _apart(extent: CameraExtent, names: Sequence[str] | None) -> str:
    first, second = (_name(view, names) for view in extent.baseline_views)
    return f"{first} and {second} come apart by"


def _distance_findings(
    quantity: Quantity, value: float, learned: LearnedRange, subject: str, hints: tuple[str, str]
) -> list[Finding]:
    """hints: for a value below the range, and above it."""
    if level := _level(learned.low, value):
        known, hint = f"at least {learned.low:.3g}", hints[0]
    elif level := _level(value, learned.high):
        known, hint = f"up to {learned.high:.3g}", hints[1]
    else:
        return []
    text = f"{subject} {value:.3g} target distances. The model learned {known}."
    return [Finding(quantity, level, text, hint)]


def _view_findings(extent: CameraExtent, learned: LearnedRange, names: Sequence[str] | None) -> list[Finding]:
    """A lens that is twice as long sees half as much: fields of view are compared by their half angles' tangents."""

    def width(degrees: float) -> float:
        return float(np.tan(np.radians(degrees) / 2))

    found = []
    for level, degrees, view, lens in (
        (_level(width(learned.low), width(extent.narrowest)), extent.narrowest, extent.narrowest_view, "shorter"),
        (_level(width(extent.widest), width(learned.high)), extent.widest, extent.widest_view, "longer"),
    ):
        if level:
            text = (
                f"As a square image, {_name(view, names)} sees {degrees:.0f}°. "
                f"The model learned {learned.low:.0f}° to {learned.high:.0f}°."
            )
            found.append(Finding("field_of_view", level, text, f"Use a {lens} focal length."))
    return found


def _level(larger: float, smaller: float) -> Level | None:
    """How far a value is on the wrong side of another one. Both are 0 or more."""
    if larger <= smaller * (1 + TOLERANCE):
        return None
    return "yellow" if larger <= smaller * FAR else "red"


def _name(view: int, names: Sequence[str] | None) -> str:
    return f"View {view}" if names is None else f"“{names[view]}”"
