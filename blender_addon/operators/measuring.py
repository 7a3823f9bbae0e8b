"""Measure: how far away is what the cameras film, and how far do they go?"""

from __future__ import annotations

import bpy

from .. import runtime
from ..blender_types import OperatorResult, registration_of, scene_settings
from ..cameras.choice import required_cameras
from ..cameras.export import export_cameras
from ..cameras.measurement import measurement_of
from ..problem import AddonError
from ..service.submission import CameraExport


class Measure(bpy.types.Operator):
    """Measure how far away is what the chosen cameras see, and how far they go. Every Generate does so, too"""

    bl_idname = "collaborative_cameras.measure"
    bl_label = "Measure"

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        scene = context.scene
        try:
            exported = export_cameras(context, required_cameras(scene), scene_settings(scene).frames)
        except AddonError as error:
            runtime.session.report(error.problem)
            self.report({"ERROR"}, error.problem.summary())
            return {"CANCELLED"}
        keep_measurement(scene, exported)
        return {"FINISHED"}


def keep_measurement(scene: bpy.types.Scene, exported: CameraExport) -> None:
    """Leave what an export has measured with the scene, for the panel."""
    measurement = measurement_of(exported, scene.frame_start, scene.frame_end)
    scene_settings(scene).measurement = measurement.text()


register, unregister = registration_of(Measure)
