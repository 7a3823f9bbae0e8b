"""Showing a take that is on disk."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import runtime
from ..blender_types import OperatorResult, registration_of
from ..problem import AddonError, problem_of
from ..properties import RELATIVE_PATH
from ..protocol.takes import TakeError
from ..takes.importing import cameras_by_name, import_take


class ImportTake(bpy.types.Operator):
    """Show a take on the scene's cameras that have the names of its views. The command line may have written it"""

    bl_idname = "collaborative_cameras.import_take"
    bl_label = "Import Take"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender wants a set

    directory: StringProperty(
        name="Folder",
        description="Folder of the take, with its take.json",
        subtype="DIR_PATH",
        options=RELATIVE_PATH,
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> OperatorResult:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        folder = Path(bpy.path.abspath(self.directory))
        try:
            import_take(context.scene, folder, cameras_by_name(context.scene, folder))
        except (AddonError, TakeError) as error:
            problem = problem_of(error)
            runtime.session.report(problem)
            self.report({"ERROR"}, problem.summary())
            return {"CANCELLED"}
        return {"FINISHED"}


register, unregister = registration_of(ImportTake)
