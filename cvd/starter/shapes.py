"""Intersections of rays with solids, in a solid's unit coordinates: height 1, centre at the origin, y up.

Every function takes origins (3, N) and directions (3, N) of any length. It returns the parameter t (N,) of the first
hit, inf where there is none, and the outward unit normal (3, N) there. A hit has t > NEAREST: a ray that starts on a
lit surface does not hit it again. A cone has no underside, because every camera and sun is above the ground.
"""

import torch
from torch import Tensor

CYLINDER_RADIUS = 0.4
CONE_RADIUS = 0.5
TORUS_TUBE = 0.14
TORUS_RING = 0.5 - TORUS_TUBE

NEAREST = 1e-3
TINY = 1e-6

TRACING_STEPS = 24
TRACED = 0.006
"""Largest distance between a ray and a torus at a hit: a fifth of a pixel for the largest torus at 128 x 128."""
STRIDE = 1.4
"""Length of a tracing step divided by the distance that is known to be free. It is more than 1, because rays that pass
close to a torus would need too many steps otherwise."""
TRACING_START = 0.04
"""Distance at which tracing starts. A ray from the torus' own surface has to be more than `TRACED` away from it."""

Hits = tuple[Tensor, Tensor]


def sphere(origins: Tensor, directions: Tensor) -> Hits:
    """A sphere of diameter 1."""
    entry, _, missed = _round_interval(origins, directions, 0.5)
    return _hits(entry, missed), 2 * (origins + entry * directions)


def cube(origins: Tensor, directions: Tensor) -> Hits:
    """A cube of edge 1."""
    entries, exits = _slabs(origins, directions)
    entry, face = entries.max(0)
    normal = torch.zeros_like(origins).scatter_(0, face[None], -directions.sign().gather(0, face[None]))
    return _hits(entry, entry > exits.amin(0)), normal


def cylinder(origins: Tensor, directions: Tensor) -> Hits:
    """An upright cylinder."""
    side, side_exit, missed = _round_interval(origins[::2], directions[::2], CYLINDER_RADIUS)
    cap, cap_exit = _slabs(origins[1], directions[1])
    entry = torch.maximum(side, cap)
    on_cap = cap > side
    x, z = ((origins[i] + entry * directions[i]) / CYLINDER_RADIUS for i in (0, 2))
    zero = torch.zeros_like(x)
    normal = torch.stack(
        [torch.where(on_cap, zero, x), torch.where(on_cap, -directions[1].sign(), zero), torch.where(on_cap, zero, z)]
    )
    return _hits(entry, missed | (entry > torch.minimum(side_exit, cap_exit))), normal


def cone(origins: Tensor, directions: Tensor) -> Hits:
    """An upright cone with its tip at y = 0.5."""
    slope = CONE_RADIUS**2
    (x, y, z), (dx, dy, dz) = origins, directions
    below_tip = 0.5 - y
    a = dx.square() + dz.square() - slope * dy.square()
    half_b = x * dx + z * dz + slope * below_tip * dy
    c = x.square() + z.square() - slope * below_tip.square()
    discriminant = half_b.square() - a * c
    root = discriminant.clamp_min(0).sqrt()
    a = torch.where(a.abs() < TINY, TINY, a)
    first = torch.full_like(a, torch.inf)
    for t in ((-half_b - root) / a, (-half_b + root) / a):
        on_cone = ((y + t * dy).abs() <= 0.5) & (discriminant >= 0)
        first = torch.minimum(first, _hits(t, ~on_cone))
    reach = torch.where(torch.isfinite(first), first, 0.0)
    px, py, pz = (origins[i] + reach * directions[i] for i in range(3))
    normal = torch.stack([px, slope * (0.5 - py), pz])
    return first, normal / normal.square().sum(0).clamp_min(TINY).sqrt()


def torus(origins: Tensor, directions: Tensor) -> Hits:
    """An upright torus in the plane z = 0, by over-relaxed sphere tracing (Hart, 1996; Keinert et al., 2014)."""
    speed = directions.square().sum(0).sqrt()
    entry, leave, missed = _round_interval(origins, directions, 0.5 + TRACED)
    distance = entry.clamp_min(0) * speed
    step = directions / speed
    distance = torch.maximum(distance, torch.full_like(distance, TRACING_START))
    for _ in range(TRACING_STEPS):
        gap = _torus_gap(origins, step, distance)[0]
        distance = distance + STRIDE * gap
    gap, (x, y, z), ring = _torus_gap(origins, step, distance)
    t = distance / speed
    missed = missed | (gap > TRACED) | (t > leave)
    inward = 1 - TORUS_RING / ring.clamp_min(TINY)
    normal = torch.stack([x * inward, y * inward, z]) / (gap + TORUS_TUBE).clamp_min(TINY)
    return _hits(t, missed), normal


INTERSECTIONS = {"cube": cube, "sphere": sphere, "cylinder": cylinder, "cone": cone, "torus": torus}


def _torus_gap(origins: Tensor, step: Tensor, distance: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
    """Distance to the torus' surface, the point on the ray, and the point's distance to the torus' axis."""
    x, y, z = (origins[i] + distance * step[i] for i in range(3))
    ring = (x.square() + y.square()).sqrt()
    return ((ring - TORUS_RING).square() + z.square()).sqrt() - TORUS_TUBE, [x, y, z], ring


def _hits(t: Tensor, missed: Tensor) -> Tensor:
    return torch.where(missed | (t < NEAREST), torch.inf, t)


def _round_interval(origins: Tensor, directions: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """Where rays enter and leave a sphere (with two coordinates: a circle), and which rays miss it."""
    squared = directions.square().sum(0).clamp_min(TINY)
    middle = -(origins * directions).sum(0) / squared
    discriminant = (radius**2 - origins.square().sum(0)) / squared + middle.square()
    half = discriminant.clamp_min(0).sqrt()
    return middle - half, middle + half, discriminant < 0


def _slabs(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """For every coordinate p: where rays enter and leave the slab |p| <= 0.5."""
    directions = torch.where(directions.abs() < TINY, TINY, directions)
    middle, half = -origins / directions, 0.5 / directions.abs()
    return middle - half, middle + half
