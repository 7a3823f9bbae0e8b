"""The procedural world: coloured solids on a coloured ground, described by plain data.

A scene lives in *ground coordinates*: x right, y up, z forward, the ground at y = 0 and the frame-0 camera at
(0, CAMERA_HEIGHT, 0), pitched down by CAMERA_PITCH. Lengths are in units of the distance to the look-at point of the
camera paths, which is the point (0, 0, 1) of the frame-0 camera.
"""

from dataclasses import dataclass

import numpy as np

CAMERA_HEIGHT = 0.6
CAMERA_PITCH = np.deg2rad(22.0)
FOCAL_PER_WIDTH = 223.578 / 256  # the official camera patterns' focal length

# sRGB in [0, 1]. Chosen to stay distinct under shading at 64 x 64.
PALETTE: dict[str, tuple[float, float, float]] = {
    "red": (0.88, 0.10, 0.10),
    "green": (0.12, 0.66, 0.18),
    "blue": (0.12, 0.26, 0.90),
    "yellow": (0.97, 0.87, 0.12),
    "orange": (0.98, 0.52, 0.06),
    "purple": (0.55, 0.16, 0.72),
    "white": (0.95, 0.95, 0.95),
    "black": (0.09, 0.09, 0.10),
}
SHAPES = ("cube", "sphere")
GROUND_PATTERNS = ("plain", "checkered")


@dataclass(frozen=True)
class Solid:
    """One object resting on the ground: ``size`` is a cube's edge or a sphere's diameter, ``yaw`` in radians."""

    shape: str
    colour: str
    x: float
    z: float
    size: float
    yaw: float = 0.0


@dataclass(frozen=True)
class Ground:
    """The ground's material: a palette colour, either plain or checkered with a lighter shade of itself."""

    colour: str
    pattern: str = "plain"


@dataclass(frozen=True)
class Scene:
    """A ground and the solids on it."""

    solids: tuple[Solid, ...]
    ground: Ground


def ground_from_camera() -> np.ndarray:
    """Rigid transform (4, 4) from frame-0 camera coordinates (OpenCV axes) to ground coordinates."""
    cos, sin = np.cos(CAMERA_PITCH), np.sin(CAMERA_PITCH)
    transform = np.eye(4)
    transform[1, :3] = (0.0, -cos, -sin)
    transform[2, :3] = (0.0, -sin, cos)
    transform[1, 3] = CAMERA_HEIGHT
    return transform


def intrinsics(width: int, height: int) -> np.ndarray:
    """The world's camera matrix K (3, 3) in pixels, origin at the image corner, principal point at the centre."""
    focal = FOCAL_PER_WIDTH * width
    return np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def sample_scene(rng: np.random.Generator, two_solids: float = 0.35) -> Scene:
    """Draw a scene of one solid or, with probability ``two_solids``, two that do not touch."""
    ground = Ground(str(rng.choice(list(PALETTE))), str(rng.choice(GROUND_PATTERNS)))
    if rng.random() >= two_solids:
        return Scene((_sample_solid(rng, ground, (-0.2, 0.2)),), ground)
    while True:
        pair = (_sample_solid(rng, ground, (-0.42, -0.05)), _sample_solid(rng, ground, (0.05, 0.42)))
        if np.hypot(pair[0].x - pair[1].x, pair[0].z - pair[1].z) > _radius(pair[0]) + _radius(pair[1]):
            return Scene(pair if rng.random() < 0.5 else pair[::-1], ground)


def _sample_solid(rng: np.random.Generator, ground: Ground, lateral: tuple[float, float]) -> Solid:
    colours = [name for name in PALETTE if name != ground.colour]
    return Solid(
        shape=str(rng.choice(SHAPES)),
        colour=str(rng.choice(colours)),
        x=float(rng.uniform(*lateral)),
        z=float(rng.uniform(0.85, 1.35)),
        size=float(rng.uniform(0.28, 0.45)),
        yaw=float(rng.uniform(0, np.pi / 2)),
    )


def _radius(solid: Solid) -> float:
    """Radius of the circle on the ground that contains the solid."""
    return solid.size * (0.5 if solid.shape == "sphere" else np.sqrt(0.5))
