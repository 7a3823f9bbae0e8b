"""Looking at a take."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from ..blender_types import OperatorResult, registration_of, scene_settings
from ..takes.objects import cameras_of


class ShowTake(bpy.types.Operator):
    """Look through one of the take's cameras, and play the animation. Shading and other settings stay as they are"""

    bl_idname = "collaborative_cameras.show_take"
    bl_label = "Show Take"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender wants a set

    camera: StringProperty(
        name="Camera",
        description="Name of the camera. Empty: the scene's camera if the take has it, or else the take's first",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not scene_settings(context.scene).shown_take:
            cls.poll_message_set("There is no take yet")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        scene, settings = context.scene, scene_settings(context.scene)
        cameras = cameras_of(settings.shown_take)
        wanted = self.camera or getattr(scene.camera, "name", "")
        camera = next((each for each in cameras if each.name == wanted), cameras[0] if cameras else None)
        if camera is None:
            self.report({"ERROR"}, "The take's cameras are not in this scene any more.")
            return {"CANCELLED"}
        settings.new_take = None
        settings.show_backgrounds = True
        if not camera.data.is_editable:  # it has no background
            settings.show_planes = True
        scene.camera = camera
        scene.frame_set(scene.frame_start)
        space = _viewport(context)
        if space is not None:
            _look_through(space, camera)
        if not bpy.app.background and not context.screen.is_animation_playing:
            bpy.ops.screen.animation_play()
        return {"FINISHED"}


def _viewport(context: bpy.types.Context) -> bpy.types.SpaceView3D | None:
    """The 3D viewport that the button is in, or the largest one of the window."""
    if isinstance(context.space_data, bpy.types.SpaceView3D):
        return context.space_data
    areas = [area for area in context.screen.areas if area.type == "VIEW_3D"] if context.screen else []
    if not areas:
        return None
    space = max(areas, key=lambda area: area.width * area.height).spaces.active
    return space if isinstance(space, bpy.types.SpaceView3D) else None


def _look_through(space: bpy.types.SpaceView3D, camera: bpy.types.Object) -> None:
    """Backgrounds and image empties are overlays, so these have to be on."""
    space.overlay.show_overlays = True
    space.overlay.show_extras = True
    if space.use_local_camera:
        space.camera = camera
    space.region_3d.view_perspective = "CAMERA"


register, unregister = registration_of(ShowTake)
