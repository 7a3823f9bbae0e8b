"""Random scenes: one to four solids that do not touch. The frame-0 camera sees most of each solid."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from .world import (
    GROUND_PATTERNS,
    MATERIALS,
    PALETTE,
    SHAPES,
    SKIES,
    Ground,
    Scene,
    Sky,
    Solid,
    ground_from_camera,
    intrinsics,
)

COUNT_SHARES = (0.55, 0.32, 0.10, 0.03)
SIZES = ((0.28, 0.45), (0.26, 0.38), (0.23, 0.32), (0.21, 0.28))
SIDEWAYS = (0.2, 0.42, 0.5, 0.55)
"""Range of the size, and largest distance from the middle, by number of solids."""

DEPTHS = (0.8, 1.4)
ALIKE_SHARE = 0.15
GROUND_SHARES = (0.4, 0.25, 0.2, 0.15)
MATERIAL_SHARES = (0.88, 0.06, 0.06)
ROLLING_MATERIAL_SHARES = (0.4, 0.3, 0.3)  # a plain sphere looks the same while it rolls
MOVING_SHARE = 0.2
SKY_SHARES = (0.7, 0.15, 0.15)
USUAL_SUN_SHARE = 0.3
SUN_AZIMUTHS = {"left": -np.pi / 2, "right": np.pi / 2, "behind": 0.0, "front": np.pi}
SUN_SHARES = (0.36, 0.36, 0.18, 0.10)

MOST_HIDDEN = 0.3
MARGIN = 0.015
"""`MOST_HIDDEN`: largest share of a solid's box in the image that the boxes of nearer solids may cover. `MARGIN`:
smallest distance between a solid and the border, as a share of the image."""

GAP = 0.03
TRIES = 30
_BOX = np.array(list(product((-1.0, 1.0), (-1.0, 1.0), (-1.0, 1.0))))
_PROJECTION = intrinsics(1, 1) @ np.linalg.inv(ground_from_camera())[:3]


@dataclass(frozen=True)
class _Look:
    shape: str
    colour: str
    material: str
    motion: str | None = None


def sample_scene(rng: np.random.Generator, plain: bool = False) -> Scene:
    """Draw a scene.

    Args:
        plain: whether the sky is the usual one and all solids are plain and at rest. A caption in the main phrasing
            describes such a scene completely.
    """
    ground = Ground(str(rng.choice(list(PALETTE))), str(rng.choice(GROUND_PATTERNS, p=GROUND_SHARES)))
    sky = Sky() if plain else _sample_sky(rng)
    count = 1 + rng.choice(len(COUNT_SHARES), p=COUNT_SHARES)
    looks = [_sample_look(rng, ground, plain) for _ in range(count)]
    if rng.random() < ALIKE_SHARE:
        looks = [looks[0]] * count
    if not plain and rng.random() < MOVING_SHARE:
        looks[0] = _set_moving(rng, looks[0])
    while (solids := _place(rng, looks)) is None:
        pass
    return Scene(tuple(solids[i] for i in rng.permutation(count)), ground, sky)


def _sample_sky(rng: np.random.Generator) -> Sky:
    kind = str(rng.choice(SKIES, p=SKY_SHARES))
    if kind == "clear" and rng.random() < USUAL_SUN_SHARE:
        return Sky()
    azimuth = SUN_AZIMUTHS[str(rng.choice(list(SUN_AZIMUTHS), p=SUN_SHARES))] + rng.uniform(-0.6, 0.6)
    elevation = rng.uniform(0.5, 0.75) if kind == "sunset" else rng.uniform(0.75, 1.1)
    return Sky(kind, float(azimuth), float(elevation))


def _sample_look(rng: np.random.Generator, ground: Ground, plain: bool) -> _Look:
    colour = str(rng.choice([name for name in PALETTE if name != ground.colour]))
    return _Look(str(rng.choice(SHAPES)), colour, "plain" if plain else _sample_material(rng, colour, MATERIAL_SHARES))


def _sample_material(rng: np.random.Generator, colour: str, shares: Sequence[float]) -> str:
    return "plain" if colour == "black" else str(rng.choice(MATERIALS, p=shares))  # black has no darker shade


def _set_moving(rng: np.random.Generator, look: _Look) -> _Look:
    motion = str(rng.choice(["rolling", "spinning", "sliding"], p=(0.45, 0.35, 0.2)))
    if motion == "rolling":
        return _Look("sphere", look.colour, _sample_material(rng, look.colour, ROLLING_MATERIAL_SHARES), motion)
    # Only these shapes look different when they spin.
    shapes, shares = (("cube", "torus"), (0.7, 0.3)) if motion == "spinning" else (SHAPES, (0.3, 0, 0.2, 0.25, 0.25))
    return _Look(str(rng.choice(shapes, p=shares)), look.colour, look.material, motion)


def _place(rng: np.random.Generator, looks: Sequence[_Look]) -> list[Solid] | None:
    """Place solids on the ground one after the other; None: one has no room, or is hidden too much."""
    solids: list[Solid] = []
    for look in looks:
        for _ in range(TRIES):
            solid = _sample_solid(rng, look, len(looks))
            if all(_keeps_clear(solid, other) for other in solids) and _stays_in_view(solid):
                break
        else:
            return None
        solids.append(solid)
    return None if _hidden(solids) > MOST_HIDDEN else solids


def _sample_solid(rng: np.random.Generator, look: _Look, count: int) -> Solid:
    sideways = SIDEWAYS[count - 1]
    x, z, size = rng.uniform(-sideways, sideways), rng.uniform(*DEPTHS), rng.uniform(*SIZES[count - 1])
    velocity, spin = (0.0, 0.0), 0.0
    if look.motion == "spinning":
        spin = float(rng.choice([-1, 1]) * rng.uniform(0.5, 1.5) * np.pi)
    elif look.motion is not None:
        direction, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.65)
        velocity = (float(length * np.cos(direction)), float(length * np.sin(direction)))
        x -= velocity[0] / 2
    # A torus must not show its edge to the camera. The other shapes look the same after a quarter turn.
    yaw = rng.uniform(-0.8, 0.8) if look.shape == "torus" else rng.uniform(0, np.pi / 2)
    return Solid(look.shape, look.colour, float(x), float(z), float(size), float(yaw), look.material, velocity, spin)


def _stays_in_view(solid: Solid) -> bool:
    boxes = [_image_box(solid, time) for time in ((0.0, 1.0) if any(solid.velocity) else (0.0,))]
    return all(box.min() >= MARGIN and box.max() <= 1 - MARGIN for box in boxes)


def _keeps_clear(first: Solid, second: Solid) -> bool:
    """Whether two solids stay more than `GAP` apart while they move at constant speed from time 0 to 1."""
    x, z = second.x - first.x, second.z - first.z
    vx, vz = (b - a for a, b in zip(first.velocity, second.velocity, strict=True))
    speed = vx**2 + vz**2
    closest = min(max(-(x * vx + z * vz) / speed, 0.0), 1.0) if speed else 0.0
    return math.hypot(x + closest * vx, z + closest * vz) > first.radius + second.radius + GAP


def _hidden(solids: Sequence[Solid]) -> float:
    """The largest share of a solid's box in frame 0 that the boxes of nearer solids cover. The shares are added."""
    boxes = [_image_box(solid, 0.0) for solid in solids]
    hidden = np.zeros(len(solids))
    for far, near in permutations(range(len(solids)), 2):
        if solids[near].z < solids[far].z:
            overlap = np.minimum(boxes[far][1], boxes[near][1]) - np.maximum(boxes[far][0], boxes[near][0])
            hidden[far] += overlap.clip(0).prod() / (boxes[far][1] - boxes[far][0]).prod()
    return hidden.max()


def _image_box(solid: Solid, time: float) -> np.ndarray:
    """(2, 2): smallest and largest (x, y) of a solid in the frame-0 camera's image, as shares of the image's side."""
    corners = solid.centre(time) + _BOX * (solid.radius, solid.size / 2, solid.radius)
    pixels = _PROJECTION[:, :3] @ corners.T + _PROJECTION[:, 3:]
    pixels = pixels[:2] / pixels[2]
    return np.array([pixels.min(1), pixels.max(1)])
