"""Generate and Cancel."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import runtime
from ..cameras.export import chosen_cameras, export_cameras
from ..preferences import output_folder
from ..problem import AddonError
from ..properties import RELATIVE_PATH
from ..service.state import BackendState
from ..service.submission import Submission
from ..takes.importing import TakeTarget, import_take


class Generate(bpy.types.Operator):
    """Generate one video for each chosen camera, all of the same scene"""

    bl_idname = "collaborative_cameras.generate"
    bl_label = "Generate"

    folder: StringProperty(
        name="Folder",
        description="Folder for this take. Empty: a new numbered one in the output folder",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"} | RELATIVE_PATH,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runtime.session.generating:
            cls.poll_message_set("A generation is running")
            return False
        if runtime.session.state.backend is BackendState.STOPPING:
            cls.poll_message_set("The backend is stopping")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Export the cameras, start the backend if need be, and hand the job over; returns at once."""
        session = runtime.session
        cameras = chosen_cameras(context.scene)
        try:
            submission = _submission(context, cameras, self.folder)
            if not session.backend_started:
                runtime.start_backend(context)
            target = TakeTarget(context.scene, cameras)
            session.generate(submission, lambda folder: import_take(target.scene(), folder, target.cameras()))
        except AddonError as error:
            session.report(error.problem)
            self.report({"ERROR"}, error.problem.summary())
            return {"CANCELLED"}
        runtime.ensure_timer()
        return {"FINISHED"}


class CancelGeneration(bpy.types.Operator):
    """Stop the running generation, at its next denoising step"""

    bl_idname = "collaborative_cameras.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        job = runtime.session.state.job
        if job is None:
            cls.poll_message_set("No generation is running")
            return False
        if job.cancelling:
            cls.poll_message_set("It is being cancelled")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        runtime.session.cancel()
        return {"FINISHED"}


def _submission(context: bpy.types.Context, cameras: list[bpy.types.Object], folder: str) -> Submission:
    """The scene's settings and cameras. Raises CameraRefusedError and OutputFolderError."""
    scene = context.scene
    settings = scene.collaborative_cameras
    return Submission(
        cameras=export_cameras(context, cameras),
        frame_start=scene.frame_start,
        frame_end=scene.frame_end,
        prompt=settings.prompt,
        negative_prompt=settings.negative_prompt,
        model=settings.model,
        seed=settings.seed,
        steps=settings.steps or None,
        guidance=settings.guidance or None,
        size=(settings.height, settings.width) if settings.size_mode == "CUSTOM" else None,
        output_folder=output_folder(context),
        take_folder=Path(bpy.path.abspath(folder)) if folder else None,
    )


register, unregister = bpy.utils.register_classes_factory((Generate, CancelGeneration))
