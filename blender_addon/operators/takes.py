"""Showing a take that lies on disk."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import runtime
from ..problem import AddonError
from ..properties import RELATIVE_PATH
from ..takes.importing import cameras_by_name, import_take


class ImportTake(bpy.types.Operator):
    """Show an earlier take on the scene's cameras, found by the names that they had"""

    bl_idname = "collaborative_cameras.import_take"
    bl_label = "Import Take"
    bl_options = frozenset({"REGISTER", "UNDO"})

    directory: StringProperty(
        name="Folder",
        description="Folder of the take, with its take.json",
        subtype="DIR_PATH",
        options=RELATIVE_PATH,
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = Path(bpy.path.abspath(self.directory))
        try:
            for _ in import_take(context.scene, folder, cameras_by_name(context.scene, folder)):
                pass
        except AddonError as error:
            runtime.session.report(error.problem)
            self.report({"ERROR"}, error.problem.summary())
            return {"CANCELLED"}
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((ImportTake,))
