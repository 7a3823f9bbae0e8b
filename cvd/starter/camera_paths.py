"""Camera paths for training: the official patterns with random angles and distances, and everyday camera moves.

Poses are camera-to-world, OpenCV axes, relative to frame 0, which is the identity for every path.
"""

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

TARGET = np.array([0.0, 0.0, 1.0])
LOWEST = 0.5  # how far along y (down) a camera may go and stay above the ground


def look_at(position: np.ndarray, target: np.ndarray = TARGET) -> np.ndarray:
    """Rotation (3, 3), camera-to-world, of a camera at ``position`` facing ``target`` with its x axis horizontal."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross((0.0, 1.0, 0.0), forward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def path_to(position: np.ndarray, rotation: np.ndarray, frames: int = 16) -> np.ndarray:
    """Poses (frames, 4, 4) from the identity to the given end pose: linear translation, slerped rotation."""
    steps = np.linspace(0.0, 1.0, frames)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3] = Slerp([0, 1], Rotation.from_matrix(np.stack([np.eye(3), rotation])))(steps).as_matrix()
    poses[:, :3, 3] = steps[:, None] * position
    return poses


def sample_path(rng: np.random.Generator, frames: int = 16) -> np.ndarray:
    """Draw one path (frames, 4, 4): mostly the official patterns, else a dolly, pan, truck, drift or static shot."""
    kinds = ("circle", "interpolate", "dolly", "pan", "truck", "drift", "static")
    kind = rng.choice(kinds, p=(0.5, 0.14, 0.09, 0.08, 0.08, 0.06, 0.05))
    angle, distance = rng.uniform(0, 2 * np.pi), 0.6 * np.sqrt(rng.random())
    position, rotation = np.zeros(3), np.eye(3)
    if kind == "circle":
        position = distance * np.array([np.cos(angle), np.sin(angle), 0.0])
    elif kind == "interpolate":
        position = distance * np.array([np.cos(angle), 0.3 * np.cos(angle + 0.5), -0.2 * np.sin(angle)])
    elif kind == "dolly":
        position = np.array([0.0, 0.0, rng.uniform(-0.5, 0.3)])
    elif kind == "truck":
        position = rng.uniform(-0.4, 0.4) * np.array([1.0, 0.0, 0.0])
    elif kind == "drift":
        position = rng.uniform(-0.12, 0.12, 3)
    position[1] = min(position[1], LOWEST)
    if kind in ("circle", "interpolate"):
        rotation = look_at(position)
    elif kind == "pan":
        rotation = Rotation.from_rotvec(rng.uniform(-1, 1, 3) * (0.12, 0.3, 0.0)).as_matrix()
    elif kind == "drift":
        rotation = Rotation.from_rotvec(rng.uniform(-0.08, 0.08, 3)).as_matrix()
    return path_to(position, rotation, frames)


def sample_pair(rng: np.random.Generator, frames: int = 16) -> np.ndarray:
    """Draw two paths (2, frames, 4, 4) that share frame 0; one pair in ten is the same path twice."""
    first = sample_path(rng, frames)
    return np.stack([first, first if rng.random() < 0.1 else sample_path(rng, frames)])
