"""Blender's data with their types. The stubs of `bpy` do not know these, and the other modules need not care."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import bpy

if TYPE_CHECKING:
    from .properties import CameraSettings, SceneSettings

OperatorResult = set[Literal["RUNNING_MODAL", "CANCELLED", "FINISHED", "PASS_THROUGH", "INTERFACE"]]


def scene_settings(scene: bpy.types.Scene) -> SceneSettings:
    """The add-on's settings of a scene."""
    return scene.collaborative_cameras  # type: ignore[attr-defined]  # registered by properties.py


def camera_settings(camera: bpy.types.Object) -> CameraSettings:
    """The add-on's settings of a camera object."""
    return camera.collaborative_cameras  # type: ignore[attr-defined]  # registered by properties.py


def camera_data(camera: bpy.types.Object) -> bpy.types.Camera:
    """The data of a camera object."""
    data = camera.data
    assert isinstance(data, bpy.types.Camera), f"{camera.name} is no camera"
    return data


def frames_per_second(scene: bpy.types.Scene) -> float:
    """How fast a scene plays."""
    return scene.render.fps / scene.render.fps_base


def registration_of(*classes: type) -> tuple[Callable[[], None], Callable[[], None]]:
    """A module's functions `register` and `unregister`, for the classes that it adds to Blender."""
    # The stubs say that the factory returns nothing.
    return bpy.utils.register_classes_factory(classes)  # type: ignore[func-returns-value]
