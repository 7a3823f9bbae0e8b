"""Where takes lie, as a .blend file tells it: by the paths of its images, which Blender itself keeps right.

An image of a take is marked, and its path names the take's folder. Collections, cameras and settings name no paths.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bpy

TAKE_KEY = "collaborative_take"
"""Custom property that marks images and collections that were made from a take."""


def folder_of(image: bpy.types.Image | None) -> Path | None:
    """The folder of the take that an image was made from. None for other images, and for no image."""
    if image is None or not image.get(TAKE_KEY):
        return None
    path = bpy.path.abspath(image.filepath, library=image.library)
    return Path(os.path.normpath(path)).parent.parent


def folder_of_collection(collection: bpy.types.Collection | None) -> Path | None:
    """The folder of the take that a collection shows. None for other collections, for empty ones, and for none."""
    if collection is None or not collection.get(TAKE_KEY):
        return None
    images: Any = (obj.data for obj in collection.objects if isinstance(obj.data, bpy.types.Image))
    return next((folder for folder in map(folder_of, images) if folder), None)


def folder_of_unsaved_files() -> Path:
    """Where takes of files that are not saved wait for their file: in the user's documents, or else the home folder."""
    documents = Path.home() / "Documents"
    return (documents if documents.is_dir() else Path.home()) / "Collaborative Cameras" / "takes"


def is_same_folder(first: Path, second: Path) -> bool:
    """Whether two paths lead to the same place, links followed. It need not exist."""
    return os.path.normcase(os.path.realpath(first)) == os.path.normcase(os.path.realpath(second))


def blend_path(path: Path) -> str:
    """A path as the open file should keep it.

    It is relative to the file ("//..."), so that both can move together. It is absolute in two cases: the file has not
    been saved, or the two have only the disk or the user's home in common.
    """
    if not bpy.data.filepath:
        return str(path)
    home = Path.home()
    try:
        common = Path(os.path.commonpath([Path(bpy.data.filepath).parent, path]))
    except ValueError:  # two disks of Windows
        return str(path)
    if common in (Path(common.anchor), home, home.parent):
        return str(path)
    return bpy.path.relpath(str(path))
