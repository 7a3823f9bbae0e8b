"""The starter model's world, rendered while training. Every scene is new."""

from __future__ import annotations

import numpy as np

from ...cameras.cameras import Cameras
from ...starter.procedural import render_draws
from ..emphasis import draw_emphasised, latent_weights
from .sample import Request, Sample


class Procedural:
    """The same scenes as in a pool, but rendered when they are drawn.

    Args:
        height, width: size of the frames in pixels, multiples of `factor`.
        factor: number of pixels that a latent covers in each direction.
    """

    has_cameras = True

    def __init__(self, height: int, width: int, factor: int) -> None:
        self.height, self.width, self.factor = height, width, factor

    def sample(self, rng: np.random.Generator, request: Request) -> Sample:
        drawn = draw_emphasised(rng, request.views, request.frames)
        (clips,) = render_draws([drawn], self.width, self.height, self.factor)
        cameras = Cameras(clips.c2w, clips.K, self.height, self.width)
        weight = latent_weights(clips.solids, request.is_video)
        return Sample(clips.caption, frames=clips.frames, cameras=cameras, weight=weight)
