"""`pattern_cameras`: its errors, and its use of `protocol.geometry`. The tests of that module check the poses."""

import numpy as np
import pytest

from cvd.cameras.patterns import pattern_cameras
from cvd.errors import RequestError
from protocol.geometry import PATTERNS, pattern_intrinsics, pattern_poses


@pytest.mark.parametrize("pattern", PATTERNS)
def test_cameras_of_a_pattern(pattern: str) -> None:
    cameras = pattern_cameras(pattern, 3, 64, 96, frames=5, camera_dist=0.25)
    assert (cameras.height, cameras.width) == (64, 96)
    np.testing.assert_array_equal(cameras.c2w, pattern_poses(pattern, 3, 5, 0.25))
    np.testing.assert_array_equal(cameras.K[2, 4], pattern_intrinsics((64, 96)))
    assert pattern_cameras(pattern, 3, 64, 96).frames == 16


def test_distance_of_the_motion() -> None:
    far, near = (pattern_cameras("circle", 4, 64, 96, camera_dist=distance) for distance in (1, 0.25))
    np.testing.assert_allclose(near.largest_motion() * 4, far.largest_motion())
    assert pattern_cameras("circle", 4, 64, 96, camera_dist=0).largest_motion() == 0


@pytest.mark.parametrize("distance", [-1, np.nan, np.inf])
def test_impossible_distances(distance: float) -> None:
    with pytest.raises(RequestError, match="camera distance"):
        pattern_cameras("circle", 2, 64, 96, camera_dist=distance)


def test_impossible_patterns() -> None:
    with pytest.raises(RequestError, match="too many"):
        pattern_cameras("circle", 10**9, 64, 96)
    with pytest.raises(RequestError, match="0 views"):
        pattern_cameras("circle", 0, 64, 96)
    with pytest.raises(RequestError, match='no camera pattern "spiral"'):
        pattern_cameras("spiral", 2, 64, 96)
    with pytest.raises(RequestError, match="width is 100 pixels"):
        pattern_cameras("circle", 2, 64, 100)
