"""Ground truth for the evaluation: a room with random textures on its walls and boxes in it, ray cast exactly."""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from cvd.cameras import Cameras

TEXELS = 128
ROOM = np.array([[-2.0, -1.2, -2.0], [2.0, 1.2, 3.5]])


def render_room(cameras: Cameras, seed: int = 0) -> np.ndarray:
    """(V, F, H, W, 3) uint8; another seed gives a room with other textures and other boxes."""
    rng = np.random.default_rng(seed)
    boxes = [ROOM] + [_random_box(rng) for _ in range(4)]
    textures = [[_texture(rng) for _ in range(6)] for _ in boxes]
    return np.stack(
        [
            np.stack(
                [_render(cameras.c2w[v, f], cameras.K[v, f], cameras, boxes, textures) for f in range(cameras.frames)]
            )
            for v in range(cameras.views)
        ]
    )


def _random_box(rng: np.random.Generator) -> np.ndarray:
    corner = rng.uniform([-1.2, -0.4, 1.2], [0.8, 0.4, 2.2])
    return np.stack([corner, corner + rng.uniform(0.25, 0.6, 3)])


def _texture(rng: np.random.Generator) -> np.ndarray:
    """(TEXELS, TEXELS, 3) in [0, 1]: noise of several sizes."""
    layers = [gaussian_filter(rng.normal(size=(TEXELS, TEXELS, 3)), (s, s, 0), mode="wrap") * s for s in (1, 3, 8)]
    texture = sum(layers)
    return np.clip(0.5 + 0.25 * texture / texture.std(), 0, 1)


def _render(c2w: np.ndarray, K: np.ndarray, cameras: Cameras, boxes: list, textures: list) -> np.ndarray:
    x, y = np.meshgrid((np.arange(cameras.width * 2) + 0.5) / 2, (np.arange(cameras.height * 2) + 0.5) / 2)
    rays = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], -1) @ np.linalg.inv(K).T @ c2w[:3, :3].T
    origin = c2w[:3, 3]
    nearest, colour = np.full(len(rays), np.inf), np.zeros((len(rays), 3))
    for number, (box, faces) in enumerate(zip(boxes, textures, strict=True)):
        with np.errstate(divide="ignore", invalid="ignore"):
            planes = (box[:, None] - origin) / rays
        entry, leave = planes.min(0), planes.max(0)
        # The room is seen from inside: its far sides; a box from outside: its near sides.
        inside = number == 0
        distance = leave.min(-1) if inside else entry.max(-1)
        axis = leave.argmin(-1) if inside else entry.argmax(-1)
        hit = (distance < nearest) & (inside | ((distance > 0) & (distance < leave.min(-1))))
        for a in range(3):
            for side in range(2):
                plane = planes[side, :, a] == distance
                rows = np.flatnonzero(hit & (axis == a) & plane)
                point = origin + distance[rows, None] * rays[rows]
                texel = np.delete((point - box[0]) / (ROOM[1] - ROOM[0]).max(), a, -1).T * TEXELS * 2
                face = faces[2 * a + side]
                for channel in range(3):
                    colour[rows, channel] = map_coordinates(face[..., channel], texel, order=1, mode="grid-wrap")
        nearest = np.where(hit, distance, nearest)
    image = colour.reshape(cameras.height, 2, cameras.width, 2, 3).mean((1, 3))
    return (image * 255).round().astype(np.uint8)
