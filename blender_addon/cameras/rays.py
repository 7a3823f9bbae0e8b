"""Rays into the evaluated scene: how far away is what a camera renders?"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..protocol.geometry import Array
from ..takes.places import TAKE_KEY

MOST_SURFACES = 64
"""Ignored surfaces that a ray passes through before it is given up."""

STEP = 1e-5
"""How far behind an ignored surface a ray goes on, as a share of the numbers around it, which have 32 bits."""


class RenderedScene:
    """What of a scene is seen in renders, as it is now: for one frame only.

    Planes that show takes are no part of it. Neither is what renders do not show, or not to cameras.
    """

    def __init__(self, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
        self._scene, self._depsgraph = scene, depsgraph
        self._shown: set[int] = set()
        self._hidden: set[int] = set()
        self._collect(scene.collection, hidden=False)
        self._hidden -= self._shown  # an object may be in several collections

    def depths(self, c2w: Array, directions: Array, near: float, far: float) -> Array:
        """(N,) depths of what a camera's rays hit first; NaN for rays without a hit.

        c2w: (4, 4), OpenCV axes. directions: (N, 3) in the world, as long as a depth of one. near, far: depths that the
        camera shows, in scene units.
        """
        origin = Vector(c2w[:3, 3].tolist())
        return np.array([self._depth(origin, Vector(direction), near, far) for direction in directions.tolist()])

    def _depth(self, origin: Vector, direction: Vector, near: float, far: float) -> float:
        length = direction.length
        forward = direction / length
        start, end = near * length, far * length
        for _ in range(MOST_SURFACES):
            if start >= end:
                break
            hit, place, _, _, obj, matrix = self._scene.ray_cast(
                self._depsgraph, origin + start * forward, forward, distance=end - start
            )
            if not hit:
                break
            travelled = (place - origin).length
            if not self._is_ignored(obj, matrix):
                return travelled / length
            start = travelled + STEP * (travelled + place.length)
        return float("nan")

    def _is_ignored(self, obj: bpy.types.Object, matrix: Matrix) -> bool:
        """matrix: where the ray has met the object. An instance of it may be elsewhere, and shown."""
        original = obj.original
        if original.hide_render or not original.visible_camera:
            return True
        if original.session_uid not in self._hidden:
            return False
        return matrix == original.evaluated_get(self._depsgraph).matrix_world

    def _collect(self, collection: bpy.types.Collection, hidden: bool) -> None:
        hidden = hidden or collection.hide_render or bool(collection.get(TAKE_KEY))
        (self._hidden if hidden else self._shown).update(obj.session_uid for obj in collection.objects)
        for child in collection.children:
            self._collect(child, hidden)
