"""Helpers for tests of the procedural world: projections, and search for colours in small images."""

import numpy as np

from cvd.starter.world import IMAGE_SIZE as SIZE
from cvd.starter.world import Scene, ground_from_camera, intrinsics

IDENTITY = np.eye(4)


def project(point: np.ndarray, c2w: np.ndarray = IDENTITY, K: np.ndarray | None = None) -> np.ndarray:
    """(2,) pixels of a point in ground coordinates."""
    K = intrinsics(SIZE, SIZE) if K is None else K
    x, y, depth = K @ (np.linalg.inv(ground_from_camera() @ c2w) @ (*point, 1.0))[:3]
    return np.array([x / depth, y / depth])


def red(image: np.ndarray) -> np.ndarray:
    """Mask (..., H, W) of the red pixels of an image."""
    r, g, b = np.moveaxis(image.astype(float), -1, 0)
    return (r > 60) & (r > 1.8 * g) & (r > 1.8 * b)


def centroid(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5])


def image_at(image: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    x, y = pixel.astype(int)
    return image[y, x].astype(int)


def only(scene: Scene, index: int) -> Scene:
    """The scene with only one of its solids."""
    return Scene((scene.solids[index],), scene.ground, scene.sky)
