"""Rays hit the unit solids on their surfaces, and normals point outwards."""

import numpy as np
import pytest
import torch

from cvd.starter.shapes import CONE_RADIUS, CYLINDER_RADIUS, INTERSECTIONS, TORUS_RING, TORUS_TUBE


def outside(shape: str, points: np.ndarray) -> np.ndarray:
    """(N,) values for `points` (3, N): negative inside a unit solid, positive outside, 0 on its surface."""
    x, y, z = points
    if shape == "sphere":
        return np.linalg.norm(points, axis=0) - 0.5
    if shape == "cube":
        return abs(points).max(0) - 0.5
    if shape == "cylinder":
        return np.maximum(np.hypot(x, z) - CYLINDER_RADIUS, abs(y) - 0.5)
    if shape == "cone":
        return np.maximum(np.hypot(x, z) - CONE_RADIUS * (0.5 - y), abs(y) - 0.5)
    return np.hypot(np.hypot(x, y) - TORUS_RING, z) - TORUS_TUBE


def rays(seed: int, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Rays that start above the ground of the unit solids, towards points around the solids."""
    rng = np.random.default_rng(seed)
    origins = rng.normal(size=(3, count))
    origins = 2 * origins / np.linalg.norm(origins, axis=0)
    origins[1] = abs(origins[1])
    targets = rng.uniform(-0.6, 0.6, (3, count))
    targets[1] = rng.uniform(-0.5, 0.5, count)
    return origins, (targets - origins) * rng.uniform(0.3, 3, count)


@pytest.mark.parametrize("shape", INTERSECTIONS)
def test_hits_are_the_first_points_on_the_surface(shape: str):
    origins, directions = rays(0)
    t, normals = (
        array.numpy().astype(float)
        for array in INTERSECTIONS[shape](torch.tensor(origins).float(), torch.tensor(directions).float())
    )
    hit = np.isfinite(t)
    assert 0.1 < hit.mean() < 0.95
    tolerance = 0.007 if shape == "torus" else 1e-3
    points = origins[:, hit] + t[hit] * directions[:, hit]
    assert abs(outside(shape, points)).max() < tolerance
    # Small steps along every ray reach the solid at the hit, and not before it.
    share = np.linspace(0, 1, 400)[:, None]
    reach = np.where(hit, t, 3.5 / np.linalg.norm(directions, axis=0)) * np.where(hit, 0.999, 1)
    marched = np.stack([outside(shape, origins + s * reach * directions) for s in share])
    above = np.stack([(origins + s * reach * directions)[1] > -0.5 for s in share])
    assert (np.where(above, marched, 1) > -tolerance).mean(1).min() > 0.995
    np.testing.assert_allclose(np.linalg.norm(normals[:, hit], axis=0), 1, atol=0.02)
    outward = outside(shape, points + 0.02 * normals[:, hit])
    assert (outward > 0).mean() > 0.99


@pytest.mark.parametrize("shape", INTERSECTIONS)
def test_rays_that_leave_a_lit_surface_do_not_meet_it_again(shape: str):
    """A convex solid does not shadow itself. A torus may, but not on its outer side."""
    origins, directions = (torch.tensor(array).float() for array in rays(1))
    t, normals = INTERSECTIONS[shape](origins, directions)
    hit = torch.isfinite(t)
    points, normals = (origins + t * directions)[:, hit], normals[:, hit]
    again, _ = INTERSECTIONS[shape](points, normals)
    outer = points.square().sum(0) > 0.4**2 if shape == "torus" else torch.ones(points.shape[1], dtype=torch.bool)
    assert torch.isinf(again[outer]).float().mean() > 0.999
