"""Finding the objects of the starter model's world in its frames, by colour.

The world has a known palette, three kinds of sky, and cameras that start from one place. Every surface shows a palette
colour in a limited set of shades: first or second tone, in sun or shadow, behind more or less fog. So the ground's
colour and the kind of sky determine the shades that the ground and the sky may have in a pixel. A pixel that is nearer
to the shades of another palette colour belongs to an object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from protocol.geometry import frame_indices

from ...starter.materials import GAMMA, linear, second_tone
from ...starter.render import FOG_DISTANCE, FOG_POWER
from ...starter.sky import ATMOSPHERES
from ...starter.world import PALETTE, SKIES, ground_from_camera

Array = NDArray[np.floating]
Frames = NDArray[np.uint8]


BACKGROUND_TOLERANCE = 0.05
"""Largest difference of a background pixel from the background's shades, in Oklab. White and black differ by 1."""

CLEARLY_ANOTHER_COLOUR = 0.1
"""Largest difference that counts when ground and sky are determined, so that objects have little influence."""

UNIT_SIDE = 64
"""Larger side, in pixels, of images whose edges and gaps are one pixel wide. In larger images they are proportionally
wider."""

HORIZON_SHIFT = 3 / 64
"""Largest distance between the horizon and its expected place, as a share of the image's larger side."""

SMALLEST_AREA = 0.004
"""Smallest share of the image that an object covers. The smallest solid, at the largest distance, covers 0.008."""

GROUND_TONES, OBJECT_TONES = (1.0, 0.95, 0.85, 0.7, 0.4, 0.0), (1.0, 0.5, 0.0)
"""Shares of a material's first tone. Pixels at the edges of a pattern mix both tones. The values are dense near 1,
where black is dark."""

GROUND_SUN, OBJECT_SUN = (0.0, 0.12, 0.28, 0.48, 0.7, 0.9), (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
"""Shares of the sun's light. They depend on shadows, on the sun's height and on the direction of the surface."""

OBJECT_AMBIENT = (0.55, 0.75, 1.0)
OBJECT_FOG = (0.0, 0.05, 0.12)
"""Shares of the sky's light on the surfaces of objects, and shares of the fog in front of them."""


@dataclass(frozen=True, eq=False)
class Region:
    """One object in one frame.

    Attributes:
        colour: name from the palette.
        mask: (H, W) bool, the object's pixels.
        centroid: (2,) pixels, origin at the image's corner.
        cut: whether the image's border or a nearer object hides a part, so that `centroid` is not the whole object's.
    """

    colour: str
    mask: NDArray[np.bool_]
    centroid: Array
    cut: bool


@dataclass(frozen=True)
class _Surroundings:
    """The ground's colour, a name from the palette, and the kind of sky."""

    ground: str
    sky: str


@dataclass(frozen=True, eq=False)
class _View:
    """The expected view of a world without solids.

    Attributes:
        height: (F, H, W) vertical component of the pixels' unit directions.
        fog: (F, H, W) share of the fog in the ground's colour.
        tolerance: largest error of `height` around the horizon.
    """

    height: Array
    fog: Array
    tolerance: float


def find_objects(video: Frames, c2w: Array, K: Array) -> list[list[Region]]:
    """The objects in every frame.

    Args:
        video: (F, H, W, 3) sRGB.
        c2w: (F, 4, 4) camera-to-world relative to the first frame, OpenCV axes, in the starter world's units.
        K: (F, 3, 3) camera matrices in pixels.
    """
    seen, view = oklab(video / 255.0), _empty_view(c2w, K, *video.shape[1:3])
    around = _surroundings(seen, view)
    colours = tuple(name for name in PALETTE if name != around.ground)
    shades, owners = _object_shades(colours, around.sky)
    to_object, nearest = shades.query(seen.reshape(-1, 3))
    to_background = np.minimum(
        _ground_distance(seen, view, around.ground, around.sky), _sky_distance(seen, view, around.sky)
    )
    is_object = (to_object.reshape(to_background.shape) < to_background) & (to_background > BACKGROUND_TOLERANCE)
    labels = np.where(is_object, owners[nearest].reshape(to_background.shape), -1)
    return [_regions(frame, colours) for frame in labels]


def oklab(srgb: Array) -> Array:
    """(..., 3) sRGB in [0, 1] to Oklab (Ottosson, 2020). Distances in Oklab are perceived differences."""
    return _oklab(srgb**GAMMA)


def _oklab(light: Array) -> Array:
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
    return np.cbrt(light @ to_cones.T) @ to_lab.T


def _empty_view(c2w: Array, K: Array, height: int, width: int) -> _View:
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    pixels = np.stack([x, y, np.ones_like(x)], -1)
    poses = ground_from_camera() @ c2w
    rays = np.einsum("fij,hwj->fhwi", poses[:, :3, :3] @ np.linalg.inv(K), pixels)
    up = rays[..., 1] / np.linalg.norm(rays, axis=-1)
    distance = poses[:, 1, 3][:, None, None] / np.maximum(-up, 1e-3)
    tolerance = HORIZON_SHIFT * max(height, width) / K[:, 0, 0].min()
    return _View(up, 1 - np.exp(-((distance / FOG_DISTANCE) ** FOG_POWER)), float(tolerance))


def _surroundings(seen: Array, view: _View) -> _Surroundings:
    frames = np.unique(frame_indices(len(seen), 4))
    step = _unit(seen.shape[1:3])  # fewer pixels are enough here
    part = (frames, slice(None, None, step), slice(None, None, step))
    seen, view = seen[part], replace(view, height=view.height[part], fog=view.fog[part])

    def fit(distance: Array) -> float:
        return float(np.minimum(distance, CLEARLY_ANOTHER_COLOUR).mean())

    above, below = view.height > view.tolerance, view.height < -view.tolerance
    sky = min(SKIES, key=lambda kind: fit(_sky_distance(seen, view, kind)[above]) if above.any() else 0.0)
    return _Surroundings(min(PALETTE, key=lambda colour: fit(_ground_distance(seen, view, colour, sky)[below])), sky)


def _ground_distance(seen: Array, view: _View, colour: str, sky: str) -> Array:
    """(F, H, W) distance to the nearest shade that the ground may have there; infinite above the horizon."""
    air = ATMOSPHERES[sky]
    nearest = np.full(seen.shape[:3], np.inf)
    for tone, sun in product(GROUND_TONES, GROUND_SUN):
        lit = _tones(colour, tone) * (air.sun.numpy() * sun + air.ambient.numpy())
        foggy = lit + view.fog[..., None] * (air.horizon.numpy() - lit)
        np.minimum(nearest, _distance(seen, _oklab(np.minimum(foggy, 1))), out=nearest)
    nearest[view.height > view.tolerance] = np.inf
    return nearest


def _sky_distance(seen: Array, view: _View, sky: str) -> Array:
    """(F, H, W) distance to the sky's colour there; infinite below the horizon."""
    air = ATMOSPHERES[sky]
    nearest = np.full(seen.shape[:3], np.inf)
    for shift in (-view.tolerance, 0.0, view.tolerance):
        share = np.clip((view.height + shift) * 2.5, 0, 1)[..., None]
        colour = air.horizon.numpy() * (1 - share) + air.zenith.numpy() * share
        np.minimum(nearest, _distance(seen, _oklab(colour)), out=nearest)
    nearest[view.height < -view.tolerance] = np.inf
    return nearest


def _unit(size: Sequence[int]) -> int:
    """Number of pixels of an image (height, width) that correspond to one pixel of an image of `UNIT_SIDE`."""
    return max(round(max(size) / UNIT_SIDE), 1)


def _distance(a: Array, b: Array) -> Array:
    return np.sqrt(np.square(a - b).sum(-1))


def _tones(colour: str, share: float) -> Array:
    """(3,) linear light of a material of this colour. `share` of it is the first tone, the rest the second tone."""
    return share * linear(colour).double().numpy() + (1 - share) * second_tone(colour).double().numpy()


@cache
def _object_shades(colours: Sequence[str], sky: str) -> tuple[cKDTree, NDArray[np.intp]]:
    """Every shade that objects of these colours can have, in Oklab; and the index of the colour of each shade."""
    air = ATMOSPHERES[sky]
    sun, ambient, horizon = (part.double().numpy() for part in (air.sun, air.ambient, air.horizon))
    shades = [
        [
            (1 - fog) * _tones(colour, tone) * (share * sun + from_sky * ambient) + fog * horizon
            for tone, share, from_sky, fog in product(OBJECT_TONES, OBJECT_SUN, OBJECT_AMBIENT, OBJECT_FOG)
        ]
        for colour in colours
    ]
    light = np.clip(shades, 0, 1)
    return cKDTree(_oklab(light.reshape(-1, 3))), np.repeat(np.arange(len(colours)), light.shape[1])


def _regions(labels: NDArray[np.intp], colours: Sequence[str]) -> list[Region]:
    """Connected regions of one colour, without thin lines, which are mixed colours at edges."""
    regions = []
    for number, colour in enumerate(colours):
        components, count = ndimage.label(_without_gaps(labels == number))
        for component in range(1, count + 1):
            mask = components == component
            if mask.mean() >= SMALLEST_AREA:
                rows, columns = np.nonzero(mask)
                cut = bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())
                regions.append(Region(colour, mask, np.array([columns.mean(), rows.mean()]) + 0.5, cut))
    return [replace(region, cut=region.cut or _is_covered(region, regions)) for region in regions]


def _is_covered(region: Region, others: Sequence[Region]) -> bool:
    """Whether a nearer object touches this one. The nearer object has the lower foot in the image."""
    reach = ndimage.binary_dilation(region.mask, iterations=2 * _unit(region.mask.shape))
    return any((reach & other.mask).any() and _foot(other) > _foot(region) for other in others if other is not region)


def _foot(region: Region) -> int:
    return int(np.nonzero(region.mask.any(1))[0].max())


def _without_gaps(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask (H, W) without thin lines. Narrow gaps and holes are filled."""
    unit = _unit(mask.shape)
    margin = 4 * unit
    padded = np.pad(mask, margin, mode="edge")
    solid = ndimage.binary_closing(ndimage.binary_opening(padded, iterations=unit), iterations=2 * unit)
    return ndimage.binary_fill_holes(solid)[margin:-margin, margin:-margin]
