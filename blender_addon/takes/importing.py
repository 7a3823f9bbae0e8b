"""A finished take into the scene: for every view an image sequence, shown by its camera and by a plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import bpy

from ..problem import AddonError
from .planes import make_plane
from .sequences import TAKE_KEY, load_sequence, show_background
from .take_files import read_take


class TakeImportError(AddonError):
    """A take that has lost its scene or its cameras."""

    code = "take_import"


class TakeTarget:
    """The scene and the cameras that a take is made for, found again after undo, renaming and the like.

    Python's references to Blender's data do not outlive an undo step, so that identifiers are kept.
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


def cameras_by_name(scene: bpy.types.Scene, take_folder: Path) -> dict[int, bpy.types.Object]:
    """View number -> camera of the name that it had when the take was made, of those the scene has.

    Raises TakeFolderError when the folder holds no take.
    """
    names = read_take(take_folder).request["view_names"]
    found = {view: scene.objects.get(name) for view, name in enumerate(names)}
    return {view: obj for view, obj in found.items() if obj is not None and obj.type == "CAMERA"}


def import_take(scene: bpy.types.Scene, take_folder: Path, cameras: Mapping[int, bpy.types.Object]) -> Iterator[None]:
    """Show a take, one view per step of the iteration. Earlier takes stay in the file, hidden.

    cameras: view number -> camera; views without a camera are left out. Raises TakeFolderError and TakeImportError.
    """
    take = read_take(take_folder)
    if not cameras:
        raise TakeImportError(
            "None of the take's cameras is in this scene.", "Open the scene that it was made for, and import it there."
        )
    collection = _take_collection(scene, take_folder)
    for view, camera in cameras.items():
        name = f"{take_folder.name} {camera.name}"
        image = load_sequence(take_folder, view, name)
        show_background(camera.data, image, take)
        collection.objects.link(make_plane(scene, camera, image, take, view, name))
        yield
    scene.collaborative_cameras.take = str(take_folder)
    apply_visibility(scene)


def take_collections(scene: bpy.types.Scene) -> list[bpy.types.Collection]:
    """The collections of the scene that hold takes, older ones first."""
    return [collection for collection in scene.collection.children if TAKE_KEY in collection]


def apply_visibility(scene: bpy.types.Scene) -> None:
    """Show the scene's current take as its settings say, and hide all others."""
    settings = scene.collaborative_cameras
    for collection in take_collections(scene):
        hidden = collection[TAKE_KEY] != settings.take or not settings.show_planes
        collection.hide_viewport = collection.hide_render = hidden
    for obj in scene.objects:
        if obj.type == "CAMERA":
            for background in obj.data.background_images:
                if background.image is not None and TAKE_KEY in background.image:
                    current = background.image[TAKE_KEY] == settings.take
                    background.show_background_image = current and settings.show_backgrounds


def _take_collection(scene: bpy.types.Scene, take_folder: Path) -> bpy.types.Collection:
    """A new collection for the take, in place of an earlier import of the same one."""
    for collection in take_collections(scene):
        if collection[TAKE_KEY] == str(take_folder):
            for plane in list(collection.objects):
                bpy.data.objects.remove(plane)
            return collection
    collection = bpy.data.collections.new(take_folder.name)
    collection[TAKE_KEY] = str(take_folder)
    scene.collection.children.link(collection)
    return collection
