"""Starting and stopping the generation service."""

from __future__ import annotations

import bpy

from .. import runtime
from ..blender_types import OperatorResult, registration_of
from ..service.state import BackendState

STOP = "Stop the generation service. Unfinished generations are lost"
DISCONNECT = "Disconnect from the generation service. This Blender did not start it, so it goes on with its generations"


class StartBackend(bpy.types.Operator):
    """Connect to the generation service on this machine. Start it if it does not run"""

    bl_idname = "collaborative_cameras.start_backend"
    bl_label = "Start Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runtime.session.state.backend not in (BackendState.STOPPED, BackendState.FAILED):
            cls.poll_message_set("The backend is running already")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        runtime.start_backend(context)
        return {"FINISHED"}


class StopBackend(bpy.types.Operator):
    """Stop the generation service. If this Blender did not start it, only disconnect from it"""

    bl_idname = "collaborative_cameras.stop_backend"
    bl_label = "Stop Backend"

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """What it does to the service that is connected."""
        state = runtime.session.state
        connected = state.backend in (BackendState.READY, BackendState.RECONNECTING)
        return DISCONNECT if connected and not state.own else STOP

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runtime.session.state.backend not in (
            BackendState.STARTING,
            BackendState.READY,
            BackendState.RECONNECTING,
        ):
            cls.poll_message_set("The backend is not running")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        runtime.session.stop_backend()
        return {"FINISHED"}


register, unregister = registration_of(StartBackend, StopBackend)
