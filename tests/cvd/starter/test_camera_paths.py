"""Camera paths start at one pose, stay above the ground, and move according to their kind."""

import numpy as np
import pytest

from cvd.starter.camera_paths import KINDS, LOWEST, MOST_ZOOM, SHARES, sample_pair
from cvd.starter.world import ground_from_camera, intrinsics


def test_pairs_share_their_first_frame_and_stay_above_the_ground():
    rng = np.random.default_rng(0)
    identical = 0
    for _ in range(300):
        pair = sample_pair(rng)
        assert pair.c2w.shape == (2, 16, 4, 4)
        np.testing.assert_allclose(pair.c2w[:, 0], np.broadcast_to(np.eye(4), (2, 4, 4)), atol=1e-9)
        np.testing.assert_array_equal(pair.zoom[:, 0], 1)
        turns = pair.c2w[..., :3, :3]
        np.testing.assert_allclose(turns @ turns.mT, np.broadcast_to(np.eye(3), turns.shape), atol=1e-9)
        heights = (ground_from_camera() @ pair.c2w[..., 3, None])[..., 1, 0]
        assert heights.min() > 0.1
        assert pair.c2w[..., 1, 3].max() <= LOWEST
        identical += np.array_equal(pair.c2w[0], pair.c2w[1]) and np.array_equal(pair.zoom[0], pair.zoom[1])
    assert 0.2 < identical / 300 < 0.4, "IDENTICAL_SHARE of the pairs, and pairs with two static paths"


@pytest.mark.parametrize("kind", KINDS)
def test_paths_are_smooth(kind: str):
    rng = np.random.default_rng(1)
    for _ in range(20):
        path = KINDS[kind](rng, 16)
        steps = np.linalg.norm(np.diff(path.c2w[:, :3, 3], axis=0), axis=1)
        assert steps.max() < 0.12
        assert abs(np.diff(path.c2w[:, :3, 3], n=2, axis=0)).max() < 0.03
        assert abs(np.diff(np.log(path.zoom))).max() < 0.08


def test_half_of_the_paths_are_official_patterns():
    shares = dict(zip(KINDS, SHARES, strict=True))
    assert sum(SHARES) == pytest.approx(1)
    assert shares["circle"] + shares["interpolate"] == pytest.approx(0.5)


def test_orbits_keep_their_height_and_look_at_the_same_point():
    path = KINDS["orbit"](np.random.default_rng(2), 16)
    poses = ground_from_camera() @ path.c2w
    np.testing.assert_allclose(poses[:, 1, 3], poses[0, 1, 3])
    target = np.linalg.inv(path.c2w) @ [0, 0, 1, 1]
    np.testing.assert_allclose(target[:, :3], np.broadcast_to([0, 0, 1], (16, 3)), atol=1e-9)
    assert np.linalg.norm(path.c2w[-1, :3, 3]) > 0.05


def test_only_zooms_change_the_lens_and_keep_the_principal_point():
    rng = np.random.default_rng(3)
    ends = []
    for kind, draw in KINDS.items():
        path = draw(rng, 16)
        assert (kind == "zoom") == (path.zoom != 1).any()
    for _ in range(100):
        path = KINDS["zoom"](rng, 16)
        ends.append(path.zoom[-1])
        K = path.K(64, 64)
        assert K.shape == (16, 3, 3)
        np.testing.assert_allclose(K[:, :2, 2], 32)
        np.testing.assert_allclose(K[:, 0, 0], path.zoom * intrinsics(64, 64)[0, 0])
    assert 1 / MOST_ZOOM <= min(ends) < 0.7
    assert 1.4 < max(ends) <= MOST_ZOOM
