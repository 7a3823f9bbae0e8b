"""Distances from epipolar lines in simple cases, and consistency of rendered views."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.rendered import Room

from cvd.cameras import Cameras
from cvd.evaluation.consistency import (
    PairGeometry,
    ViewMatches,
    frame_consistency,
    match_views,
    symmetric_epipolar_distance,
    symmetric_transfer_error,
)
from cvd.evaluation.matching import Matches, load_matcher

SIDEWAYS = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""F of a camera that moved along x: a point stays in its row."""

K = np.array([[80.0, 0, 48], [0, 80, 32], [0, 0, 1]])

matchers = pytest.mark.parametrize("name", ["sift", "disk"])


def two_cameras(rotation: np.ndarray, centre: np.ndarray) -> Cameras:
    c2w = np.tile(np.eye(4), (2, 1, 1, 1))
    c2w[1, 0, :3, :3], c2w[1, 0, :3, 3] = rotation, centre
    return Cameras(c2w, K, 64, 96)


def project(points: np.ndarray, c2w: np.ndarray) -> np.ndarray:
    pixels = (points - c2w[:3, 3]) @ c2w[:3, :3] @ K.T
    return pixels[:, :2] / pixels[:, 2:]


def matches(x: np.ndarray, y: np.ndarray, keypoints: int = 10) -> Matches:
    return Matches(x, y, np.ones(len(x)), keypoints)


def test_the_distance_from_a_horizontal_line_is_that_of_rows() -> None:
    x = np.array([[10.0, 20], [30, 40], [5, 5]])
    y = np.array([[70.0, 20], [12, 43], [90, 1]])
    np.testing.assert_allclose(symmetric_epipolar_distance(SIDEWAYS, x, y), [0, 3, 4], atol=1e-12)


def test_the_distance_is_the_mean_of_both_images() -> None:
    # The second image is twice as large, so the distance of the rows is 6 pixels in it and 3 in the first.
    F = np.linalg.inv(np.diag([2.0, 2, 1])).T @ SIDEWAYS
    distance = symmetric_epipolar_distance(F, np.array([[10.0, 20]]), np.array([[50.0, 46]]))
    np.testing.assert_allclose(distance, (6 + 3) / 2)


def test_the_transfer_error_is_the_mean_of_both_images() -> None:
    H = np.diag([2.0, 2, 1])
    np.testing.assert_allclose(symmetric_transfer_error(H, np.array([[1.0, 2]]), np.array([[5.0, 8]])), (5 + 2.5) / 2)


@given(seed=st.integers(0, 10_000))
def test_projections_of_the_same_points_obey_the_cameras(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rotation = Rotation.from_rotvec(rng.uniform(-0.3, 0.3, 3)).as_matrix()
    points = rng.uniform([-1, -1, 3], [1, 1, 6], (8, 3))
    for centre in (rng.uniform(-0.5, 0.5, 3), np.zeros(3)):
        cameras = two_cameras(rotation, centre)
        x, y = (project(points, cameras.c2w[view, 0]) for view in (0, 1))
        geometry = PairGeometry.of(cameras, (0, 1), 0)
        assert geometry.degenerate == (not centre.any())
        np.testing.assert_allclose(geometry.distances(x, y), 0, atol=1e-6)
        np.testing.assert_allclose(geometry.reverse.distances(y, x), 0, atol=1e-6)
        # One of these steps leads away from the lines, whatever their direction is.
        assert max(geometry.distances(x, y + step).max() for step in ([0, 3], [3, 0])) > 0.5


def test_one_frames_measures() -> None:
    x = np.array([[10.0, 20], [30, 40], [50, 50], [60, 10]])
    y = x + [[5, 0], [5, 0.5], [5, 2], [5, 4]]
    found = ViewMatches((0, 1), 0, matches(x, y, keypoints=8))
    measures = frame_consistency(two_cameras(np.eye(3), np.array([0.1, 0, 0])), found, correct_within=0.01)
    assert (measures.matches, measures.precision, measures.matching_score) == (4, 0.5, 0.25)
    assert measures.median_distance == pytest.approx(1.25)
    assert not measures.degenerate


def test_a_frame_without_matches_is_not_precise() -> None:
    found = ViewMatches((0, 1), 0, matches(np.zeros((0, 2)), np.zeros((0, 2)), keypoints=0))
    measures = frame_consistency(two_cameras(np.eye(3), np.array([0.1, 0, 0])), found)
    assert (measures.matches, measures.precision, measures.matching_score) == (0, 0, 0)
    assert np.isnan(measures.median_distance)


def test_a_point_outside_the_other_image_cannot_be_seen_there() -> None:
    aside = PairGeometry.of(two_cameras(np.eye(3), np.array([0.1, 0, 0])), (0, 1), 0)
    assert aside.may_be_seen(np.array([20.0, 30]), 64, 96)
    assert not aside.may_be_seen(np.array([20.0, 70]), 64, 96)
    turned = two_cameras(Rotation.from_rotvec([0, 0.5, 0]).as_matrix(), np.zeros(3))
    geometry = PairGeometry.of(turned, (0, 1), 0)
    assert geometry.may_be_seen(np.array([90.0, 32]), 64, 96)
    assert not geometry.may_be_seen(np.array([10.0, 32]), 64, 96)


@pytest.mark.slow
@matchers
def test_rendered_views_agree_and_unrelated_ones_do_not(name: str, room: Room) -> None:
    matcher = load_matcher(name)
    features = [[matcher.detect(frame) for frame in video] for video in room.videos]
    together = [frame_consistency(room.cameras, found) for found in match_views(features, matcher)]
    assert [frame.degenerate for frame in together] == [True, False, False]
    for frame in together:
        assert frame.matches >= 40
        assert frame.precision >= 0.85
        assert frame.median_distance <= 0.5
        assert frame.matching_score >= 0.1
    last = ViewMatches((0, 1), 2, matcher.match(features[0][2], matcher.detect(room.other[1, 2])))
    unrelated = frame_consistency(room.cameras, last)
    assert unrelated.precision <= 0.3
    assert unrelated.matching_score <= 0.02
    assert not unrelated.median_distance <= 3


@matchers
def test_points_are_in_pixels_of_the_image_as_given(name: str, room: Room) -> None:
    """In an enlarged image all coordinates are larger by the same factor, because the origin is the image's corner."""
    matcher = load_matcher(name)
    small = room.videos[0, 0, :80, :80]
    large = small.repeat(2, 0).repeat(2, 1)
    found = matcher.match(matcher.detect(small), matcher.detect(large))
    assert len(found.x) >= 15
    assert np.abs(np.median(found.y - 2 * found.x, axis=0)).max() < 0.3
    assert found.x.min() > 0
    assert found.x.max() < 80


@matchers
def test_an_empty_image_has_no_matches(name: str, room: Room) -> None:
    matcher = load_matcher(name)
    found = matcher.match(matcher.detect(room.videos[0, 0]), matcher.detect(np.full((64, 64, 3), 128, np.uint8)))
    assert found.x.shape == found.y.shape == (0, 2)
