"""Image empties: what the viewport shows of a take from everywhere, in every kind of shading. Renders never show them.

One fills each camera's view. Where the frames are wider than the view, it reaches over the edges of the view by what
they are wider: an empty shows all of its image.
"""

from __future__ import annotations

import bpy

from .objects import new_view_object, view_object
from .sequences import Sequence, retime
from .view_filling import fill_view


def show_picture(
    collection: bpy.types.Collection, scene: bpy.types.Scene, camera: bpy.types.Object, sequence: Sequence
) -> None:
    """Show the frames of one view in front of its camera, in the take's collection. An earlier import's is changed."""
    picture = view_object(collection, sequence.view, "EMPTY")
    picture = picture or new_view_object(collection, sequence.view, sequence.name, None)
    picture.empty_display_type = "IMAGE"
    picture.data = sequence.image  # type: ignore[assignment]  # the stubs know no image empties
    picture.empty_display_size = 1.0
    picture.empty_image_offset = (-0.5, -0.5)
    picture.hide_select = True  # it covers all that the camera sees, and would take every click
    fill_view(picture, scene, camera, sequence.view, size_beyond_view(sequence))
    retime(picture, "image_user", sequence.shown_frame)


def size_beyond_view(sequence: Sequence) -> tuple[float, float]:
    """Scale of an image empty, in units of the camera's view: the longer side of its image is one unit long."""
    width, height = sequence.size
    longer = max(width, height)
    return longer / sequence.shown[0], longer / sequence.shown[1]
