"""What training dwells on in the procedural scenes: several colours at once, and the solids themselves.

Most scenes have one colour beside the ground's, and most of a frame is ground and sky. Both are learnt long before
"a pink cone and an orange sphere" is one pink thing and one orange thing.
"""

from __future__ import annotations

import numpy as np

from ...starter.world import PALETTE

SOLID_WEIGHT = 4.0
"""How much more a latent counts that shows a solid."""

KEPT_SHARE = {1: 0.25, 2: 0.5}
"""By how many colours the solids of a scene have: the share of such scenes that is drawn; of those with more, all."""


def is_kept(rng: np.random.Generator, caption: str) -> bool:
    """Whether a drawn scene is trained on."""
    colours = PALETTE.keys() & caption.replace(",", "").split()
    return bool(rng.random() < KEPT_SHARE.get(len(colours) - 1, 1.0))  # one is the ground's


def latent_weights(cells: np.ndarray) -> np.ndarray:
    """float32 weights of latents, from which of them show a solid, bool."""
    return np.where(cells, np.float32(SOLID_WEIGHT), np.float32(1))
