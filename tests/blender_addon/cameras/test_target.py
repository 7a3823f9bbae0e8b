"""The numbers behind the rays: where they go, and which distance they say."""

from __future__ import annotations

import numpy as np
import pytest

from blender_addon.cameras.target import RAYS, measured_frames, ray_directions, seen_distance

NONE = float("nan")


def test_rays_are_dense_at_the_centre_and_as_long_as_a_depth_of_one() -> None:
    K = np.array([[100.0, 0, 60], [0, 200, 20], [0, 0, 1]])
    c2w = np.eye(4)
    c2w[:3, :3] = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # looks along the world's x
    c2w[:3, 3] = 7.0  # directions do not know where the camera is
    rays = ray_directions(c2w, K, (40, 120))
    assert rays.shape == (RAYS, 3)
    np.testing.assert_allclose(rays[0], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rays[:, 0], 1)
    x, y = -rays[:, 2] * 100 / 60, rays[:, 1] * 200 / 20  # 1 is the image's border
    radius = np.hypot(x, y)
    assert radius.max() == pytest.approx(0.7)
    assert np.median(radius) == pytest.approx(0.25, abs=0.01)
    assert abs(x.mean()) < 0.05
    assert abs(y.mean()) < 0.05


def test_a_thing_before_a_far_wall_decides_when_it_fills_the_middle() -> None:
    near_wall = np.where(np.arange(RAYS) < RAYS / 2, 10.0, 80.0)
    assert seen_distance([near_wall] * 5) == 10


def test_rays_without_a_hit_do_not_count() -> None:
    mostly_sky = np.where(np.arange(RAYS) < 5, 10.0, NONE)
    assert seen_distance([mostly_sky] * 3) == 10
    assert seen_distance([np.full(RAYS, NONE)] * 3) is None
    assert seen_distance([]) is None


def test_a_camera_that_sees_little_counts_little() -> None:
    subject, hill = np.full(RAYS, 10.0), np.where(np.arange(RAYS) < 1, 900.0, NONE)
    assert seen_distance([subject, hill, hill]) == 10


def test_two_cameras_count_alike() -> None:
    assert seen_distance([np.full(RAYS, 5.0), np.full(RAYS, 10.0)]) == 7.5
    assert seen_distance([np.full(RAYS, 5.0), np.full(RAYS, 10.0), np.full(RAYS, 11.0)]) == 10


def test_the_distance_scales_with_the_scene() -> None:
    rng = np.random.default_rng(0)
    depths = rng.uniform(1, 100, (9, RAYS))
    depths[rng.random(depths.shape) < 0.6] = NONE
    assert seen_distance(list(depths * 1024)) == 1024 * seen_distance(list(depths))


@pytest.mark.parametrize(
    ("views", "frames", "measured"),
    [(3, 16, {0, 8, 15}), (3, 1, {0}), (3, 2, {0, 1}), (12, 16, {0, 15}), (64, 16, {0})],
)
def test_many_cameras_are_measured_in_fewer_frames(views: int, frames: int, measured: set[int]) -> None:
    assert measured_frames(views, frames) == measured
