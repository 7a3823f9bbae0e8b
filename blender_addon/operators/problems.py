"""What can be done about a problem that the panel shows."""

from __future__ import annotations

import bpy

from .. import runtime
from ..blender_types import OperatorResult, registration_of
from ..preferences import preferences


class CopyProblem(bpy.types.Operator):
    """Copy the message, what to do about it, and the end of the log to the clipboard"""

    bl_idname = "collaborative_cameras.copy_problem"
    bl_label = "Copy"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return runtime.session.state.problem is not None

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        context.window_manager.clipboard = runtime.session.state.problem.text()
        return {"FINISHED"}


class DismissProblem(bpy.types.Operator):
    """Remove the message"""

    bl_idname = "collaborative_cameras.dismiss_problem"
    bl_label = "Dismiss"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return runtime.session.state.problem is not None

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        runtime.session.state.problem = None
        return {"FINISHED"}


class OpenLog(bpy.types.Operator):
    """Open the backend's log in the program that this machine uses for text"""

    bl_idname = "collaborative_cameras.open_log"
    bl_label = "Open Log"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runtime.session.state.log_path is None:
            cls.poll_message_set("The backend has not been started yet")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        bpy.ops.wm.path_open(filepath=str(runtime.session.state.log_path))
        return {"FINISHED"}


class OpenPreferences(bpy.types.Operator):
    """Show the add-on's preferences, where the backend's interpreter and folder can be set"""

    bl_idname = "collaborative_cameras.open_preferences"
    bl_label = "Open Preferences"

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        bpy.ops.preferences.addon_show(module=preferences(context).bl_idname)
        return {"FINISHED"}


register, unregister = registration_of(CopyProblem, DismissProblem, OpenLog, OpenPreferences)
