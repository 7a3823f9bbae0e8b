"""Ticking cameras that are linked from another file."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from ..blender_types import OperatorResult, registration_of
from ..cameras.choice import camera_choices, choose_linked, library_of


class ChooseLinkedCamera(bpy.types.Operator):
    """Generate a video for this camera or not. It is another file's, so its view shows no background of frames"""

    bl_idname = "collaborative_cameras.choose_linked"
    bl_label = "Use Linked Camera"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender wants a set

    camera: StringProperty(name="Camera", description="Name of the camera", options={"SKIP_SAVE"})
    library: StringProperty(
        name="Library", description="Its file, as Blender names it. Empty: any file", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        for choice in camera_choices(context.scene):
            camera = choice.camera
            if choice.linked and camera.name == self.camera and self.library in ("", library_of(camera)):
                choose_linked(context.scene, camera, not choice.wanted)
                return {"FINISHED"}
        self.report({"ERROR"}, f"The scene has no linked camera “{self.camera}”.")
        return {"CANCELLED"}


register, unregister = registration_of(ChooseLinkedCamera)
