"""The objects of a take, found again by their view, so that importing a take twice makes nothing twice."""

from __future__ import annotations

from typing import Literal

import bpy

NUMBER_KEY = "collaborative_view_number"
"""Custom property of an object of a take: the number of its view in the take."""


def view_object(collection: bpy.types.Collection, view: int, kind: Literal["EMPTY", "MESH"]) -> bpy.types.Object | None:
    """The collection's object of this type for a view of the take."""
    for obj in collection.objects:
        if obj.type == kind and obj.get(NUMBER_KEY) == view:
            return obj
    return None


def new_view_object(
    collection: bpy.types.Collection, view: int, name: str, data: bpy.types.Mesh | None
) -> bpy.types.Object:
    """A new object for a view of the take, in its collection. data: None for an empty."""
    obj = bpy.data.objects.new(name, data)
    obj[NUMBER_KEY] = view
    collection.objects.link(obj)
    return obj


def cameras_of(collection: bpy.types.Collection) -> list[bpy.types.Object]:
    """The cameras that a take's collection shows frames for, in the order of the views."""
    pictures = [obj for obj in collection.objects if obj.type == "EMPTY" and obj.get(NUMBER_KEY) is not None]
    parents = [picture.parent for picture in sorted(pictures, key=lambda picture: picture[NUMBER_KEY])]
    return [parent for parent in parents if parent and parent.type == "CAMERA"]
