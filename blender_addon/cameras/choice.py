"""Which cameras of a scene get a video, and what stands in the way of the others. These never stop the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy

from ..blender_types import camera_data, camera_settings, scene_settings
from .camera_model import CameraRefusedError
from .export import scene_cameras

KINDS = {"ORTHO": "orthographic", "PANO": "panoramic", "CUSTOM": "custom"}
"""Types of cameras that no model works with, and their names in a sentence."""


@dataclass(frozen=True, eq=False)
class CameraChoice:
    """A camera of the scene. It holds a reference into Blender's data, so it lives for one step only.

    hindrance: why no video can be made for it, as in "Camera is disabled in viewports"; empty if one can.
    wanted: whether it is ticked. linked: whether it is another file's, so that the scene has the tick.
    """

    camera: bpy.types.Object
    hindrance: str
    wanted: bool
    linked: bool

    @property
    def chosen(self) -> bool:
        """Whether it gets a video."""
        return self.wanted and not self.hindrance


def camera_choices(scene: bpy.types.Scene) -> list[CameraChoice]:
    """All cameras of the scene, by name."""
    enabled = set(_enabled_collections(_view_layer(scene).layer_collection))
    return [
        CameraChoice(camera, _hindrance(scene, camera, enabled), _is_wanted(scene, camera), not camera.is_editable)
        for camera in scene_cameras(scene)
    ]


def chosen_cameras(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The cameras that get a video, by name."""
    return [choice.camera for choice in camera_choices(scene) if choice.chosen]


def required_cameras(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The same. Raises CameraRefusedError, with the reasons, when there are none."""
    choices = camera_choices(scene)
    chosen = [choice.camera for choice in choices if choice.chosen]
    hindered = [f"“{choice.camera.name}” is {choice.hindrance}" for choice in choices if choice.wanted]
    if not chosen and hindered:
        raise CameraRefusedError(
            f"No camera can be used: {'; '.join(hindered)}.",
            "Enable cameras with their collections in the Outliner (monitor icon, collection check box), and set "
            "Camera Properties > Lens > Type to Perspective.",
        )
    if not chosen:
        raise CameraRefusedError("No camera is chosen.", "Tick at least one camera in the list.")
    return chosen


def library_of(camera: bpy.types.Object) -> str:
    """The file that a camera is linked from, as Blender names it; empty for the open file's own."""
    return camera.library.filepath if camera.library else ""


def choose_linked(scene: bpy.types.Scene, camera: bpy.types.Object, wanted: bool) -> None:
    """Tick a camera of another file, or take the tick away. It cannot be changed itself, so the scene keeps it."""
    linked = scene_settings(scene).linked_cameras
    for index in reversed(range(len(linked))):
        if linked[index].camera in (camera, None):  # None: it is not in the file any more
            linked.remove(index)
    if wanted:
        linked.add().camera = camera


def _is_wanted(scene: bpy.types.Scene, camera: bpy.types.Object) -> bool:
    if camera.is_editable:
        return camera_settings(camera).use
    return any(entry.camera == camera for entry in scene_settings(scene).linked_cameras)


def _hindrance(scene: bpy.types.Scene, camera: bpy.types.Object, enabled: set[bpy.types.Collection]) -> str:
    kind = camera_data(camera).type
    if kind != "PERSP":
        return KINDS[kind]
    if camera == scene.camera:  # Blender evaluates it wherever it is
        return ""
    if camera.hide_viewport or enabled.isdisjoint(camera.users_collection):
        return "disabled in viewports"
    return ""


def _view_layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    return bpy.context.view_layer if scene == bpy.context.scene else scene.view_layers[0]


def _enabled_collections(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.Collection]:
    """The collections below `layer`, itself included, whose objects Blender evaluates for viewports."""
    if layer.collection.hide_viewport:
        return
    if not layer.exclude:
        yield layer.collection
    for child in layer.children:
        yield from _enabled_collections(child)
