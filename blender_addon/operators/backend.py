"""Starting and stopping the generation service."""

from __future__ import annotations

import bpy

from .. import runtime
from ..service.state import BackendState


class StartBackend(bpy.types.Operator):
    """Start the generation service on this machine"""

    bl_idname = "collaborative_cameras.start_backend"
    bl_label = "Start Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runtime.session.state.backend not in (BackendState.STOPPED, BackendState.FAILED):
            cls.poll_message_set("The backend is running already")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        runtime.start_backend(context)
        return {"FINISHED"}


class StopBackend(bpy.types.Operator):
    """Stop the generation service. A running generation is lost"""

    bl_idname = "collaborative_cameras.stop_backend"
    bl_label = "Stop Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runtime.session.state.backend not in (BackendState.STARTING, BackendState.READY):
            cls.poll_message_set("The backend is not running")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        runtime.session.stop_backend()
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((StartBackend, StopBackend))
