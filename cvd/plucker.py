"""Pluecker maps: what the camera encoder sees of a camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .cameras import Cameras


def plucker_maps(cameras: Cameras) -> NDArray[np.float32]:
    """Pluecker coordinates (o x d, d) of the ray through every pixel's centre (CameraCtrl, eq. 5).

    Every view's rays are given in the coordinates of its own first frame, as CameraCtrl is trained. Of a window of a
    longer video that is the window's first frame.

    Returns:
        (V, F, 6, H, W) float32: moment o x d in scene units, then the unit direction d.
    """
    c2w = cameras.relative_to_first_frame()
    x, y = np.meshgrid(np.arange(cameras.width) + 0.5, np.arange(cameras.height) + 0.5)
    pixels = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)
    to_world = c2w[..., :3, :3] @ np.linalg.inv(cameras.K)
    directions = pixels @ np.swapaxes(to_world, -1, -2)
    directions = directions.reshape(*c2w.shape[:2], *x.shape, 3)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    origins = np.broadcast_to(c2w[:, :, None, None, :3, 3], directions.shape)
    maps = np.concatenate([np.cross(origins, directions), directions], -1)
    return np.moveaxis(maps, -1, 2).astype(np.float32)
