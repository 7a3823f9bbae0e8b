"""The add-on's preferences: where the service is, and where takes go."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from .blender_types import registration_of, scene_settings
from .problem import AddonError

PACKAGE = str(__package__)


class OutputFolderError(AddonError):
    """An output folder that has no place on the disk yet."""

    code = "output_folder"


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
        description="Folder for the takes of scenes that name no folder. Empty: a folder of the extension",
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


def output_folder(context: bpy.types.Context) -> Path:
    """The folder for new takes of the context's scene: its own, that of the preferences, or the extension's.

    Raises OutputFolderError when it is relative to a file that is not saved yet.
    """
    chosen = scene_settings(context.scene).output_folder or preferences(context).output_folder
    if chosen.startswith("//") and not bpy.data.filepath:
        raise OutputFolderError(
            "The output folder is relative to a file that is not saved yet.", "Save the file, or choose another folder."
        )
    return Path(bpy.path.abspath(chosen)) if chosen else user_folder("takes")


register, unregister = registration_of(CollaborativeCamerasPreferences)
