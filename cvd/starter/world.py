"""The procedural world: coloured solids on a coloured ground under a sky, described by plain data.

A scene uses *ground coordinates*: x right, y up, z forward, the ground at y = 0. The frame-0 camera is at
(0, CAMERA_HEIGHT, 0) and is pitched down by CAMERA_PITCH. The unit of length is the target distance: the distance from
the frame-0 camera to the look-at point of the camera paths. That point is (0, 0, 1) in the frame-0 camera's axes.
Times are in [0, 1]: frame f of F shows the scene at f / (F - 1).
"""

from dataclasses import dataclass

import numpy as np

from protocol.geometry import PATTERN_FOCAL_LENGTH

CAMERA_HEIGHT = 0.6
CAMERA_PITCH = np.deg2rad(22.0)
IMAGE_SIZE = 128
"""Width and height of the starter model's images in pixels, and the default size of renderings."""

# sRGB in [0, 1]. The colours stay distinct in shaded images of 64 x 64 pixels.
PALETTE: dict[str, tuple[float, float, float]] = {
    "red": (0.88, 0.10, 0.10),
    "green": (0.12, 0.66, 0.18),
    "blue": (0.12, 0.26, 0.90),
    "yellow": (0.97, 0.87, 0.12),
    "orange": (0.98, 0.52, 0.06),
    "purple": (0.55, 0.16, 0.72),
    "white": (0.95, 0.95, 0.95),
    "black": (0.09, 0.09, 0.10),
    "pink": (0.98, 0.50, 0.72),
    "cyan": (0.15, 0.82, 0.88),
}
SHAPES = ("cube", "sphere", "cylinder", "cone", "torus")
MATERIALS = ("plain", "striped", "checkered")
GROUND_PATTERNS = ("plain", "checkered", "striped", "dotted")
SKIES = ("clear", "sunset", "overcast")

# Radius of the circle around a shape of size 1, seen from above.
GROUND_RADIUS = {"cube": 0.5**0.5, "sphere": 0.5, "cylinder": 0.4, "cone": 0.5, "torus": 0.5}


@dataclass(frozen=True)
class Solid:
    """One solid on the ground.

    Attributes:
        shape, colour, material: names from SHAPES, PALETTE and MATERIALS. A torus stands upright, like a wheel.
        x, z: position on the ground at time 0.
        size: height: a cube's edge, a sphere's or a torus' outer diameter.
        yaw: turn about the vertical at time 0, in radians.
        velocity: (x, z) movement from time 0 to 1. A sphere rolls, all other shapes slide.
        spin: turn about the vertical from time 0 to 1, in radians.
    """

    shape: str
    colour: str
    x: float
    z: float
    size: float
    yaw: float = 0.0
    material: str = "plain"
    velocity: tuple[float, float] = (0.0, 0.0)
    spin: float = 0.0

    @property
    def motion(self) -> str | None:
        """`rolling`, `sliding` or `spinning`; None for a solid at rest."""
        if any(self.velocity):
            return "rolling" if self.shape == "sphere" else "sliding"
        return "spinning" if self.spin else None

    @property
    def radius(self) -> float:
        """Radius of the circle on the ground that contains the solid."""
        return self.size * GROUND_RADIUS[self.shape]

    def centre(self, time: float = 0.0) -> np.ndarray:
        """(3,) ground coordinates of the middle of the solid's height."""
        return np.array([self.x + self.velocity[0] * time, self.size / 2, self.z + self.velocity[1] * time])

    def rotation(self, time: float = 0.0) -> np.ndarray:
        """(3, 3) from the solid's own axes to ground coordinates."""
        angle = self.yaw + self.spin * time
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
        return self._roll(time) @ turn if self.motion == "rolling" else turn

    def _roll(self, time: float) -> np.ndarray:
        """(3, 3) turn of a sphere that has rolled, without slipping, until this time: Rodrigues' formula."""
        distance = np.hypot(*self.velocity)
        x, z = self.velocity[1] / distance, -self.velocity[0] / distance  # the axis: up x velocity
        angle = distance * time / (self.size / 2)
        cross = np.array([[0.0, -z, 0.0], [z, 0.0, -x], [0.0, x, 0.0]])
        return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@dataclass(frozen=True)
class Ground:
    """The ground's material: a palette colour, plain or in a pattern with a second shade of the same colour."""

    colour: str
    pattern: str = "plain"


@dataclass(frozen=True)
class Sky:
    """The light: the kind of sky and the direction of the sun.

    Attributes:
        kind: name from SKIES.
        azimuth: radians; 0 is straight ahead of the frame-0 camera, pi / 2 to its right, pi behind it.
        elevation: radians above the horizon.
    """

    kind: str = "clear"
    azimuth: float = float(np.arctan2(-0.55, -0.45))
    elevation: float = float(np.arctan2(1.0, np.hypot(0.55, 0.45)))

    @property
    def sun_direction(self) -> np.ndarray:
        """(3,) unit vector towards the sun, ground coordinates."""
        flat = np.cos(self.elevation)
        return np.array([flat * np.sin(self.azimuth), np.sin(self.elevation), flat * np.cos(self.azimuth)])

    @property
    def sun_side(self) -> str:
        """The side that the light comes from: `left`, `right`, `front` (the camera's side) or `behind` the scene."""
        x, _, z = self.sun_direction
        if abs(x) >= abs(z):
            return "right" if x > 0 else "left"
        return "behind" if z > 0 else "front"


@dataclass(frozen=True)
class Scene:
    """A ground, the solids on it, and the sky above."""

    solids: tuple[Solid, ...]
    ground: Ground
    sky: Sky = Sky()


def ground_from_camera() -> np.ndarray:
    """Rigid transform (4, 4) from the frame-0 camera's coordinates (OpenCV axes) to ground coordinates."""
    cos, sin = np.cos(CAMERA_PITCH), np.sin(CAMERA_PITCH)
    transform = np.eye(4)
    transform[1, :3] = (0.0, -cos, -sin)
    transform[2, :3] = (0.0, -sin, cos)
    transform[1, 3] = CAMERA_HEIGHT
    return transform


def intrinsics(width: int, height: int) -> np.ndarray:
    """The world's camera matrix K (3, 3) in pixels, origin at the image corner, principal point at the centre."""
    focal = PATTERN_FOCAL_LENGTH * width
    return np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
