"""Estimated poses compared with known poses, and areas under the error curves."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.rendered import Room

from cvd.cameras import Cameras
from cvd.evaluation.camera_fidelity import (
    CameraFidelity,
    PoseError,
    camera_fidelity,
    error_auc,
    relative_pose,
    rotation_angle,
    translation_angle,
)
from cvd.evaluation.matching import load_matcher

K = np.array([[200.0, 0, 128], [0, 200, 128], [0, 0, 1]])


def test_areas_by_hand() -> None:
    # Recall rises to 1/2 at error 1 and to 1 at error 3. The area up to 4 is a triangle, a trapezium and a rectangle.
    assert error_auc([3.0, 1.0], [4.0]) == [pytest.approx((0.25 + 1.5 + 1) / 4)]
    assert error_auc([0.0, 0.0], [5.0]) == [pytest.approx(1)]
    assert error_auc([30.0, np.inf], [5, 10]) == [0, 0]
    assert np.isnan(error_auc([], [5])).all()


def test_failures_lower_the_areas() -> None:
    with_failure, without = error_auc([1.0, np.inf], [10]), error_auc([1.0], [10])
    assert with_failure[0] == pytest.approx(without[0] / 2)


def test_angles() -> None:
    turned = Rotation.from_rotvec([0, np.radians(30), 0]).as_matrix()
    assert rotation_angle(turned, np.eye(3)) == pytest.approx(30)
    assert translation_angle(np.array([1.0, 0, 0]), np.array([-2.0, 0, 0])) == pytest.approx(0)
    assert translation_angle(np.array([1.0, 0, 0]), np.array([0, 3.0, 3.0])) == pytest.approx(90)
    assert translation_angle(np.zeros(3), np.array([1.0, 0, 0])) == 90


def test_the_pose_of_projected_points_is_found_among_outliers() -> None:
    rng = np.random.default_rng(0)
    rotation = Rotation.from_rotvec([0.1, -0.2, 0.05]).as_matrix()
    translation = np.array([0.3, 0.1, -0.2])
    points = rng.uniform([-1, -1, 2], [1, 1, 5], (120, 3))
    x, y = (p[:, :2] / p[:, 2:] for p in (points @ K.T, (points @ rotation.T + translation) @ K.T))
    y[:30] = rng.uniform(0, 256, (30, 2))
    found = relative_pose(x, y, K, K, (256, 256))
    assert found is not None
    assert rotation_angle(found[0], rotation) < 0.1
    assert np.degrees(np.arccos(found[1] @ translation / np.linalg.norm(translation))) < 0.5


def test_too_few_matches_give_no_pose() -> None:
    assert relative_pose(np.zeros((7, 2)), np.zeros((7, 2)), K, K, (256, 256)) is None


def test_summary_of_failures_and_of_nothing() -> None:
    errors = [PoseError(0, 1, 50, 1.0, 2.0), PoseError(0, 2, 3, np.inf, np.inf)]
    assert CameraFidelity(errors, 0).failed == 1
    assert CameraFidelity([errors[0]], 0).median() == (1.0, 2.0)
    assert np.isnan(CameraFidelity([], 4).median()).all()


@pytest.mark.slow
class TestRenderedRoom:
    """The cameras of a rendered room are found in its frames."""

    @pytest.fixture(scope="class")
    def features(self, room: Room) -> list:
        matcher = load_matcher("sift")
        return [[matcher.detect(frame) for frame in video] for video in room.videos]

    def test_the_cameras_it_was_rendered_through(self, room: Room, features: list) -> None:
        fidelity = camera_fidelity(room.cameras, features, load_matcher("sift"))
        assert len(fidelity.errors) == 4
        assert (fidelity.failed, fidelity.skipped) == (0, 0)
        rotation, translation = fidelity.median()
        assert rotation < 0.5
        assert translation < 2
        assert fidelity.auc()[0][0] > 0.9

    def test_other_cameras(self, room: Room, features: list) -> None:
        swapped = Cameras(room.cameras.c2w[::-1], room.cameras.K, room.cameras.height, room.cameras.width)
        fidelity = camera_fidelity(swapped, features, load_matcher("sift"))
        assert fidelity.median()[0] > 10
        assert fidelity.auc()[0] == [0, 0, pytest.approx(0, abs=0.2)]

    def test_small_baselines_are_skipped(self, room: Room, features: list) -> None:
        c2w = room.cameras.c2w.copy()
        c2w[1] = np.eye(4)
        still = Cameras(c2w, room.cameras.K, room.cameras.height, room.cameras.width)
        assert camera_fidelity(still, features, load_matcher("sift")).skipped == 2
        assert camera_fidelity(still, features, load_matcher("sift"), smallest_baseline=0.6).skipped == 3
