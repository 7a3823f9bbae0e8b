"""What was last measured of a scene's cameras, and what the panel says of it. Plain values, without bpy.

Drawing must not step through frames or send rays. So an export leaves its measures with the scene, as text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ..protocol.geometry import target_distance
from ..protocol.models import LearnedMotion
from ..protocol.ranges import CameraExtent, Finding, camera_extent, extent_findings
from ..protocol.scale import Scale, choose_scale
from ..service.submission import CameraExport


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What an export found out about cameras. Lengths are in scene units.

    names: of the cameras. frame_start, frame_end: the frame range. seen, axes: target distances, as in `choose_scale`.
    extent: how far the cameras go.
    """

    names: tuple[str, ...]
    frame_start: int
    frame_end: int
    seen: float | None
    axes: float | None
    extent: CameraExtent

    def text(self) -> str:
        """The measurement as JSON."""
        return msgspec.json.encode(self).decode()

    def is_of(self, names: tuple[str, ...], frame_start: int, frame_end: int) -> bool:
        """Whether it is of these cameras and this frame range. Cameras may have moved since."""
        return (self.names, self.frame_start, self.frame_end) == (names, frame_start, frame_end)

    def scale(self, asked: float, learned: LearnedMotion | None) -> Scale:
        """The factor that Generate would use. asked: the artist's target distance, 0 for the measured one."""
        return choose_scale(self.extent.motion, asked=asked, seen=self.seen, axes=self.axes, learned=learned)


def measurement_of(exported: CameraExport, frame_start: int, frame_end: int) -> Measurement:
    """What an export of a frame range found out about its cameras."""
    return Measurement(
        names=exported.names,
        frame_start=frame_start,
        frame_end=frame_end,
        seen=exported.seen_distance,
        axes=target_distance(exported.c2w),
        extent=camera_extent(exported.c2w, exported.K, (exported.height, exported.width)),
    )


def read_measurement(text: str) -> Measurement | None:
    """The measurement that a scene keeps; None for none, or for one of another release."""
    try:
        return msgspec.json.decode(text, type=Measurement) if text else None
    except (msgspec.DecodeError, UnicodeError):
        return None


@dataclass(frozen=True)
class ScaleReport:
    """What the panel says of the cameras' scale. lines: what it is. findings: what the model has not learned."""

    lines: tuple[str, ...]
    findings: tuple[Finding, ...]


def scale_report(
    measurement: Measurement, asked: float, learned: LearnedMotion | None, length: Callable[[float], str]
) -> ScaleReport:
    """What there is to say before Generate.

    asked: the artist's target distance, 0 for the measured one. learned: what the model learned; None when nobody
    knows. length: scene units as the artist reads them, such as "9.6 m".
    """
    scale = measurement.scale(asked, learned)
    extent = measurement.extent.scaled(scale.factor)
    known = "" if learned is None else f" (learned: up to {learned.motion.high:.3g})"
    motion = f"motion {extent.motion:.2f}{known}"
    distance = length(scale.distance)
    lines = {
        "asked": (f"{distance} to the target, {motion}",),
        "seen": (f"{distance} to the target, {motion}",),
        "axes": (f"{distance} to the target, {motion}", "The cameras see no surface: it is where their axes meet"),
        "motion": (f"No target, {motion}", "The cameras see no surface: their motion decides"),
        "nothing": (f"No target, {motion}", "The cameras see no surface: set the target distance"),
    }[scale.source]
    findings = [] if learned is None else extent_findings(extent, learned, measurement.names)
    return ScaleReport(lines, tuple(findings))
