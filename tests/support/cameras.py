"""Cameras of small jobs."""

import numpy as np


def parting_cameras(views: int, frames: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """c2w (views, frames, 4, 4) and K (views, frames, 3, 3): from one pose to both sides."""
    c2w = np.tile(np.eye(4), (views, frames, 1, 1))
    c2w[:, :, 0, 3] = np.linspace(-0.5, 0.5, views)[:, None] * np.linspace(0, 1, frames)
    K = np.tile(np.array([[60.0, 0, width / 2], [0, 60, height / 2], [0, 0, 1]]), (views, frames, 1, 1))
    return c2w, K
