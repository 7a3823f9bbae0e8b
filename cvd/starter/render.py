"""Batched ray casting of procedural scenes in torch: Lambert shading, one sun with hard shadows, sky, fog.

Vectors are stored component first: (3, frames, height, width). A ray is tested against a solid only inside the image
box that the solid, or its shadow, covers. Rays are parametrised by depth along the camera's axis.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from .materials import GAMMA, GROUND_CELL, ground_weight, linear, second_tone, solid_weight
from .shapes import INTERSECTIONS
from .sky import ATMOSPHERES
from .world import IMAGE_SIZE, Scene, Solid, ground_from_camera, intrinsics

SUPERSAMPLING = 2
FOG_DISTANCE, FOG_POWER = 4.0, 3

UNIT_BOX = np.array(list(product((-0.5, 0.5), repeat=3)))
NEAREST_DEPTH = 0.05

Box = tuple[slice, slice]


@torch.no_grad()
def render(
    scenes: Sequence[Scene],
    c2w: np.ndarray,
    width: int = IMAGE_SIZE,
    height: int = IMAGE_SIZE,
    K: np.ndarray | None = None,
    times: Sequence[float] | np.ndarray | None = None,
    chunk: int = 4,
) -> np.ndarray:
    """Render frame i: scene i, seen by camera i.

    Args:
        scenes: B scenes. Repeat a scene to render it with several cameras.
        c2w: (B, 4, 4) camera-to-world, OpenCV axes, relative to the frame-0 camera.
        width, height: image size in pixels.
        K: (B, 3, 3) camera matrices in pixels; None: `world.intrinsics(width, height)` for all.
        times: (B,) time of each frame in [0, 1]; None: 0 for all.
        chunk: number of frames that are cast at once. Small chunks fit into the processor's cache.

    Returns:
        (B, height, width, 3) uint8 sRGB.

    Raises:
        ValueError: the numbers of scenes, cameras, lenses and times differ.
    """
    count = len(scenes)
    K = np.broadcast_to(intrinsics(width, height), (count, 3, 3)) if K is None else K
    times = np.zeros(count) if times is None else times
    if {len(c2w), len(K), len(times)} != {count}:
        raise ValueError(
            f"{count} scenes, {len(c2w)} cameras, {len(K)} lenses and {len(times)} times: "
            "give one scene per camera, and as many lenses and times"
        )
    poses = ground_from_camera() @ np.asarray(c2w, np.float64)
    frames = np.empty((count, height, width, 3), np.uint8)
    for start in range(0, count, chunk):
        part = slice(start, start + chunk)
        light = _Chunk(scenes[part], poses[part], np.asarray(K)[part], times[part], width, height).light()
        pixels = torch.nn.functional.avg_pool2d(light, SUPERSAMPLING)
        srgb = pixels.pow_(1 / GAMMA).mul_(255).round_().to(torch.uint8)
        frames[part] = srgb.permute(1, 2, 3, 0).numpy()
    return frames


@dataclass(frozen=True, eq=False)
class _Instance:
    """A solid in one frame.

    Attributes:
        row: index of the frame in the chunk.
        rotation: (3, 3) from the solid's own axes to ground coordinates.
        centre: (3,) ground coordinates.
        corners: (8, 3) corners of the box around the solid, in ground coordinates.
        box: part of the image that the solid may cover; None: it is not in the image.
    """

    row: int
    solid: Solid
    rotation: np.ndarray
    centre: np.ndarray
    corners: np.ndarray
    box: Box | None

    @property
    def to_unit(self) -> np.ndarray:
        """(3, 3) from ground directions to the solid's unit coordinates."""
        return self.rotation.T / self.solid.size


class _Chunk:
    """A few frames that are rendered together: what every ray hits first, and the light there."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        poses: np.ndarray,
        K: np.ndarray,
        times: Sequence[float] | np.ndarray,
        width: int,
        height: int,
    ) -> None:
        self._scenes, self._poses, self._K = scenes, poses, K
        self._size = height * SUPERSAMPLING, width * SUPERSAMPLING
        self._suns = np.stack([scene.sky.sun_direction for scene in scenes])
        y, x = ((torch.arange(side) + 0.5) / SUPERSAMPLING for side in self._size)
        pixels = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(self._size)])
        to_rays = _float(poses[:, :3, :3] @ np.linalg.inv(K))
        self._directions = torch.einsum("bij,jhw->ibhw", to_rays, pixels)
        self._origins = _float(poses[:, :3, 3].T)[:, :, None, None]
        self._instances = [
            self._instance(row, solid, time)
            for row, (scene, time) in enumerate(zip(scenes, times, strict=True))
            for solid in scene.solids
        ]

    def light(self) -> Tensor:
        """Linear light (3, frames, height, width) in [0, 1] of the supersampled image."""
        self._hit_ground()
        self._hit_solids()
        self._cast_shadows()
        return self._shade()

    def _instance(self, row: int, solid: Solid, time: float) -> _Instance:
        rotation, centre = solid.rotation(time), solid.centre(time)
        corners = centre + solid.size * UNIT_BOX @ rotation.T
        return _Instance(row, solid, rotation, centre, corners, self._box(row, corners))

    def _box(self, row: int, points: np.ndarray) -> Box | None:
        """The part of a frame that contains the convex hull of `points` (N, 3); None: they are not in the image."""
        pose, (height, width) = self._poses[row], self._size
        x, y, depth = self._K[row] @ (pose[:3, :3].T @ (points - pose[:3, 3]).T)
        if depth.min() < NEAREST_DEPTH:
            return None if depth.max() < NEAREST_DEPTH else (slice(0, height), slice(0, width))
        columns, rows = (
            slice(
                max(int(np.floor(axis.min() * SUPERSAMPLING)), 0), min(int(np.ceil(axis.max() * SUPERSAMPLING)), side)
            )
            for axis, side in ((x / depth, width), (y / depth, height))
        )
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

    def _hit_ground(self) -> None:
        """Fill the buffers with the ground: depth, albedo, and cosines of its normal to the sun and to the zenith."""
        down = self._directions[1].clamp_max(-1e-4)
        self._depth = torch.where(self._directions[1] < -1e-4, -self._origins[1] / down, torch.inf)
        self._albedo = torch.empty_like(self._directions)
        for row, scene in enumerate(self._scenes):
            ground, first = scene.ground, linear(scene.ground.colour)[:, None, None]
            if ground.pattern == "plain":
                self._albedo[:, row] = first
                continue
            reach = self._depth[row].clamp_max(100.0)
            x, z = (self._origins[i, row] + reach * self._directions[i, row] for i in (0, 2))
            pixel = 1 / self._K[row, 0, 0]  # width of a pixel at depth 1
            weight = ground_weight(ground.pattern, x, z, reach / -down[row] * (pixel / GROUND_CELL))
            second = second_tone(ground.colour)[:, None, None]
            self._albedo[:, row] = torch.lerp(second.expand_as(self._albedo[:, row]), first, weight)
        self._sunward = _float(self._suns[:, 1])[:, None, None].repeat(1, *self._size)
        self._skyward = torch.ones_like(self._depth)

    def _hit_solids(self) -> None:
        rays = defaultdict(list)
        for instance in self._instances:
            if instance.box is not None:
                to_unit = _float(instance.to_unit)
                origin = to_unit @ (self._origins[:, instance.row, :, 0] - _float(instance.centre)[:, None])
                directions = to_unit @ self._directions[(slice(None), instance.row, *instance.box)].flatten(1)
                rays[instance.solid.shape].append(((instance, instance.box), origin.expand_as(directions), directions))
        for (instance, box), (origins, directions), (depth, normal) in _intersections(rays):
            self._keep_nearest(instance, box, origins + depth * directions, depth, normal)

    def _keep_nearest(self, instance: _Instance, box: Box, points: Tensor, depth: Tensor, normal: Tensor) -> None:
        """Write a solid's hits where nothing nearer has been hit.

        Args:
            points: (3, N) hits in the solid's unit coordinates.
            depth: (N,) depths of the hits.
            normal: (3, N) normals in the solid's unit coordinates.
        """
        solid, place = instance.solid, (instance.row, *box)
        nearest = self._depth[place]
        depth = depth.view_as(nearest)
        nearer = depth < nearest
        albedo = linear(solid.colour)[:, None, None]
        if solid.material != "plain":
            first = solid_weight(solid.material, points).view_as(nearest)
            albedo = torch.lerp(second_tone(solid.colour)[:, None, None].expand(3, *nearest.shape), albedo, first)
        axes = _float(np.stack([self._suns[instance.row], (0.0, 1.0, 0.0)]) @ instance.rotation)
        sunward, skyward = (axes @ normal).view(2, *nearest.shape)
        for buffer, value in ((self._depth, depth), (self._sunward, sunward), (self._skyward, skyward)):
            buffer[place] = torch.where(nearer, value, buffer[place])
        shown = self._albedo[(slice(None), *place)]
        shown.copy_(torch.where(nearer, albedo, shown))

    def _cast_shadows(self) -> None:
        """Remove the sun's light from all points that a solid hides from the sun."""
        rays = defaultdict(list)
        for instance in self._instances:
            sun, to_unit = self._suns[instance.row], _float(instance.to_unit)
            direction = to_unit @ _float(sun)[:, None]
            for rows, columns in self._shadow_boxes(instance, sun):
                place = (slice(None), instance.row, rows, columns)
                reach = self._depth[place[1:]].clamp_max(100.0)
                points = (self._origins[:, instance.row] + reach * self._directions[place]).flatten(1)
                origins = to_unit @ (points - _float(instance.centre)[:, None])
                rays[instance.solid.shape].append(((instance, (rows, columns)), origins, direction.expand_as(origins)))
        for (instance, box), _, (distance, _) in _intersections(rays):
            sunward = self._sunward[(instance.row, *box)]
            sunward.masked_fill_(torch.isfinite(distance).view_as(sunward), 0.0)

    def _shadow_boxes(self, caster: _Instance, sun: np.ndarray) -> Iterator[Box]:
        """The parts of the image where a solid's shadow may be: on the ground, on other solids, on the solid itself."""
        on_ground = self._box(caster.row, caster.corners - caster.corners[:, 1:2] / sun[1] * sun)
        if on_ground is not None:
            yield on_ground
        for other in self._instances:
            if other.row != caster.row or other.box is None or (other is caster and caster.solid.shape != "torus"):
                continue
            between = caster.centre - other.centre
            aside = np.linalg.norm(between - (between @ sun) * sun)
            if aside < np.sqrt(0.75) * (caster.solid.size + other.solid.size):
                yield other.box

    def _shade(self) -> Tensor:
        atmospheres = [ATMOSPHERES[scene.sky.kind] for scene in self._scenes]
        sun, ambient, horizon, zenith = (
            torch.stack([getattr(atmosphere, name) for atmosphere in atmospheres], 1)[:, :, None, None]
            for name in ("sun", "ambient", "horizon", "zenith")
        )
        length = self._directions.square().sum(0).sqrt()
        seen = torch.isfinite(self._depth)
        # With a power of 3 the horizon is soft, and near colours do not change. This matters most for black.
        fog = 1 - torch.exp(-((torch.where(seen, self._depth, 0.0) * length / FOG_DISTANCE) ** FOG_POWER))
        # The ambient light comes from the sky. It is stronger on surfaces that face up.
        light = sun * self._sunward.clamp_min(0) + ambient * (0.75 + 0.25 * self._skyward)
        colour = torch.lerp(self._albedo.mul_(light), horizon, fog)
        sky = torch.lerp(horizon, zenith, (self._directions[1] / length * 2.5).clamp(0, 1))
        return torch.where(seen, colour, sky).clamp_(0, 1)


def _intersections(rays: dict[str, list]) -> Iterator[tuple]:
    """Intersect all rays with solids of one shape in one call. Yields the key, the rays and the hits of each entry."""
    for shape, entries in rays.items():
        keys, origins, directions = zip(*entries, strict=True)
        hits, normals = INTERSECTIONS[shape](torch.cat(origins, 1), torch.cat(directions, 1))
        lengths = [part.shape[1] for part in origins]
        for key, *part in zip(keys, origins, directions, hits.split(lengths), normals.split(lengths, 1), strict=True):
            yield key, part[:2], part[2:]


def _float(array: np.ndarray) -> Tensor:
    return torch.as_tensor(array, dtype=torch.float32)
