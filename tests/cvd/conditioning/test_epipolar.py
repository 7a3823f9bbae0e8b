"""Epipolar geometry compared with values by hand, and the fast bias and attention with plain ones."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cvd import Cameras
from cvd.conditioning.epipolar import (
    EpipolarBias,
    EpipolarContext,
    bias_from_lines,
    epipolar_lines,
    fundamental_matrices,
    pixel_grid,
    pseudo_lines,
)
from cvd.conditioning.plucker import plucker_maps
from cvd.models.epipolar_attention import epipolar_attention

K = np.array([[100.0, 0, 32], [0, 100.0, 32], [0, 0, 1]])


def pose(
    translation: tuple[float, float, float], rotation_vector: tuple[float, float, float] = (0, 0, 0)
) -> np.ndarray:
    c2w = np.eye(4)
    c2w[:3, :3] = Rotation.from_rotvec(rotation_vector).as_matrix()
    c2w[:3, 3] = translation
    return c2w


def spreading_cameras(views: int = 3, frames: int = 4) -> Cameras:
    """Views that share frame 0, then move apart, turn and zoom."""
    share = np.linspace(0, 1, frames)
    c2w = np.stack(
        [[pose((s * v, 0.3 * s, -0.2 * s * v), (0, 0.2 * s * v, 0.1 * s)) for s in share] for v in range(views)]
    )
    intrinsics = np.tile(K, (views, frames, 1, 1))
    intrinsics[..., 0, 0] += 10 * share
    return Cameras(c2w, intrinsics, 64, 64)


def test_sideways_baseline_gives_horizontal_lines() -> None:
    fundamental = fundamental_matrices(pose((0, 0, 0)), K, pose((1, 0, 0)), K)
    line = fundamental @ [10.0, 20.0, 1.0]
    np.testing.assert_allclose(line / line[1], [0, 1, -20], atol=1e-12)


def test_forward_baseline_gives_lines_through_the_principal_point() -> None:
    fundamental = fundamental_matrices(pose((0, 0, 0)), K, pose((0, 0, 1)), K)
    line = fundamental @ [50.0, 40.0, 1.0]
    assert abs(line @ [32, 32, 1]) < 1e-12
    assert abs(line @ [50, 40, 1]) < 1e-12


def test_projections_of_one_point_satisfy_the_constraint_and_the_reverse_is_the_transpose() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = (pose(tuple(rng.normal(size=3)), tuple(0.4 * rng.normal(size=3))) for _ in range(2))
        point = np.append(rng.normal(size=3) + [0, 0, 6], 1)
        x, y = (K @ (np.linalg.inv(c2w) @ point)[:3] for c2w in (a, b))
        fundamental = fundamental_matrices(a, K, b, K)
        assert abs(y / y[2] @ fundamental @ (x / x[2])) < 1e-10
        back = fundamental_matrices(b, K, a, K)
        np.testing.assert_allclose(back, fundamental.T * np.sign((back * fundamental.T).sum()), atol=1e-12)


def test_feature_pixels_lie_at_the_centres_of_their_patches() -> None:
    grid = pixel_grid(64, 128, 2, 4)
    assert grid.shape == (8, 3)
    np.testing.assert_allclose(grid[0], [15.5, 15.5, 1])  # the mean of the integers 0 .. 31
    np.testing.assert_allclose(grid[5], [47.5, 47.5, 1])


def test_pseudo_lines_run_through_the_mapped_pixel() -> None:
    pixels = pixel_grid(64, 64, 4, 4)
    zoom = np.diag([0.5, 0.5, 1.0])[None]
    mapped = pixels * [0.5, 0.5, 1]
    for slope in ("horizontal", 0.0, 0.3, 0.99):
        lines = pseudo_lines(pixels, zoom, slope, 64, 64)
        np.testing.assert_allclose(np.hypot(lines[..., 0], lines[..., 1]), 1)
        np.testing.assert_allclose((lines[0] * mapped).sum(-1), 0, atol=1e-9)
    np.testing.assert_allclose(pseudo_lines(pixels, zoom, "horizontal", 64, 64)[0, 5], [0, -1, mapped[5, 1]])


@pytest.mark.parametrize("degrees", [30, 120])
def test_pixels_that_the_other_camera_does_not_see_leave_the_others_their_lines(degrees: float) -> None:
    """Cameras that share a centre: pixels outside the image, or behind it, must not widen the band."""
    turned = pose((0, 0, 0), (0, np.radians(degrees), 0))
    wide = np.array([[40.0, 0, 32], [0, 40.0, 32], [0, 0, 1]])
    cameras = Cameras(np.stack([[pose((0, 0, 0))], [turned]]), wide, 64, 64)
    bias = EpipolarBias(cameras, torch.float32, "cpu").pair(0, 1, 8, 8, 0.0)[0]
    assert torch.isfinite(bias).all()
    pixels = pixel_grid(64, 64, 8, 8)
    rays = (pixels - [32, 32, 0]) / [40, 40, 1] @ turned[:3, :3]
    seen = (rays[:, 2] > 0) & (np.abs(rays[:, :2] / rays[:, 2:] * 40 + 0.5).max(1) <= 32)
    assert seen.any() == (degrees == 30)
    assert (bias[~torch.from_numpy(seen)] == 0).all()
    assert (bias[torch.from_numpy(seen)].amin(1) < -3).all()


def plain_bias(lines: np.ndarray, pixels: np.ndarray, height: int) -> np.ndarray:
    """The official formula for one frame, pixel by pixel."""
    count = len(pixels)
    distance = np.zeros((count, count))
    for x in range(count):
        for y in range(count):
            a, b, _ = lines[x]
            distance[x, y] = abs(pixels[y] @ lines[x]) / (math.sqrt(a * a + b * b) + 1e-6)
    band = 3 / (height // 2) * distance.max()
    return -np.maximum(distance - band, 0) * 3 / (band + 1e-6)


def test_bias_equals_the_plain_formula() -> None:
    cameras = spreading_cameras()
    pixels = pixel_grid(64, 64, 4, 4)
    fundamental = fundamental_matrices(cameras.c2w[0], cameras.K[0], cameras.c2w[2], cameras.K[2])
    lines = epipolar_lines(fundamental, pixels)
    fast = bias_from_lines(torch.from_numpy(lines), torch.from_numpy(pixels), 64).numpy()
    for frame in range(1, cameras.frames):
        np.testing.assert_allclose(fast[frame], plain_bias(lines[frame], pixels, 64), rtol=1e-9, atol=1e-12)


def test_bias_is_zero_on_the_line_and_low_far_from_it() -> None:
    cameras = Cameras(np.stack([[pose((0, 0, 0))], [pose((1, 0, 0))]]), K, 64, 64)
    bias = (
        EpipolarBias(cameras, torch.float32, "cpu").pair(0, 1, 8, 8, 0.5)[0].unflatten(0, (8, 8)).unflatten(-1, (8, 8))
    )
    assert (bias[3, 2, 3] == 0).all()
    assert (bias[3, 2, 7] < -5).all()


def test_bias_is_computed_once_and_only_slopes_change_it() -> None:
    bias = EpipolarBias(spreading_cameras(), torch.float32, "cpu")
    first = bias.pair(0, 1, 8, 8, 0.3)
    before = first.clone()
    again = bias.pair(0, 1, 8, 8, 0.6)
    assert again.data_ptr() == first.data_ptr()
    assert torch.equal(again[1:], before[1:])
    assert not torch.equal(again[0], before[0])
    fresh = EpipolarBias(spreading_cameras(), torch.float32, "cpu").pair(0, 1, 8, 8, 0.6)
    assert torch.equal(again, fresh)


def test_without_a_baseline_a_pixel_may_attend_to_its_counterpart_alone() -> None:
    """Frame 0 has one pose for all views. The others have a baseline and do not change. Slopes have no effect."""
    lines = EpipolarBias(spreading_cameras(), torch.float32, "cpu")
    points = EpipolarBias(spreading_cameras(), torch.float32, "cpu", without_baseline="point")
    bias = points.pair(0, 1, 8, 8, 0.3).clone()
    weights = bias[0].softmax(-1)
    assert torch.equal(weights.argmax(-1), torch.arange(64))
    assert (weights.diagonal() > 0.4).all()
    assert torch.equal(bias[1:], lines.pair(0, 1, 8, 8, 0.3)[1:])
    assert torch.equal(points.pair(0, 1, 8, 8, 0.8), bias)


def test_bias_stays_within_its_budget() -> None:
    size = 4 * 64 * 64 * 4
    bias = EpipolarBias(spreading_cameras(), torch.float32, "cpu", budget=2 * size)
    for query, key in ((0, 1), (1, 0), (0, 2), (2, 0)):
        bias.pair(query, key, 8, 8, 0.3)
    assert sum(kept.nbytes for kept, _ in bias._kept.values()) <= 2 * size


def test_pairs_of_the_present_call_stay_however_small_the_budget() -> None:
    bias = EpipolarBias(spreading_cameras(), torch.float32, "cpu", budget=0)
    context = EpipolarContext(bias, [1, 0, 0], 0.3)
    first = [each.data_ptr() for each in context.biases(8, 8)]
    assert [each.data_ptr() for each in context.biases(8, 8)] == first
    EpipolarContext(bias, [2, 2, 1], 0.3).biases(8, 8)
    assert {name[:2] for name in bias._kept} == {(0, 2), (1, 2), (2, 1)}


@pytest.mark.parametrize("distance", [1e-6, 1e3])
def test_attention_does_not_depend_on_the_scenes_scale(distance: float) -> None:
    cameras = spreading_cameras()
    c2w = cameras.c2w.copy()
    c2w[..., :3, 3] *= distance
    usual, scaled = (
        EpipolarBias(each, torch.float32, "cpu").pair(0, 2, 8, 8, 0.3).softmax(-1)
        for each in (cameras, Cameras(c2w, cameras.K, 64, 64))
    )
    torch.testing.assert_close(scaled, usual, atol=0.005, rtol=0)


@pytest.mark.parametrize("distance", [1e-3, 1e3])
def test_degenerate_frames_do_not_depend_on_the_scenes_scale(distance: float) -> None:
    cameras = spreading_cameras()
    c2w = cameras.c2w.copy()
    c2w[..., :3, 3] *= distance
    scaled = EpipolarBias(Cameras(c2w, cameras.K, 64, 64), torch.float32, "cpu")
    a, b = scaled.pair(0, 1, 8, 8, 0.1).clone(), scaled.pair(0, 1, 8, 8, 0.7)
    changed = [not torch.equal(a[frame], b[frame]) for frame in range(cameras.frames)]
    assert changed == [True, False, False, False]


def test_attention_equals_a_plain_loop() -> None:
    torch.manual_seed(0)
    branches, views, frames, heads, length, width = 2, 3, 4, 2, 16, 5
    query, key, value = torch.randn(3, branches, views, frames, heads, length, width).unbind()
    context = EpipolarContext(EpipolarBias(spreading_cameras(), torch.float32, "cpu"), [1, 0, 0], 0.3)
    biases = context.biases(4, 4)
    fast = epipolar_attention(query, key, value, context.partners, biases)
    for g, v, f, h in np.ndindex(branches, views, frames, heads):
        partner = context.partners[v]
        scores = query[g, v, f, h] @ key[g, partner, f, h].T / math.sqrt(width) + biases[v][f]
        plain = torch.softmax(scores, -1) @ value[g, partner, f, h]
        torch.testing.assert_close(fast[g, v, f, h], plain)


def test_plucker_map_of_a_moved_camera() -> None:
    cameras = Cameras(np.stack([[pose((0, 0, 0)), pose((0, 2, 0))]]), K, 64, 64)
    maps = plucker_maps(cameras)
    assert maps.shape == (1, 2, 6, 64, 64)
    ray = np.array([(40.5 - 32) / 100, (10.5 - 32) / 100, 1.0])
    ray /= np.linalg.norm(ray)
    np.testing.assert_allclose(maps[0, 0, :, 10, 40], [0, 0, 0, *ray], atol=1e-7)
    np.testing.assert_allclose(maps[0, 1, :, 10, 40], [*np.cross([0, 2, 0], ray), *ray], atol=1e-6)
