"""The settings that are saved with the .blend file: the scene's, and each camera's check box."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from . import runtime
from .takes import importing as takes

RELATIVE_PATH = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (5, 0, 0) else set()
"""Options of a path that may start at the .blend file's folder ("//"); Blender before 5.0 allows that of every path."""


def _visibility_changed(settings: SceneSettings, context: bpy.types.Context) -> None:
    takes.apply_visibility(settings.id_data)


def _offered_models(settings: SceneSettings, context: bpy.types.Context, text: str) -> list[str]:
    """What the running backend offers, for the search box; anything else can be typed in too."""
    return [model.name for model in runtime.session.state.models]


class CameraSettings(bpy.types.PropertyGroup):
    """`Object.collaborative_cameras` of camera objects."""

    use: BoolProperty(
        name="Use", description="Generate a video for this camera", default=True, override={"LIBRARY_OVERRIDABLE"}
    )


class SceneSettings(bpy.types.PropertyGroup):
    """`Scene.collaborative_cameras`."""

    prompt: StringProperty(name="Prompt", description="What the scene shows. May be empty", maxlen=8192)
    negative_prompt: StringProperty(name="Negative Prompt", description="What to keep away from", maxlen=8192)
    model: StringProperty(
        name="Model",
        description="One of the models that the running backend offers",
        default="starter",
        search=_offered_models,
        search_options={"SUGGESTION"},
    )
    seed: IntProperty(
        name="Seed", description="The same seed, settings and cameras give the same frames", default=0, min=0
    )
    steps: IntProperty(
        name="Steps",
        description="Denoising steps. 0: the model's own setting",
        default=0,
        min=0,
        max=999,
        soft_max=100,
    )
    guidance: FloatProperty(
        name="Guidance",
        description="How strictly to follow the prompt. 0: the model's own setting",
        default=0.0,
        min=0.0,
        max=100.0,
        soft_max=20.0,
    )
    size_mode: EnumProperty(
        name="Size",
        items=[
            ("AUTO", "Automatic", "The aspect of the render, at the size that the model was trained for"),
            ("CUSTOM", "Custom", "Width and height in pixels"),
        ],
    )
    width: IntProperty(name="Width", description="Width in pixels", default=256, min=8, max=4096, step=64)
    height: IntProperty(name="Height", description="Height in pixels", default=256, min=8, max=4096, step=64)
    output_folder: StringProperty(
        name="Output",
        description="Folder for the takes of this scene. Empty: the folder in the add-on's preferences",
        subtype="DIR_PATH",
        options=RELATIVE_PATH,
    )
    take: StringProperty(name="Take", description="Folder of the take that is shown")
    show_planes: BoolProperty(
        name="Planes",
        description="Show the frames on a plane in front of each camera, in viewports and renders",
        default=True,
        update=_visibility_changed,
    )
    show_backgrounds: BoolProperty(
        name="In Camera View",
        description="Show a camera's frames when the viewport looks through it",
        default=True,
        update=_visibility_changed,
    )


_register_classes, _unregister_classes = bpy.utils.register_classes_factory((CameraSettings, SceneSettings))


def register() -> None:
    _register_classes()
    bpy.types.Object.collaborative_cameras = PointerProperty(type=CameraSettings)
    bpy.types.Scene.collaborative_cameras = PointerProperty(type=SceneSettings)


def unregister() -> None:
    del bpy.types.Scene.collaborative_cameras
    del bpy.types.Object.collaborative_cameras
    _unregister_classes()
