"""Buttons beside the settings."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from ..blender_types import OperatorResult, registration_of, scene_settings
from ..protocol.settings import SETTINGS


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


register, unregister = registration_of(ResetSetting)
