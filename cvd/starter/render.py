"""Batched ray casting of procedural scenes in torch: Lambert shading, one sun with hard shadows, sky, fog.

Vectors are stored component first, (3, frames, rays), so that dot products are cheap sums over the first axis.
"""

from collections.abc import Sequence

import numpy as np
import torch

from cvd.starter.world import PALETTE, Ground, Scene, Solid, ground_from_camera, intrinsics

SUPERSAMPLING = 2
CHECKER_CELL = 0.4
FOG_DISTANCE = 5.0
EPSILON = 1e-3
SUN_DIRECTION = torch.nn.functional.normalize(torch.tensor([-0.55, 1.0, -0.45]), dim=0)
SUN, AMBIENT = 0.80, 0.32
HORIZON = torch.tensor([0.80, 0.88, 0.95]) ** 2.2
ZENITH = torch.tensor([0.35, 0.58, 0.90]) ** 2.2


@torch.no_grad()
def render(scenes: Sequence[Scene], c2w: np.ndarray, width: int = 64, height: int = 64, chunk: int = 8) -> np.ndarray:
    """Render frame i of scene i seen by camera i.

    Args:
        scenes: B scenes (repeat a scene to see it with several cameras).
        c2w: (B, 4, 4) camera-to-world, OpenCV axes, relative to the frame-0 camera.
        width, height: image size in pixels; the intrinsics are ``world.intrinsics(width, height)``.
        chunk: frames cast at once; small chunks stay in the processor's cache.

    Returns:
        (B, height, width, 3) uint8 sRGB.
    """
    if len(scenes) != len(c2w):
        raise ValueError(f"{len(scenes)} scenes for {len(c2w)} cameras: give one scene per camera")
    pixel_rays = _pixel_rays(width, height)
    poses = torch.as_tensor(ground_from_camera() @ np.asarray(c2w, np.float64), dtype=torch.float32)
    frames = [
        _render_chunk(scenes[start : start + chunk], poses[start : start + chunk], pixel_rays)
        for start in range(0, len(scenes), chunk)
    ]
    s = SUPERSAMPLING
    linear = torch.cat(frames).unflatten(2, (height, s, width, s)).mean((3, 5))
    return linear.pow_(1 / 2.2).mul_(255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def _pixel_rays(width: int, height: int) -> torch.Tensor:
    """Ray directions (3, rays) in camera coordinates, depth 1, through the supersampled pixel grid."""
    s = SUPERSAMPLING
    x, y = np.meshgrid((np.arange(width * s) + 0.5) / s, (np.arange(height * s) + 0.5) / s)
    pixels = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return torch.as_tensor(np.linalg.solve(intrinsics(width, height), pixels), dtype=torch.float32)


def _render_chunk(scenes: Sequence[Scene], poses: torch.Tensor, pixel_rays: torch.Tensor) -> torch.Tensor:
    """Linear light (frames, 3, rays) in [0, 1]."""
    directions = torch.einsum("bij,jr->ibr", poses[:, :3, :3], pixel_rays)
    directions = directions / directions.square().sum(0).sqrt()
    origins = poses[:, :3, 3].T[:, :, None].expand_as(directions)
    distance, normal, albedo = _ground_hits([scene.ground for scene in scenes], origins, directions)
    for rows, solid in _solids(scenes):
        hit_distance, hit_normal = _intersect(solid, origins[:, rows], directions[:, rows])
        nearer = hit_distance < distance[rows]
        distance[rows] = torch.where(nearer, hit_distance, distance[rows])
        normal[:, rows] = torch.where(nearer, hit_normal, normal[:, rows])
        albedo[:, rows] = torch.where(nearer, _linear(solid.colour)[:, None], albedo[:, rows])
    sky = _sky(directions)
    seen = torch.isfinite(distance)
    reach = torch.where(seen, distance, 0.0)
    points = origins + reach * directions + EPSILON * normal
    lit = torch.ones_like(reach, dtype=torch.bool)
    for rows, solid in _solids(scenes):
        towards_sun = SUN_DIRECTION[:, None].expand_as(points[:, rows])
        lit[rows] &= torch.isinf(_intersect(solid, points[:, rows], towards_sun)[0])
    cosine = (normal * SUN_DIRECTION[:, None, None]).sum(0).clamp_min_(0)
    # The ambient light comes from the sky: stronger on surfaces that face up.
    light = SUN * cosine * lit + AMBIENT * (0.75 + 0.25 * normal[1])
    fog = 1 - torch.exp(-((reach / FOG_DISTANCE) ** 2))
    colour = torch.lerp(albedo * light, HORIZON[:, None, None], fog)
    return torch.where(seen, colour, sky).clamp_(0, 1).transpose(0, 1)


def _solids(scenes: Sequence[Scene]):
    for row, scene in enumerate(scenes):
        for solid in scene.solids:
            yield row, solid


def _sky(directions: torch.Tensor) -> torch.Tensor:
    return torch.lerp(HORIZON[:, None, None], ZENITH[:, None, None], (directions[1] * 2.5).clamp(0, 1))


def _linear(colour: str) -> torch.Tensor:
    return torch.tensor(PALETTE[colour]) ** 2.2


def _checker_pair(ground: Ground) -> tuple[torch.Tensor, torch.Tensor]:
    """The ground's two colours, linear; a plain ground has the same one twice."""
    colour = _linear(ground.colour)
    if ground.pattern == "plain":
        return colour, colour
    if ground.colour == "white":
        return colour, 0.25 * colour
    return colour, torch.lerp(colour, torch.ones(3), 0.45)


def _ground_hits(grounds: Sequence[Ground], origins: torch.Tensor, directions: torch.Tensor):
    """Distance (B, R), normal (3, B, R) and albedo (3, B, R) of the ground plane; inf where a ray never meets it."""
    down = directions[1] < -1e-4
    distance = torch.where(down, origins[1] / directions[1].clamp_max(-1e-4).neg(), torch.inf)
    reach = torch.where(down, distance, 0.0)
    x, z = (origins[i] + reach * directions[i] for i in (0, 2))
    parity = (torch.floor(x / CHECKER_CELL) + torch.floor(z / CHECKER_CELL)) % 2
    # Fade the pattern to its mean where a cell is smaller than a few pixels, instead of aliasing.
    slope = directions[1].abs().clamp_min(1e-4)
    contrast = (2 - 0.06 * reach / slope / CHECKER_CELL).clamp(0, 1)
    weight = 0.5 + (parity - 0.5) * contrast
    first, second = (torch.stack(tones, 1)[:, :, None] for tones in zip(*map(_checker_pair, grounds), strict=True))
    normal = torch.zeros_like(directions)
    normal[1] = 1
    return distance, normal, torch.lerp(first, second, weight)


def _intersect(solid: Solid, origins: torch.Tensor, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First hit of rays (3, R): distance (R,), inf where the solid is missed, and outward unit normal (3, R)."""
    offset = origins - torch.tensor([solid.x, solid.size / 2, solid.z])[:, None]
    return INTERSECTIONS[solid.shape](solid, offset, directions)


def _intersect_sphere(solid: Solid, offset: torch.Tensor, directions: torch.Tensor):
    radius = solid.size / 2
    half_b = (offset * directions).sum(0)
    discriminant = half_b.square() - offset.square().sum(0) + radius**2
    distance = -half_b - discriminant.clamp_min(0).sqrt()
    missed = (discriminant < 0) | (distance < 0)
    normal = (offset + distance * directions) / radius
    return torch.where(missed, torch.inf, distance), normal


def _intersect_cube(solid: Solid, offset: torch.Tensor, directions: torch.Tensor):
    cos, sin = float(np.cos(solid.yaw)), float(np.sin(solid.yaw))
    turn = torch.tensor([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    offset, directions = turn @ offset, turn @ directions
    directions = torch.where(directions.abs() < 1e-6, 1e-6, directions)
    entry = -(offset + directions.sign() * solid.size / 2) / directions
    leave = (directions.sign() * solid.size / 2 - offset) / directions
    distance, face = entry.max(0)
    missed = (distance > leave.amin(0)) | (distance < 0)
    normal = torch.zeros_like(offset).scatter_(0, face[None], -directions.sign().gather(0, face[None]))
    return torch.where(missed, torch.inf, distance), turn.T @ normal


INTERSECTIONS = {"cube": _intersect_cube, "sphere": _intersect_sphere}
