"""Generated frames as Blender image sequences that keep step with the timeline.

A sequence of one file repeats for ever, and a driver sets its offset: the offset alone then decides which file shows.
Unlike Blender's own counting of frames, this holds before and after the range too, and needs no file per scene frame.
It is evaluated alike in the viewport, on playback and in a render (Blender 4.2 to 5.x).
"""

from __future__ import annotations

from pathlib import Path

import bpy

from ..protocol.takes import TakeError, frame_path
from .drivers import new_driver

TAKE_KEY = "collaborative_take"
"""Custom property that marks data made from a take. Its value is the take's folder."""


def load_sequence(take: Path, view: int, name: str) -> bpy.types.Image:
    """The frames of one view as an image sequence. Pixels are read when they are first shown.

    Raises TakeError when there are none.
    """
    path = frame_path(take, view, 0)
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise TakeError(f"{path} cannot be read.", "Generate the take again.") from error
    image.name = name
    image.source = "SEQUENCE"
    image[TAKE_KEY] = str(take)
    return image


def take_of(data: bpy.types.ID | None) -> str | None:
    """The folder of the take that some data were made from. None for other data, and for no data."""
    return None if data is None else data.get(TAKE_KEY)


def retime(owner: bpy.types.ID, user_path: str, shown_frame: str) -> None:
    """Let an image user show, at every scene frame, the frame that a driver's expression names.

    owner, user_path: the data-block, and the path in it to the `ImageUser`.
    shown_frame: expression of `driver_expression`.
    """
    user = owner.path_resolve(user_path)
    user.use_auto_refresh = True
    user.use_cyclic = True
    user.frame_start = 1
    user.frame_duration = 1
    new_driver(owner, f"{user_path}.frame_offset").expression = shown_frame


def show_background(camera: bpy.types.Camera, image: bpy.types.Image, shown_frame: str) -> None:
    """Show the sequence in the viewport when looking through the camera, in place of an earlier take's.

    It lies in front of the scene, so that a viewport shows this camera's frames even where other cameras' planes are
    in the way. Renders never show it. shown_frame: expression of `driver_expression`.
    """
    backgrounds = camera.background_images
    index = next((number for number, background in enumerate(backgrounds) if take_of(background.image)), None)
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
    retime(camera, f"background_images[{index}].image_user", shown_frame)
