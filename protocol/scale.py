"""The one factor that brings all cameras of a take to a model's units: 1 / target distance.

The target distance is the distance from the cameras to what they film. Models are told cameras in units of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .models import LearnedMotion

Source = Literal["asked", "seen", "axes", "motion", "nothing"]

SMALLEST_DISTANCE = 1e-9
"""Smaller distances are taken for none: a camera that stands in a surface, or a mistyped number."""


@dataclass(frozen=True)
class Scale:
    """The factor from the units of a scene or of camera files to a model's, above 0, and where it comes from.

    source: "asked": a distance that somebody set. "seen": the distance to what the cameras see. "axes": the distance to
    where their axes meet. "motion": no distance is known; the largest motion goes to the middle of what the model
    learned. "nothing": no distance and no motion that could be compared; the factor is 1.
    """

    factor: float
    source: Source

    @property
    def distance(self) -> float:
        """The target distance, in units of the scene or of the files."""
        return 1.0 / self.factor


def choose_scale(
    motion: float,
    *,
    asked: float | None = None,
    seen: float | None = None,
    axes: float | None = None,
    learned: LearnedMotion | None = None,
) -> Scale:
    """The factor for cameras, by the first of these that is known.

    Args:
        motion: largest distance of a camera from its first pose, 0 or more.
        asked: target distance that somebody set; None and 0 for none.
        seen: median distance to what the cameras see; None where they see nothing.
        axes: distance to where the cameras' axes meet (`geometry.target_distance`); None where they do not.
        learned: what the model learned; None when nobody knows. All distances are in units of the scene or files.
    """
    known: tuple[tuple[Source, float | None], ...] = (("asked", asked), ("seen", seen), ("axes", axes))
    for source, distance in known:
        if distance is not None and distance > SMALLEST_DISTANCE:
            return Scale(1.0 / distance, source)
    middle = 0.0 if learned is None else (learned.motion.low + learned.motion.high) / 2
    if middle > 0 and motion > SMALLEST_DISTANCE:
        return Scale(middle / motion, "motion")
    return Scale(1.0, "nothing")
