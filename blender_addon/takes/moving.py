"""Takes follow their file: those of a file that was not saved move beside it when it is saved.

They move before Blender writes the file, so that the file has their new paths. Every image that shows them follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .. import runtime
from ..preferences import earlier_takes_folder, output_folder
from ..problem import Problem
from .importing import take_collections
from .places import blend_path, folder_of, folder_of_collection, folder_of_unsaved_files, is_same_folder
from .take_folder import move_take_folder

_moved: dict[Path, Path] = {}
"""Where takes have gone since Blender was started. Undo brings back images with the paths from before."""


@persistent
def _before_save(blend_file: str, _: object = None) -> None:
    """Move the takes that wait for this file. What cannot be moved stays where it is, and shows as before."""
    if not blend_file:  # the startup file
        return
    for scene, take in list(_waiting_takes()):
        parent = output_folder(scene, blend_file)
        if is_same_folder(parent, take.parent):
            continue
        try:
            target = move_take_folder(take, parent)
        except OSError as error:
            message = f"{take.name} could not be moved beside the file: {error.strerror or error}."
            runtime.session.report(Problem("take_folder", message, f"It is still in {take.parent}."))
        else:
            _moved[take] = target
    _follow()


@persistent
def _follow(*_: object) -> None:
    """Point every image of a take that has moved to its new place."""
    for image in bpy.data.images:
        folder = folder_of(image)
        if folder in _moved and image.is_editable and not folder.exists():
            path = Path(bpy.path.abspath(image.filepath))
            while folder in _moved:
                folder = _moved[folder]
            image.filepath = blend_path(folder / path.parent.name / path.name)


def _waiting_takes() -> Iterator[tuple[bpy.types.Scene, Path]]:
    """The takes of this file that lie where takes must not stay, each with a scene that shows it."""
    places = (folder_of_unsaved_files(), earlier_takes_folder())
    seen: set[Path] = set()
    for scene in bpy.data.scenes:
        for collection in take_collections(scene):
            take = folder_of_collection(collection)
            if take is None or take in seen or not take.is_dir():
                continue
            seen.add(take)
            if any(is_same_folder(take.parent, place) for place in places):
                yield scene, take


_HANDLERS = {"save_pre": _before_save, "undo_post": _follow, "redo_post": _follow}


def register() -> None:
    for name, handler in _HANDLERS.items():
        _handlers(name).append(handler)


def unregister() -> None:
    for name, handler in _HANDLERS.items():
        _handlers(name).remove(handler)


def _handlers(name: str) -> list[Any]:
    handlers: list[Any] = getattr(bpy.app.handlers, name)  # the stubs say that they are given a scene
    return handlers
