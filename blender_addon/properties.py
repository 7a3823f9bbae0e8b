"""The settings that are saved with the .blend file: those of a scene, and the check box of each camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import runtime
from .blender_types import registration_of
from .cameras.choice import chosen_cameras
from .cameras.export import FRAME_COUNT
from .protocol.messages import MAX_FRAMES
from .protocol.models import STARTER_NAME
from .protocol.settings import SETTINGS, Setting
from .sampling import OWN_CHOICE, is_models_own, models_own_value, panel_name
from .takes import importing as takes
from .takes.places import folder_of_collection

RELATIVE_PATH: Any = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (5, 0, 0) else set()
"""Options of a path that may start at the .blend file's folder ("//"); Blender before 5.0 allows that of every path."""

# The stubs do not know the properties that add-ons register.
TYPES: Any = bpy.types
POINTER: Any = PointerProperty

LARGEST_INT = 2**31 - 1
"""Blender's integer properties have 32 bits."""


def _visibility_changed(settings: SceneSettings, context: bpy.types.Context) -> None:
    scene: Any = settings.id_data
    takes.apply_visibility(scene)


def _shown_folder(settings: SceneSettings) -> str:
    """The folder of the take that is shown; empty if there is none."""
    folder = folder_of_collection(settings.shown_take)
    return str(folder) if folder else ""


def _show_folder(settings: SceneSettings, folder: str) -> None:
    """Show a take that has been imported; none of them for another folder."""
    scene: Any = settings.id_data
    settings.shown_take = takes.collection_of(scene, Path(bpy.path.abspath(folder)))


def _offered_models(settings: SceneSettings, context: bpy.types.Context, text: str) -> list[str]:
    """What the running backend offers, for the search box."""
    return [model.name for model in runtime.session.state.models]


def _sampling_property(setting: Setting) -> Any:
    """Blender's property for one of the request's settings, of the same name, range and description."""
    optional = setting.default is None
    if setting.choices:
        own = [(OWN_CHOICE, "Model's Own", "The model decides")] if optional else []
        items = own + [(choice, choice, "") for choice in setting.choices]
        default = OWN_CHOICE if optional else setting.default
        return EnumProperty(name=setting.title, description=setting.description, items=items, default=default)
    factory: Any = IntProperty if setting.kind is int else FloatProperty
    high = min(setting.high, LARGEST_INT)
    return factory(
        name=setting.title,
        description=f"{setting.description}. 0: the model's own value" if optional else setting.description,
        default=0 if optional else setting.default,
        min=0 if optional else setting.low,
        max=high,
        soft_max=min(setting.usual, high),
    )


def _own_value(settings: SceneSettings, setting: Setting) -> Any:
    """The chosen model's own value for the chosen cameras; None while no backend has told what it is."""
    scene: Any = settings.id_data
    model = runtime.session.state.model(settings.model)
    return models_own_value(setting, model, len(chosen_cameras(scene)))


def _shown_number(setting: Setting) -> Any:
    """Blender's property that shows an optional number: the artist's value, or else the model's own."""

    def get(settings: SceneSettings) -> Any:
        value = getattr(settings, setting.name)
        return (_own_value(settings, setting) or 0) if is_models_own(setting, value) else value

    def put(settings: SceneSettings, value: Any) -> None:
        setattr(settings, setting.name, value)

    factory: Any = IntProperty if setting.kind is int else FloatProperty
    high = min(setting.high, LARGEST_INT)
    return factory(
        name=setting.title,
        description=f"{setting.description}. The model's own value until it is changed",
        min=0,
        max=high,
        soft_max=min(setting.usual, high),
        get=get,
        set=put,
    )


def _shown_choice(setting: Setting) -> Any:
    """Blender's property that shows an optional choice, with the name of the model's own."""
    kept: list[tuple[str, str, str, int]] = []  # Blender keeps no references to the texts

    def items(settings: SceneSettings, context: bpy.types.Context | None) -> list[tuple[str, str, str, int]]:
        own = _own_value(settings, setting)
        title = f"Model's Own ({own})" if own else "Model's Own"
        choices = [(OWN_CHOICE, title), *((choice, choice) for choice in setting.choices)]
        kept[:] = [(name, shown, "", number) for number, (name, shown) in enumerate(choices)]
        return kept

    names = [OWN_CHOICE, *setting.choices]

    def get(settings: SceneSettings) -> int:
        return names.index(getattr(settings, setting.name))

    def put(settings: SceneSettings, number: int) -> None:
        setattr(settings, setting.name, names[number])

    return EnumProperty(name=setting.title, description=setting.description, items=items, get=get, set=put)


def _sampling_annotations() -> dict[str, Any]:
    stored = {setting.name: _sampling_property(setting) for setting in SETTINGS}
    optional = [setting for setting in SETTINGS if setting.default is None]
    shown = {panel_name(each): _shown_choice(each) if each.choices else _shown_number(each) for each in optional}
    return stored | shown


# Blender reads the annotations of a class that is mixed in, too.
SamplingProperties: Any = type("SamplingProperties", (), {"__annotations__": _sampling_annotations()})


class CameraSettings(bpy.types.PropertyGroup):
    """`Object.collaborative_cameras` of camera objects."""

    use: BoolProperty(
        name="Use", description="Generate a video for this camera", default=True, override={"LIBRARY_OVERRIDABLE"}
    )


class LinkedCamera(bpy.types.PropertyGroup):
    """A camera of another file that gets a video. It cannot be changed, so the scene keeps its tick."""

    camera: PointerProperty(type=bpy.types.Object, name="Camera")


class SceneSettings(SamplingProperties, bpy.types.PropertyGroup):
    """`Scene.collaborative_cameras`. It also has a property for every field of `SamplingSettings`.

    Where the model can decide, a second one begins with "shown_": it is what the panel shows, and it sets the first.
    """

    prompt: StringProperty(name="Prompt", description="What the scene shows. May be empty", maxlen=8192)
    negative_prompt: StringProperty(name="Negative Prompt", description="What to keep away from", maxlen=8192)
    model: StringProperty(
        name="Model",
        description="One of the models that the running backend offers",
        default=STARTER_NAME,
        search=_offered_models,
        search_options={"SUGGESTION"},
    )
    frames: IntProperty(
        name="Frames",
        description="Number of frames of each video, spread over the frame range of the scene",
        default=FRAME_COUNT,
        min=1,
        max=MAX_FRAMES,
    )
    target_distance: FloatProperty(
        name="Target Distance",
        description="Distance from the cameras to what they film. 0: measured in the scene",
        subtype="DISTANCE",
        default=0.0,
        min=0.0,
        soft_max=1000.0,
        precision=3,
    )
    measurement: StringProperty(
        name="Measurement", description="What was last measured of the cameras", options={"HIDDEN"}
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
        description="Folder for the takes of this scene. Empty: that of the preferences, or takes beside the file",
        subtype="DIR_PATH",
        options=RELATIVE_PATH,
    )
    take: StringProperty(
        name="Take",
        description="Folder of the take that is shown. Set it to show another take of the scene",
        get=_shown_folder,
        set=_show_folder,
    )
    linked_cameras: CollectionProperty(type=LinkedCamera, name="Linked Cameras")
    shown_take: PointerProperty(type=bpy.types.Collection, name="Shown Take", update=_visibility_changed)
    new_take: PointerProperty(
        type=bpy.types.Collection, name="New Take", description="The take that was made last, until it is looked at"
    )
    show_planes: BoolProperty(
        name="In Viewport",
        description="Show the frames in front of each camera, in every kind of shading. Renders do not show them",
        default=True,
        update=_visibility_changed,
    )
    show_in_renders: BoolProperty(
        name="In Renders",
        description="Fill each camera's renders with its frames, in place of the scene",
        default=False,
        update=_visibility_changed,
    )
    show_backgrounds: BoolProperty(
        name="In Camera View",
        description="Show a camera's frames when the viewport looks through it",
        default=True,
        update=_visibility_changed,
    )


_register_classes, _unregister_classes = registration_of(CameraSettings, LinkedCamera, SceneSettings)


def register() -> None:
    _register_classes()
    TYPES.Object.collaborative_cameras = POINTER(type=CameraSettings)
    TYPES.Scene.collaborative_cameras = POINTER(type=SceneSettings)


def unregister() -> None:
    del TYPES.Scene.collaborative_cameras
    del TYPES.Object.collaborative_cameras
    _unregister_classes()
