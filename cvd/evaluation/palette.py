"""Finding the objects of the starter model's world in its frames, by colour.

That world is known: a palette, one ground, a sky, and cameras that start from one place. So the frame that the asked
camera would see of the empty world can be rendered, and whatever differs from it and has a palette colour is an object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ..errors import RequestError
from ..starter.render import render
from ..starter.sky import AMBIENT, HORIZON, SUN
from ..starter.world import GROUND_PATTERNS, PALETTE, Ground, Scene, ground_from_camera, intrinsics

Array = NDArray[np.float64]
Frames = NDArray[np.uint8]

GAMMA = 2.2  # the renderer's

BACKGROUND_TOLERANCE = 0.05
"""Colours that differ less from the empty world's are background, in units of Oklab, where white is 1 from black."""

CLEARLY_ANOTHER_COLOUR = 0.1
"""Differences beyond this count as this: objects must not decide what the ground is."""

BACKGROUND_SHIFT = 3 / 64
"""How far the background may lie from where the camera should see it, as a share of the image's larger side."""

SMALLEST_AREA = 0.004
"""Regions that cover less of the image are no objects: the smallest solid, farthest away, covers 0.014."""

SHADOWS = (1.0, 0.7, 0.5, 0.35)
"""How much of the sunlit ground's light is left in shadows and in their blurred edges."""

SHADOW_DEPTH = 2.0
"""Shadows end before this depth of the world: objects stand between 0.8 and 1.4."""

OBJECT_LIGHT = np.linspace(0.7 * AMBIENT, SUN + 0.8 * AMBIENT, 24)
OBJECT_FOG = (0.0, 0.04, 0.08, 0.13)
"""Light on objects' surfaces, and the fog in front of them at the distances where the world has objects."""


@dataclass(frozen=True, eq=False)
class Region:
    """One object in one frame.

    colour: palette name. mask: (H, W) bool. centroid: (2,) pixels, origin at the image's corner. cut: it reaches the
    image's border, so that its centroid is not the object's.
    """

    colour: str
    mask: NDArray[np.bool_]
    centroid: Array
    cut: bool


def find_ground(video: Frames, c2w: Array) -> Ground:
    """The ground whose empty world is nearest to a video; arguments as for `find_objects`."""
    frames = np.unique(np.linspace(0, len(video) - 1, 4).round().astype(int))
    grounds = [Ground(colour, pattern) for colour in PALETTE for pattern in GROUND_PATTERNS]
    seen = oklab(video[frames])

    def difference(ground: Ground) -> float:
        distance = _distance(seen, oklab(_empty_world(ground, c2w[frames], video)))
        return float(np.minimum(distance, CLEARLY_ANOTHER_COLOUR).mean())

    return min(grounds, key=difference)


def find_objects(video: Frames, c2w: Array, K: Array) -> list[list[Region]]:
    """The objects in every frame.

    Args:
        video: (F, H, W, 3) sRGB.
        c2w: (F, 4, 4) relative to the first frame, OpenCV axes, in the starter world's units.
        K: (F, 3, 3) pixels.

    Raises:
        RequestError: another focal length than the starter world's.
    """
    height, width = video.shape[1:3]
    if not np.allclose(K, intrinsics(width, height), rtol=0.01, atol=0.01 * width):
        raise RequestError(
            "The palette score knows the starter world through one lens only.",
            f"Give cameras with a focal length of {intrinsics(width, height)[0, 0]:.1f} pixels, as the patterns have.",
        )
    ground = find_ground(video, c2w)
    colours = tuple(name for name in PALETTE if name != ground.colour)
    shades, owners = _object_shades(colours)
    seen = oklab(video)
    to_object, nearest = shades.query(seen.reshape(-1, 3))
    to_background = _background_distance(seen, _empty_world(ground, c2w, video), _may_be_shadowed(c2w, height, width))
    is_object = to_object.reshape(seen.shape[:3]) < to_background
    is_object &= to_background > BACKGROUND_TOLERANCE
    labels = np.where(is_object, owners[nearest].reshape(seen.shape[:3]), -1)
    return [_regions(frame, colours) for frame in labels]


def oklab(srgb: Frames) -> Array:
    """(..., 3) sRGB bytes to Oklab (Ottosson, 2020), a space in which distances are differences to the eye."""
    to_cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt((srgb / 255.0) ** GAMMA @ to_cones.T) @ to_lab.T


def _empty_world(ground: Ground, c2w: Array, like: Frames) -> Frames:
    return render([Scene((), ground)] * len(c2w), c2w, like.shape[2], like.shape[1])


def _may_be_shadowed(c2w: Array, height: int, width: int) -> NDArray[np.bool_]:
    """(F, H, W): where the ground is near enough for an object's shadow."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(intrinsics(width, height)).T
    poses = ground_from_camera() @ c2w
    directions = np.einsum("fij,hwj->fhwi", poses[:, :3, :3], rays)
    with np.errstate(divide="ignore"):
        points = (
            poses[:, None, None, :3, 3] - directions * (poses[:, 1, 3][:, None, None] / directions[..., 1])[..., None]
        )
    return (directions[..., 1] < 0) & (points[..., 2] < SHADOW_DEPTH)


def _background_distance(seen: Array, empty: Frames, may_be_shadowed: NDArray[np.bool_]) -> Array:
    """(F, H, W) distance to the nearest colour of the empty world around the same place, in sun or shadow."""
    reach = round(BACKGROUND_SHIFT * max(seen.shape[1:3]))
    nearest = np.full(seen.shape[:3], np.inf)
    for light in SHADOWS:
        darkened = oklab(empty * np.where(may_be_shadowed, light, 1.0)[..., None] ** (1 / GAMMA))
        padded = np.pad(darkened, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
        for top in range(2 * reach + 1):
            for left in range(2 * reach + 1):
                shifted = padded[:, top : top + seen.shape[1], left : left + seen.shape[2]]
                np.minimum(nearest, _distance(seen, shifted), out=nearest)
    return nearest


def _distance(a: Array, b: Array) -> Array:
    return np.sqrt(np.square(a - b).sum(-1))


@cache
def _object_shades(colours: Sequence[str]) -> tuple[cKDTree, NDArray[np.intp]]:
    """Every shade that objects of these colours can have, in Oklab, and which colour each belongs to."""
    shades = []
    for colour in colours:
        lit = np.array(PALETTE[colour]) ** GAMMA * OBJECT_LIGHT[:, None]
        shades.append([(1 - fog) * lit + fog * HORIZON.numpy() for fog in OBJECT_FOG])
    linear = np.clip(np.array(shades).reshape(len(colours), -1, 3), 0, 1)
    owners = np.repeat(np.arange(len(colours)), linear.shape[1])
    return cKDTree(oklab(255 * linear.reshape(-1, 3) ** (1 / GAMMA))), owners


def _regions(labels: NDArray[np.intp], colours: Sequence[str]) -> list[Region]:
    """Connected regions of one colour, without the thin mixtures of colours at edges."""
    regions = []
    for number, colour in enumerate(colours):
        components, count = ndimage.label(_without_gaps(labels == number))
        for component in range(1, count + 1):
            mask = components == component
            if mask.mean() >= SMALLEST_AREA:
                rows, columns = np.nonzero(mask)
                cut = bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())
                regions.append(Region(colour, mask, np.array([columns.mean(), rows.mean()]) + 0.5, cut))
    return regions


def _without_gaps(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask (H, W) without thin lines, and with its narrow gaps and its holes filled."""
    margin = 4
    padded = np.pad(mask, margin, mode="edge")
    solid = ndimage.binary_closing(ndimage.binary_opening(padded), iterations=2)
    return ndimage.binary_fill_holes(solid)[margin:-margin, margin:-margin]
