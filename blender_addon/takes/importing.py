"""A finished take into the scene: for every view an image sequence, shown in front of its camera and through it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import bpy

from ..blender_types import camera_data, scene_settings
from ..problem import AddonError
from ..protocol.takes import TakeRecord, read_record
from .pictures import show_picture
from .places import TAKE_KEY, folder_of, folder_of_collection, is_same_folder
from .planes import show_plane
from .retiming import driver_expression
from .sequences import load_sequence, show_background


class TakeImportError(AddonError):
    """A take that has lost its scene or its cameras."""

    code = "take_import"


class TakeTarget:
    """The scene and the cameras that a take is made for. They are found again after undo, renaming and the like.

    Python's references to Blender's data do not outlive an undo step, so this keeps identifiers.
    """

    def __init__(self, scene: bpy.types.Scene, cameras: list[bpy.types.Object]) -> None:
        self._scene = scene.session_uid
        self._cameras = {view: camera.session_uid for view, camera in enumerate(cameras)}

    def scene(self) -> bpy.types.Scene:
        """The scene. Raises TakeImportError when it is gone."""
        for scene in bpy.data.scenes:
            if scene.session_uid == self._scene:
                return scene
        raise TakeImportError(
            "The scene that this take was made for is no longer open.", "Open it and import the take."
        )

    def cameras(self) -> dict[int, bpy.types.Object]:
        """View number -> camera, of those that are still there."""
        objects = {obj.session_uid: obj for obj in bpy.data.objects}
        return {view: objects[uid] for view, uid in self._cameras.items() if uid in objects}


def cameras_by_name(scene: bpy.types.Scene, take: Path) -> dict[int, bpy.types.Object]:
    """View number -> the scene's camera that has the view's name, of those the scene has.

    Raises TakeError when the folder holds no take.
    """
    cameras = {obj.name: obj for obj in scene.objects if obj.type == "CAMERA"}
    names = read_record(take).view_names
    return {view: cameras[name] for view, name in enumerate(names) if name in cameras}


def import_take(scene: bpy.types.Scene, take: Path, cameras: Mapping[int, bpy.types.Object]) -> None:
    """Show a take. Earlier takes stay in the file, hidden.

    A take that knows no scene is spread over the present frame range. take: its folder. cameras: view number -> camera;
    views without a camera are left out. Raises TakeError and TakeImportError before the scene is changed.
    """
    record = read_record(take)
    if not cameras:
        raise TakeImportError(
            "None of the take's cameras is in this scene.",
            f"Open the scene that it was made for, or give cameras these names: {', '.join(record.view_names)}.",
        )
    shown_frame = _shown_frame(scene, record)
    sequences = {
        view: load_sequence(take, record, view, f"{take.name} {camera.name}", shown_frame)
        for view, camera in cameras.items()
    }
    collection = _take_collection(scene, take)
    for view, camera in cameras.items():
        if camera.data.is_editable:
            show_background(camera_data(camera), sequences[view])
        show_picture(collection, scene, camera, sequences[view])
        show_plane(collection, scene, camera, sequences[view])
    scene_settings(scene).shown_take = collection
    apply_visibility(scene)


def take_collections(scene: bpy.types.Scene) -> list[bpy.types.Collection]:
    """The collections of the scene that hold takes, older ones first."""
    return [collection for collection in scene.collection.children if collection.get(TAKE_KEY)]


def apply_visibility(scene: bpy.types.Scene) -> None:
    """Show the scene's current take as its settings say, and hide all others."""
    settings = scene_settings(scene)
    for collection in take_collections(scene):
        shown = collection == settings.shown_take
        collection.hide_viewport = not (shown and settings.show_planes)
        collection.hide_render = not (shown and settings.show_in_renders)
    folder = folder_of_collection(settings.shown_take)
    for obj in scene.objects:
        if obj.type == "CAMERA" and obj.data.is_editable:
            for background in camera_data(obj).background_images:
                take = folder_of(background.image)
                if take:
                    background.show_background_image = take == folder and settings.show_backgrounds


def _shown_frame(scene: bpy.types.Scene, record: TakeRecord) -> str:
    """The driver's expression that names the frame to show."""
    span = record.scene or scene  # both have a range
    return driver_expression(span.frame_start, span.frame_end, record.frame_count)


def _take_collection(scene: bpy.types.Scene, take: Path) -> bpy.types.Collection:
    """The collection of an earlier import of the same take, or a new one."""
    collection = collection_of(scene, take)
    if collection is None:
        collection = bpy.data.collections.new(take.name)
        collection[TAKE_KEY] = True
        scene.collection.children.link(collection)
    return collection


def collection_of(scene: bpy.types.Scene, take: Path) -> bpy.types.Collection | None:
    """The scene's collection that shows a take, if it has been imported."""
    for collection in take_collections(scene):
        folder = folder_of_collection(collection)
        if folder and is_same_folder(folder, take):
            return collection
    return None
