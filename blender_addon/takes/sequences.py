"""Generated frames as Blender image sequences that keep step with the timeline.

A sequence of one file that repeats for ever, with a driver on its offset: the offset alone then decides which file
shows. Unlike Blender's own counting of frames this holds before and after the range too, needs no file per scene frame,
and is evaluated alike in the viewport, on playback and in a render (Blender 4.2 to 5.x).
"""

from __future__ import annotations

from pathlib import Path

import bpy

from .retiming import driver_expression
from .take_files import Take, TakeFolderError, frame_path

TAKE_KEY = "collaborative_take"
"""Custom property that marks data made from a take, with the take's folder as its value."""


def load_sequence(take_folder: Path, view: int, name: str) -> bpy.types.Image:
    """The frames of one view as an image sequence. Pixels are read when they are first shown.

    Raises TakeFolderError when there are none.
    """
    path = frame_path(take_folder, view, 0)
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise TakeFolderError(f"{path} cannot be read.", "Generate the take again.") from error
    image.name = name
    image.source = "SEQUENCE"
    image[TAKE_KEY] = str(take_folder)
    return image


def retime(owner: bpy.types.ID, user_path: str, take: Take) -> None:
    """Let an image user show, at every scene frame, the nearest of the take's frames.

    owner, user_path: the data-block and the path in it to the `ImageUser`.
    """
    user = owner.path_resolve(user_path)
    user.use_auto_refresh = True
    user.use_cyclic = True
    user.frame_start = 1
    user.frame_duration = 1
    path = f"{user_path}.frame_offset"
    owner.driver_remove(path)
    driver = owner.driver_add(path).driver
    driver.type = "SCRIPTED"
    driver.expression = driver_expression(take.frame_start, take.frame_end, take.frame_count)


def show_background(camera: bpy.types.Camera, image: bpy.types.Image, take: Take) -> None:
    """Show the sequence in the viewport when looking through the camera, in place of an earlier take's.

    It lies in front of the scene, so that a viewport shows this camera's frames even where other cameras' planes are
    in the way. Renders never show it.
    """
    backgrounds = camera.background_images
    index = next((i for i, bg in enumerate(backgrounds) if bg.image is not None and TAKE_KEY in bg.image), None)
    if index is None:
        backgrounds.new()
        index = len(backgrounds) - 1
        backgrounds[index].display_depth = "FRONT"
        backgrounds[index].alpha = 1.0
    background = backgrounds[index]
    background.source = "IMAGE"
    background.image = image
    background.frame_method = "STRETCH"
    camera.show_background_images = True
    retime(camera, f"background_images[{index}].image_user", take)
