"""The add-on's preferences: where the service is, and where takes go."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from .problem import AddonError


class OutputFolderError(AddonError):
    """An output folder that is nowhere."""

    code = "output_folder"


class CollaborativeCamerasPreferences(bpy.types.AddonPreferences):
    """All empty by default: the installation record says where the service is."""

    bl_idname = __package__

    python: StringProperty(
        name="Interpreter",
        description="Python of the generation service. Empty: as installed by install.py",
        subtype="FILE_PATH",
    )
    project: StringProperty(
        name="Project Folder",
        description="Folder of the generation service. Empty: as installed by install.py",
        subtype="DIR_PATH",
    )
    output_folder: StringProperty(
        name="Takes",
        description="Folder for the takes of scenes that name none. Empty: a folder of the extension",
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
    return context.preferences.addons[__package__].preferences


def user_folder(name: str) -> Path:
    """The folder `name` in the place that Blender keeps for this extension's files."""
    return Path(bpy.utils.extension_path_user(__package__, path=name, create=True))


def output_folder(context: bpy.types.Context) -> Path:
    """Where new takes of the context's scene go: its own folder, that of the preferences, or the extension's.

    Raises OutputFolderError when it is said relative to a file that has no place yet.
    """
    chosen = context.scene.collaborative_cameras.output_folder or preferences(context).output_folder
    if chosen.startswith("//") and not bpy.data.filepath:
        raise OutputFolderError(
            "The output folder is relative to a file that is not saved yet.", "Save the file, or choose another folder."
        )
    return Path(bpy.path.abspath(chosen)) if chosen else user_folder("takes")


register, unregister = bpy.utils.register_classes_factory((CollaborativeCamerasPreferences,))
