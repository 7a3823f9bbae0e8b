"""The add-on's preferences: where the service is, and where takes go."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from .blender_types import registration_of, scene_settings
from .takes.places import folder_of_unsaved_files

PACKAGE = str(__package__)


BESIDE_THE_FILE = "//takes"


class CollaborativeCamerasPreferences(bpy.types.AddonPreferences):
    """All are empty by default: the installation record says where the service is."""

    bl_idname = PACKAGE

    python: StringProperty(
        name="Interpreter",
        description="Python that runs the generation service. Empty: the one that install.py set up",
        subtype="FILE_PATH",
    )
    project: StringProperty(
        name="Project Folder",
        description="Folder of the generation service. Empty: the one that install.py set up",
        subtype="DIR_PATH",
    )
    output_folder: StringProperty(
        name="Takes",
        description="Folder for the takes of scenes that name no folder. Empty: takes, beside the .blend file",
        subtype="DIR_PATH",
    )

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        column.prop(self, "python")
        column.prop(self, "project")
        column.prop(self, "output_folder")


def preferences(context: bpy.types.Context) -> CollaborativeCamerasPreferences:
    """This add-on's preferences."""
    found = context.preferences.addons[PACKAGE].preferences
    assert isinstance(found, CollaborativeCamerasPreferences)
    return found


def user_folder(name: str) -> Path:
    """The folder `name` in the place that Blender keeps for this extension's files."""
    return Path(bpy.utils.extension_path_user(PACKAGE, path=name, create=True))


def earlier_takes_folder() -> Path:
    """Where earlier versions kept takes by default: a folder that goes when the extension is removed."""
    return Path(bpy.utils.extension_path_user(PACKAGE, path="takes"))


def output_folder(scene: bpy.types.Scene, blend_file: str) -> Path:
    """The folder for new takes of a scene: its own, that of the preferences, or `takes` beside the file.

    blend_file: path of the scene's file; empty for a file that is not saved. A folder that is relative to such a file
    is a visible one in the user's documents, until the file is saved.
    """
    chosen = scene_settings(scene).output_folder or preferences(bpy.context).output_folder or BESIDE_THE_FILE
    if not chosen.startswith("//"):
        return Path(bpy.path.abspath(chosen))
    return Path(blend_file).parent / chosen[2:] if blend_file else folder_of_unsaved_files()


register, unregister = registration_of(CollaborativeCamerasPreferences)
