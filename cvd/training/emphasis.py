"""Which procedural scenes training draws more often, and which latents it gives more weight.

Most scenes have one colour besides the ground's, and most of a frame is ground and sky. Both are learnt early. Captions
with two colours, such as "a pink cone and an orange sphere", are learnt late. So scenes of several colours are drawn
more often, and solids get more weight. Videos must also teach how the camera moves, and only the ground shows that. So
solids get less weight in videos than in stills, and fewer videos have a plain ground.
"""

from __future__ import annotations

import numpy as np

from ..starter.captions import ground_pattern
from ..starter.procedural import PATH_FRAMES, Draw, draw
from ..starter.world import PALETTE

STILL_SOLID_WEIGHT, VIDEO_SOLID_WEIGHT = 8.0, 3.0
"""Weight of a latent that shows a solid; other latents have weight 1."""

KEPT_SHARE = {1: 0.12, 2: 0.3}
"""Share of the scenes that are kept, by the number of colours of their solids. Others are all kept."""

PLAIN_VIDEOS_SHARE = 0.5
"""Share of the videos with a plain ground that are kept."""


def draw_emphasised(rng: np.random.Generator, views: int = 2, frames: int = PATH_FRAMES) -> Draw:
    """Draw scenes until one is kept. Arguments and errors are those of `cvd.starter.procedural.draw`."""
    while True:
        drawn = draw(rng, views, frames)
        if rng.random() < _kept_share(drawn.caption, video=frames > 1):
            return drawn


def _kept_share(caption: str, video: bool) -> float:
    """Share of the scenes with this caption that are kept."""
    colours = PALETTE.keys() & caption.replace(",", "").split()
    share = KEPT_SHARE.get(len(colours) - 1, 1.0)  # one colour is the ground's
    if video and ground_pattern(caption) == "plain":
        share *= PLAIN_VIDEOS_SHARE
    return share


def latent_weights(cells: np.ndarray, video: bool) -> np.ndarray:
    """float32 weights of latents. `cells` is True where a latent shows a solid."""
    return np.where(cells, np.float32(VIDEO_SOLID_WEIGHT if video else STILL_SOLID_WEIGHT), np.float32(1))
