"""The panel in the sidebar of the 3D viewport. It draws the session's state and the scene's settings."""

from __future__ import annotations

import textwrap
from typing import Any

import bpy

from .. import runtime
from ..blender_types import camera_settings, frames_per_second, registration_of, scene_settings
from ..cameras.choice import CameraChoice, camera_choices, library_of
from ..cameras.export import render_size
from ..problem import Problem
from ..properties import SceneSettings
from ..protocol.geometry import fitting_part
from ..protocol.models import ModelInfo
from ..protocol.settings import SETTINGS, Setting
from ..sampling import is_models_own, panel_name
from ..service.state import BackendState, State
from ..service.submission import aspect_problem, automatic_size
from ..takes.places import folder_of_collection
from ..takes.rate import TRAINED_RATE, fitting_end, new_frames_per_second
from ..takes.take_folder import take_title
from .scale import draw_scale

_BACKEND_ICONS = {
    BackendState.STOPPED: "RADIOBUT_OFF",
    BackendState.STARTING: "SORTTIME",
    BackendState.READY: "CHECKMARK",
    BackendState.RECONNECTING: "SORTTIME",
    BackendState.STOPPING: "SORTTIME",
    BackendState.FAILED: "ERROR",
}

_RESTART_CODES = {"backend_start", "backend_ended", "lost", "unreachable", "wrong_key", "connection_file", "internal"}
_PREFERENCES_CODES = {"not_installed", "backend_start"}

TRUE_COLOUR_TRANSFORMS = {"Standard", "Raw"}
TITLE_LENGTH = 40


class SidebarPanel(bpy.types.Panel):
    """Everything that the artist needs, from top to bottom in the order of the work."""

    bl_idname = "VIEW3D_PT_collaborative_cameras"
    bl_label = "Collaborative Cameras"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Collaborative Cameras"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        state = runtime.session.state
        _draw_backend(layout, state)
        _draw_cameras(layout, context.scene)
        draw_scale(layout, context.scene, state, lambda column, text, icon: _draw_text(column, text, context, icon))
        _draw_prompt(layout, context.scene)
        _draw_settings(layout, context.scene, state)
        _draw_rate(layout, context)
        _draw_generate(layout, state)
        for warning in state.warnings.values():
            _draw_text(layout.box().column(align=True), warning, context, "INFO")
        if state.problem:
            _draw_problem(layout, state.problem, context)
        _draw_new_take(layout, context.scene)
        _draw_take(layout, context.scene)


def _draw_backend(layout: bpy.types.UILayout, state: State) -> None:
    row = layout.row(align=True)
    device = f" on {state.device}" if state.backend is BackendState.READY else ""
    icon: Any = _BACKEND_ICONS[state.backend]
    row.label(text=f"Backend: {state.backend.value}{device}", icon=icon)
    if state.backend in (BackendState.STOPPED, BackendState.FAILED):
        row.operator("collaborative_cameras.start_backend", text="", icon="PLAY")
    else:
        row.operator("collaborative_cameras.stop_backend", text="", icon="SNAP_FACE" if state.own else "UNLINKED")


def _draw_cameras(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    box = layout.box()
    choices = camera_choices(scene)
    chosen = sum(choice.chosen for choice in choices)
    box.label(text=f"Cameras: {chosen} of {len(choices)}", icon="CAMERA_DATA")
    column = box.column(align=True)
    for choice in choices:
        _draw_camera(column, choice)
    if not choices:
        column.label(text="The scene has no camera", icon="INFO")
    elif not chosen:
        column.label(text="Tick at least one camera", icon="INFO")


def _draw_camera(layout: bpy.types.UILayout, choice: CameraChoice) -> None:
    """A camera's check box. Without one, what stands in the way; a linked camera's is a button that looks like one."""
    name = choice.camera.name
    if choice.hindrance:
        row = layout.row()
        row.enabled = False
        row.label(text=f"{name}: {choice.hindrance}", icon="CHECKBOX_DEHLT")
    elif choice.linked:
        icon: Any = "CHECKBOX_HLT" if choice.wanted else "CHECKBOX_DEHLT"
        row = layout.row()
        row.alignment = "LEFT"
        text = f"{name}: linked"
        toggle: Any = row.operator("collaborative_cameras.choose_linked", text=text, icon=icon, emboss=False)
        toggle.camera, toggle.library = name, library_of(choice.camera)
    else:
        layout.prop(camera_settings(choice.camera), "use", text=name)


def _draw_prompt(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    settings = scene_settings(scene)
    column = layout.column(align=True)
    column.label(text="Prompt")
    column.prop(settings, "prompt", text="", placeholder="What the scene shows")
    column.prop(settings, "negative_prompt", text="", placeholder="What to keep away from")


def _draw_settings(layout: bpy.types.UILayout, scene: bpy.types.Scene, state: State) -> None:
    header, body = layout.panel("collaborative_cameras_settings", default_closed=True)
    header.label(text="Settings")
    if body is None:
        return
    settings = scene_settings(scene)
    model = state.model(settings.model)
    body.use_property_split = True
    body.use_property_decorate = False
    body.prop(settings, "model")
    if state.models and model is None:
        body.label(text="The backend does not offer it", icon="INFO")
    column = body.column(align=True)
    for setting in SETTINGS:
        if model is None or setting.name in model.settings:
            _draw_setting(column, settings, setting)
    if model is None:
        column.label(text="0: the model's own; the backend knows it", icon="INFO")
    column = body.column(align=True)
    column.prop(settings, "frames")
    if model is not None and not model.frames.allows(settings.frames):
        column.label(text=f"This model makes {model.frames.nearest(settings.frames)} frames", icon="INFO")
    column = body.column(align=True)
    column.prop(settings, "size_mode")
    if settings.size_mode == "CUSTOM":
        column.prop(settings, "width")
        column.prop(settings, "height")
    _draw_size(column, scene, model)
    body.prop(settings, "output_folder")


def _draw_setting(layout: bpy.types.UILayout, settings: SceneSettings, setting: Setting) -> None:
    """A value, and the way back to the model's own where the artist has set another."""
    row = layout.row(align=True)
    row.prop(settings, panel_name(setting))
    if setting.default is None and not is_models_own(setting, getattr(settings, setting.name)):
        reset: Any = row.operator("collaborative_cameras.reset_setting", text="", icon="X")
        reset.setting = setting.name


def _draw_size(layout: bpy.types.UILayout, scene: bpy.types.Scene, model: ModelInfo | None) -> None:
    """The size of the frames, and what of them the cameras see."""
    settings, aspect = scene_settings(scene), render_size(scene).aspect
    problem = aspect_problem(aspect)
    if problem:
        layout.label(text=problem, icon="ERROR")
        return
    if settings.size_mode == "CUSTOM":
        size = settings.height, settings.width
    elif model is not None:
        size = automatic_size(aspect, model)
        layout.label(text=f"{size[1]} x {size[0]} px")
    else:
        return
    height, width = (round(length) for length in fitting_part(aspect, size))
    if (height, width) != size:
        layout.label(text=f"Cameras see {width} x {height} of it", icon="INFO")


def _draw_rate(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """How fast the frames will follow each other, and the range in which they do it as in training."""
    scene = context.scene
    frames, fps = scene_settings(scene).frames, frames_per_second(scene)
    rate = new_frames_per_second(frames, scene.frame_start, scene.frame_end, fps)
    end = fitting_end(frames, scene.frame_start, fps)
    column = layout.column(align=True)
    length = scene.frame_end - scene.frame_start + 1
    _draw_text(column, f"{frames} frames over {length}: {rate:.1f} new pictures a second", context, "TIME")
    if scene.frame_end != end:
        column.operator("collaborative_cameras.fit_frame_range", text=f"End at {end}, for {TRAINED_RATE:g} a Second")


def _draw_generate(layout: bpy.types.UILayout, state: State) -> None:
    column = layout.column(align=True)
    column.scale_y = 1.5
    column.operator("collaborative_cameras.generate", icon="RENDER_ANIMATION")
    for job_id, job in state.jobs.items():
        column = layout.column(align=True)
        if len(state.jobs) > 1:
            column.label(text=textwrap.shorten(job.title, TITLE_LENGTH, placeholder="...") or "No prompt")
        row = column.row(align=True)
        row.progress(factor=job.fraction, text=state.summary(job_id))
        cancel: Any = row.operator("collaborative_cameras.cancel", text="", icon="CANCEL")
        cancel.job_id = job_id
    if state.notice:
        layout.label(text=state.notice, icon="INFO")


def _draw_problem(layout: bpy.types.UILayout, problem: Problem, context: bpy.types.Context) -> None:
    box = layout.box()
    column = box.column(align=True)
    column.alert = True
    _draw_text(column, problem.message, context, "ERROR")
    if problem.hint:
        _draw_text(box.column(align=True), problem.hint, context, "INFO")
    if problem.details:
        log = box.column(align=True)
        log.scale_y = 0.7
        _draw_text(log, problem.details, context, "NONE")
    remedies = box.row(align=True)
    if problem.code in _RESTART_CODES:
        remedies.operator("collaborative_cameras.start_backend", text="Restart", icon="FILE_REFRESH")
    if problem.code in _PREFERENCES_CODES:
        remedies.operator("collaborative_cameras.open_preferences", text="Preferences", icon="PREFERENCES")
    row = box.row(align=True)
    if problem.details:
        row.operator("collaborative_cameras.open_log", icon="TEXT")
    row.operator("collaborative_cameras.copy_problem", icon="COPYDOWN")
    row.operator("collaborative_cameras.dismiss_problem", text="", icon="X")


def _draw_new_take(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    folder = folder_of_collection(scene_settings(scene).new_take)
    if folder is None:
        return
    box = layout.box()
    box.label(text=f"{take_title(folder)} is ready", icon="CHECKMARK")
    row = box.row()
    row.scale_y = 1.5
    row.operator("collaborative_cameras.show_take", text="Show It", icon="PLAY")


def _draw_take(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    settings = scene_settings(scene)
    header, body = layout.panel("collaborative_cameras_take", default_closed=False)
    header.label(text="Frames")
    if body is None:
        return
    folder = folder_of_collection(settings.shown_take)
    if folder:
        row = body.row(align=True)
        row.label(text=take_title(folder))
        row.operator("collaborative_cameras.show_take", text="", icon="PLAY")
        column = body.column(align=True)
        column.prop(settings, "show_planes", toggle=True, icon="IMAGE_PLANE")
        column.prop(settings, "show_backgrounds", toggle=True, icon="VIEW_CAMERA")
        column.prop(settings, "show_in_renders", toggle=True, icon="RENDER_STILL")
        if settings.show_in_renders and scene.view_settings.view_transform not in TRUE_COLOUR_TRANSFORMS:
            body.label(text=f"{scene.view_settings.view_transform} shifts their colours in renders", icon="INFO")
    body.operator("collaborative_cameras.import_take", icon="IMPORT")


def _draw_text(layout: bpy.types.UILayout, text: str, context: bpy.types.Context, icon: Any) -> None:
    """Draw lines that fit the sidebar: labels do not wrap by themselves. icon: the name of an icon."""
    characters = max(20, int(context.region.width / (7.2 * context.preferences.system.ui_scale)) - 6)
    for line in text.splitlines():
        for part in textwrap.wrap(line, characters) or [""]:
            layout.label(text=part, icon=icon)
            icon = "BLANK1" if icon != "NONE" else "NONE"


register, unregister = registration_of(SidebarPanel)
