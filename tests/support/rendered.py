"""Ground truth for the evaluation: a room with boxes and random textures, exactly rendered by ray casting."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from cvd.cameras import Cameras

TEXELS = 256
ROOM = np.array([[-2.0, -1.2, -2.0], [2.0, 1.2, 3.5]])


@dataclass(frozen=True, eq=False)
class Room:
    """Two views of one room. `other`: another room, through the second view's cameras."""

    cameras: Cameras
    videos: np.ndarray
    other: np.ndarray


def render_room(cameras: Cameras, seed: int = 0) -> np.ndarray:
    """(V, F, H, W, 3) uint8; another seed gives a room with other textures and other boxes."""
    rng = np.random.default_rng(seed)
    boxes = [ROOM] + [_random_box(rng) for _ in range(3)]
    textures = [_texture(rng) for _ in boxes]
    poses = zip(cameras.c2w.reshape(-1, 4, 4), cameras.K.reshape(-1, 3, 3), strict=True)
    frames = np.stack([_render(c2w, K, cameras, boxes, textures) for c2w, K in poses])
    return frames.reshape(cameras.views, cameras.frames, *frames.shape[1:])


def _random_box(rng: np.random.Generator) -> np.ndarray:
    corner = rng.uniform([-1.2, -0.4, 1.2], [0.8, 0.4, 2.2])
    return np.stack([corner, corner + rng.uniform(0.25, 0.6, 3)])


def _texture(rng: np.random.Generator) -> np.ndarray:
    """(6, TEXELS, TEXELS, 3) in [0, 1], one for each side: noise of several sizes."""
    shape = (6, TEXELS, TEXELS, 3)
    layers = [gaussian_filter(rng.normal(size=shape), (0, s, s, 0), mode="wrap") * s for s in (2, 6, 16)]
    return np.clip(0.5 + 0.25 * sum(layers) / np.std(sum(layers)), 0, 1)


def _render(c2w: np.ndarray, K: np.ndarray, cameras: Cameras, boxes: list, textures: list) -> np.ndarray:
    x, y = np.meshgrid((np.arange(cameras.width * 2) + 0.5) / 2, (np.arange(cameras.height * 2) + 0.5) / 2)
    rays = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], -1) @ np.linalg.inv(K).T @ c2w[:3, :3].T
    nearest, colour = np.full(len(rays), np.inf), np.zeros((len(rays), 3))
    for number, (box, sides) in enumerate(zip(boxes, textures, strict=True)):
        planes = (box[:, None] - c2w[:3, 3]) / rays
        enters, leaves = planes.min(0), planes.max(0)
        if number == 0:  # the room is seen from inside
            distance, axis, hit = leaves.min(-1), leaves.argmin(-1), np.ones(len(rays), bool)
        else:
            distance, axis = enters.max(-1), enters.argmax(-1)
            hit = (distance > 0) & (distance < leaves.min(-1)) & (distance < nearest)
        rows = np.flatnonzero(hit)
        nearest[rows], axis = distance[rows], axis[rows]
        points = (c2w[:3, 3] + distance[rows, None] * rays[rows] - box[0]) * TEXELS / 2
        side = 2 * axis + (planes[1, rows, axis] == distance[rows])
        across = np.stack([points[np.arange(len(rows)), (axis + k) % 3] for k in (1, 2)])
        colour[rows] = sides[side, *(across.astype(int) % TEXELS)]
    image = colour.reshape(cameras.height, 2, cameras.width, 2, 3).mean((1, 3))
    return (image * 255).round().astype(np.uint8)
