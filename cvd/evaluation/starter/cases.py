"""Held-out cases of the starter model's benchmark. Each has a scene, its caption and a pair of trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...cameras.cameras import Cameras
from ...starter.procedural import Draw, draw
from ...starter.render import render
from ...starter.world import Scene
from .objects import Frames

SEED = 20_240
"""First part of the cases' seeds. Training draws its scenes and paths with other seeds, all below 1000."""


@dataclass(frozen=True, eq=False)
class Case:
    """One prompt, the scene that it describes, and the cameras of two views with different trajectories."""

    number: int
    prompt: str
    scene: Scene
    cameras: Cameras

    def rendered(self, cameras: Cameras | None = None) -> Frames:
        """The ground truth (V, F, H, W, 3): the scene, seen by the case's cameras or by others."""
        cameras = cameras or self.cameras
        views, frames = cameras.views, cameras.frames
        images = render(
            [self.scene] * (views * frames),
            cameras.c2w.reshape(-1, 4, 4),
            cameras.width,
            cameras.height,
            cameras.K.reshape(-1, 3, 3),
            np.tile(np.linspace(0, 1, frames), views),
        )
        return images.reshape(views, frames, *images.shape[1:])

    def same_camera_twice(self) -> Cameras:
        """The first view's trajectory for both views."""
        return Cameras(self.cameras.c2w[[0, 0]], self.cameras.K[[0, 0]], self.cameras.height, self.cameras.width)


def held_out_cases(count: int, size: int, frames: int) -> Iterator[Case]:
    """Cases 0 to count - 1. A case does not depend on the count.

    Args:
        count: number of cases.
        size: width and height of the images in pixels.
        frames: number of frames of each view.
    """
    for number in range(count):
        rng = np.random.default_rng((SEED, number))
        drawn = draw(rng, frames=frames)
        while _same_path_twice(drawn):
            drawn = draw(rng, frames=frames)
        cameras = Cameras(drawn.path.c2w, drawn.path.K(size, size), size, size)
        yield Case(number, drawn.caption, drawn.scene, cameras)


def _same_path_twice(drawn: Draw) -> bool:
    return np.array_equal(*drawn.path.c2w) and np.array_equal(*drawn.path.zoom)
