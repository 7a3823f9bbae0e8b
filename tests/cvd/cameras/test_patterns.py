import numpy as np
import pytest

from cvd.cameras.patterns import PATTERNS, TARGET, pattern_cameras
from cvd.errors import RequestError


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("views", [1, 2, 3, 5, 8])
def test_views_start_together_and_end_looking_at_the_target(pattern: str, views: int) -> None:
    cameras = pattern_cameras(pattern, views, 64, 96)
    np.testing.assert_allclose(cameras.c2w[:, 0], np.tile(np.eye(4), (views, 1, 1)), atol=1e-12)
    end = cameras.c2w[:, -1]
    to_target = TARGET - end[:, :3, 3]
    np.testing.assert_allclose(end[:, :3, 2], to_target / np.linalg.norm(to_target, axis=-1, keepdims=True), atol=1e-9)
    np.testing.assert_allclose(end[:, 1, 0], 0, atol=1e-9)  # the x axis stays horizontal


def test_end_points_are_the_official_ones() -> None:
    def ends(pattern: str, views: int) -> np.ndarray:
        return pattern_cameras(pattern, views, 64, 64).c2w[:, -1, :3, 3]

    np.testing.assert_allclose(ends("circle", 4), [[0.5, 0, 0], [0, 0.5, 0], [-0.5, 0, 0], [0, -0.5, 0]], atol=1e-12)
    np.testing.assert_allclose(ends("upper_hemi", 3), [[-0.5, 0, 0], [0, -0.5, 0], [0.5, 0, 0]], atol=1e-12)
    middle = 0.5 * np.array([0, 0.3 * np.cos(np.pi / 2 + 0.5), -0.2])
    np.testing.assert_allclose(ends("interpolate", 3)[1], middle, atol=1e-12)


def test_motion_is_even() -> None:
    centres = pattern_cameras("circle", 2, 64, 64).c2w[0, :, :3, 3]
    np.testing.assert_allclose(np.diff(centres, axis=0), np.tile([0.5 / 15, 0, 0], (15, 1)), atol=1e-12)


def test_official_intrinsics() -> None:
    K = pattern_cameras("circle", 1, 256, 256).K[0, 0]
    np.testing.assert_allclose(K, [[223.578, 0, 128], [0, 223.578, 128], [0, 0, 1]])


def test_distance_of_the_motion() -> None:
    far, near = (pattern_cameras("circle", 4, 64, 64, camera_dist=distance) for distance in (1, 0.25))
    np.testing.assert_allclose(near.largest_motion() * 4, far.largest_motion())
    assert pattern_cameras("circle", 4, 64, 64, camera_dist=0).largest_motion() == 0


@pytest.mark.parametrize("distance", [-1, np.nan, np.inf])
def test_impossible_distances(distance: float) -> None:
    with pytest.raises(RequestError, match="camera distance"):
        pattern_cameras("circle", 2, 64, 64, camera_dist=distance)


def test_impossible_patterns() -> None:
    with pytest.raises(RequestError, match="too many"):
        pattern_cameras("circle", 10**9, 64, 64)
    with pytest.raises(RequestError, match="0 views"):
        pattern_cameras("circle", 0, 64, 64)
    with pytest.raises(RequestError, match='no camera pattern "spiral"'):
        pattern_cameras("spiral", 2, 64, 64)
