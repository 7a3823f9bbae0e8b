"""Generated frames as Blender image sequences that keep step with the timeline.

A sequence of one file repeats for ever, and a driver sets its offset: the offset alone then decides which file shows.
Unlike Blender's own counting of frames, this holds before and after the range too, and needs no file per scene frame.
It is evaluated alike in the viewport, on playback and in a render (Blender 4.2 to 5.x).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ..protocol.takes import TakeError, TakeRecord, frame_path
from .drivers import new_driver
from .places import TAKE_KEY, blend_path, folder_of, is_same_folder


@dataclass(frozen=True, eq=False)
class Sequence:
    """The frames of one view of a take. It keeps a reference into Blender's data, so it lives for one step only.

    view: number of the view, from 0. name: for what is made of the frames. shown_frame: the driver's expression, of
    `driver_expression`. size: (width, height) in pixels. shown: (width, height) of the part in the middle that fills
    the camera's view.
    """

    image: bpy.types.Image
    view: int
    name: str
    shown_frame: str
    size: tuple[float, float]
    shown: tuple[float, float]

    @property
    def is_cropped(self) -> bool:
        """Whether the frames show more than the camera's view."""
        return self.shown != self.size


def load_sequence(take: Path, record: TakeRecord, view: int, name: str, shown_frame: str) -> Sequence:
    """The frames of one view. Pixels are read when they are first shown. An earlier import's image is used again.

    Raises TakeError when there are none.
    """
    image = _loaded(take, view) or _load(frame_path(take, view, 0))
    image.name = name
    image.source = "SEQUENCE"
    image[TAKE_KEY] = True
    size = float(record.width), float(record.height)
    return Sequence(image, view, name, shown_frame, size, record.shown or size)


def _loaded(take: Path, view: int) -> bpy.types.Image | None:
    """The image of an earlier import of the same frames, which are read anew."""
    name = frame_path(take, view, 0)
    for image in bpy.data.images:
        folder = folder_of(image)
        if folder and image.is_editable and is_same_folder(folder, take) and _view_of(image) == name.parent.name:
            if not name.is_file():
                raise _unreadable(name)
            image.reload()
            return image
    return None


def _load(path: Path) -> bpy.types.Image:
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise _unreadable(path) from error
    image.filepath = blend_path(path)
    return image


def _unreadable(path: Path) -> TakeError:
    return TakeError(f"{path} cannot be read.", "Generate the take again.")


def _view_of(image: bpy.types.Image) -> str:
    """The name of the view's folder that an image lies in."""
    return Path(bpy.path.abspath(image.filepath)).parent.name


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
    # Blender computes the file's number only when the scene frame changes. Whatever else changes the owner, and undo,
    # would set it back to 0 until then, and there is no such file.
    new_driver(owner, f"{user_path}.frame_current").expression = f"{shown_frame} + 1"


def show_background(camera: bpy.types.Camera, sequence: Sequence) -> None:
    """Show the frames in the viewport when looking through the camera, in place of an earlier take's.

    They lie in front of the scene, in every kind of shading. So a viewport shows this camera's frames even where other
    cameras' frames are in the way. Renders never show them. What is more than the view lies around the camera's frame.
    """
    backgrounds = camera.background_images
    index = next((number for number, each in enumerate(backgrounds) if folder_of(each.image)), None)
    if index is None:
        backgrounds.new()
        index = len(backgrounds) - 1
        backgrounds[index].display_depth = "FRONT"
        backgrounds[index].alpha = 1.0
    background = backgrounds[index]
    background.source = "IMAGE"
    background.image = sequence.image
    background.frame_method = "CROP" if sequence.is_cropped else "STRETCH"
    camera.show_background_images = True
    retime(camera, f"background_images[{index}].image_user", sequence.shown_frame)
