"""Buttons beside the settings."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from ..blender_types import OperatorResult, frames_per_second, registration_of, scene_settings
from ..protocol.settings import SETTINGS
from ..takes.rate import fitting_end


class ResetSetting(bpy.types.Operator):
    """Go back to the model's own value"""

    bl_idname = "collaborative_cameras.reset_setting"
    bl_label = "Model's Own"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender wants a set

    setting: StringProperty(name="Setting", description="Name of the setting", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        if self.setting not in {setting.name for setting in SETTINGS}:
            self.report({"ERROR"}, f"There is no setting “{self.setting}”.")
            return {"CANCELLED"}
        scene_settings(context.scene).property_unset(self.setting)
        return {"FINISHED"}


class FitFrameRange(bpy.types.Operator):
    """End the scene's frame range where the frames play as fast as those the models were trained on. Keyframes stay"""

    bl_idname = "collaborative_cameras.fit_frame_range"
    bl_label = "Fit Frame Range"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender wants a set

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        scene = context.scene
        scene.frame_end = fitting_end(scene_settings(scene).frames, scene.frame_start, frames_per_second(scene))
        return {"FINISHED"}


register, unregister = registration_of(ResetSetting, FitFrameRange)
