"""Generate and Cancel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import runtime
from ..blender_types import OperatorResult, registration_of, scene_settings
from ..cameras.choice import required_cameras
from ..cameras.export import export_cameras
from ..preferences import output_folder
from ..problem import AddonError
from ..properties import RELATIVE_PATH
from ..protocol.takes import SceneSpan
from ..sampling import sampling_settings
from ..service.state import BackendState
from ..service.submission import Submission
from ..takes.importing import TakeTarget, import_take
from .measuring import keep_measurement


class Generate(bpy.types.Operator):
    """Generate one video for each chosen camera, all of the same scene. It waits until earlier ones are done"""

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
        if runtime.session.state.backend is BackendState.STOPPING:
            cls.poll_message_set("The backend is stopping")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        """Export the cameras, start the backend if need be, and hand the job over. Returns at once."""
        session = runtime.session
        try:
            cameras = required_cameras(context.scene)
            submission = _submission(context, cameras, self.folder)
            if not session.backend_started:
                runtime.start_backend(context)
            target = TakeTarget(context.scene, cameras)
            session.generate(submission, lambda folder: _show(target, folder))
        except AddonError as error:
            session.report(error.problem)
            self.report({"ERROR"}, error.problem.summary())
            return {"CANCELLED"}
        runtime.ensure_timer()
        return {"FINISHED"}


class CancelGeneration(bpy.types.Operator):
    """Stop a generation, at its next denoising step"""

    bl_idname = "collaborative_cameras.cancel"
    bl_label = "Cancel"

    job_id: StringProperty(
        name="Job", description="Id of the job. Empty: all jobs of this Blender", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        jobs = runtime.session.state.jobs
        if not jobs:
            cls.poll_message_set("No generation is running")
            return False
        if all(job.cancelling for job in jobs.values()):
            cls.poll_message_set("It is being cancelled")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> OperatorResult:
        runtime.session.cancel(self.job_id or None)
        return {"FINISHED"}


def _submission(context: bpy.types.Context, cameras: list[bpy.types.Object], folder: str) -> Submission:
    """The scene's settings and cameras. Raises CameraRefusedError."""
    scene = context.scene
    settings = scene_settings(scene)
    exported = export_cameras(context, cameras, settings.frames)
    keep_measurement(scene, exported)
    return Submission(
        cameras=exported,
        scene=SceneSpan(
            name=scene.name, frame_start=scene.frame_start, frame_end=scene.frame_end, aspect=exported.aspect
        ),
        prompt=settings.prompt,
        negative_prompt=settings.negative_prompt,
        model=settings.model,
        settings=sampling_settings(settings),
        size=(settings.height, settings.width) if settings.size_mode == "CUSTOM" else None,
        output_folder=output_folder(scene, bpy.data.filepath),
        take_folder=Path(bpy.path.abspath(folder)) if folder else None,
        target_distance=settings.target_distance or None,
    )


def _show(target: TakeTarget, folder: Path) -> Iterator[None]:
    """Show a finished take where it was asked for, and announce it. It is one step, and one to undo."""
    scene = target.scene()
    import_take(scene, folder, target.cameras())
    scene_settings(scene).new_take = scene_settings(scene).shown_take
    runtime.push_undo_step("Generate")
    yield


register, unregister = registration_of(Generate, CancelGeneration)
