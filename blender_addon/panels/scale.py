"""The panel's part about scale: how far away the target is, and what of the cameras a model has not learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

from ..blender_types import scene_settings
from ..cameras.choice import chosen_cameras
from ..cameras.measurement import read_measurement, scale_report
from ..service.state import State

DrawText = Callable[[Any, str, str], None]
"""Draws a text in several lines if need be: into a layout, the text, the name of an icon."""


def draw_scale(layout: bpy.types.UILayout, scene: bpy.types.Scene, state: State, draw_text: DrawText) -> None:
    """Draw what was measured last. Nothing is measured here."""
    settings = scene_settings(scene)
    box = layout.box()
    row = box.row(align=True)
    row.prop(settings, "target_distance")
    row.operator("collaborative_cameras.measure", text="", icon="DRIVER_DISTANCE")
    measurement = read_measurement(settings.measurement)
    column = box.column(align=True)
    if measurement is None:
        column.label(text="Not measured yet", icon="INFO")
        return
    names = tuple(camera.name for camera in chosen_cameras(scene))
    if not measurement.is_of(names, scene.frame_start, scene.frame_end):
        column.label(text="Measured for other cameras or frames", icon="INFO")
    model = state.model(settings.model)
    learned = None if model is None else model.learned
    report = scale_report(measurement, settings.target_distance, learned, lambda value: length_text(scene, value))
    for line in report.lines:
        draw_text(column, line, "NONE")
    for finding in report.findings:
        warning = box.column(align=True)
        warning.alert = finding.level == "red"
        draw_text(warning, finding.text, "ERROR")
        draw_text(box.column(align=True), finding.hint, "NONE")


def length_text(scene: bpy.types.Scene, value: float) -> str:
    """A length in scene units as the scene's settings show it, such as "9.6 m"."""
    units = scene.unit_settings
    if units.system == "NONE":
        return f"{value:.3g}"
    metres = value * units.scale_length
    return bpy.utils.units.to_string(units.system, "LENGTH", metres, precision=3)
