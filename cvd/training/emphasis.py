"""What training dwells on in the procedural scenes: several colours at once, and the solids themselves.

Most scenes have one colour beside the ground's, and most of a frame is ground and sky. Both are learnt long before
"a pink cone and an orange sphere" is one pink thing and one orange thing. Videos have a second thing to learn, how the
camera moves, and it is the ground that shows it: there, solids count less, and grounds without a pattern are fewer.
"""

from __future__ import annotations

import numpy as np

from ..starter.captions import ground_pattern
from ..starter.procedural import PATH_FRAMES, Draw, draw
from ..starter.world import PALETTE

STILL_SOLID_WEIGHT, VIDEO_SOLID_WEIGHT = 8.0, 3.0
"""How much more a latent counts that shows a solid."""

KEPT_SHARE = {1: 0.12, 2: 0.3}
"""By how many colours the solids of a scene have: the share of such scenes that is drawn; of those with more, all."""

PLAIN_VIDEOS_SHARE = 0.5
"""The share that is drawn of videos whose ground is plain."""


def draw_emphasised(rng: np.random.Generator, views: int = 2, frames: int = PATH_FRAMES) -> Draw:
    """Draw scenes until one is to be trained on; arguments and errors are those of `cvd.starter.procedural.draw`."""
    while True:
        drawn = draw(rng, views, frames)
        if rng.random() < _kept_share(drawn.caption, video=frames > 1):
            return drawn


def _kept_share(caption: str, video: bool) -> float:
    """Of scenes of such a caption, the share that is trained on."""
    colours = PALETTE.keys() & caption.replace(",", "").split()
    share = KEPT_SHARE.get(len(colours) - 1, 1.0)  # one is the ground's
    if video and ground_pattern(caption) == "plain":
        share *= PLAIN_VIDEOS_SHARE
    return share


def latent_weights(cells: np.ndarray, video: bool) -> np.ndarray:
    """float32 weights of latents, from which of them show a solid, bool."""
    return np.where(cells, np.float32(VIDEO_SOLID_WEIGHT if video else STILL_SOLID_WEIGHT), np.float32(1))
