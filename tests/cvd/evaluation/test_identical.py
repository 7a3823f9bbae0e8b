"""Only views with the same cameras are compared."""

import numpy as np
import pytest

from cvd.cameras import Cameras
from cvd.cameras.patterns import pattern_cameras
from cvd.evaluation.identical import identical_trajectory_errors


def test_only_views_with_the_same_cameras_are_compared() -> None:
    circle = pattern_cameras("circle", 2, 16, 16, frames=2)
    cameras = Cameras(circle.c2w[[0, 1, 0]], circle.K[[0, 1, 0]], 16, 16)
    videos = np.zeros((3, 2, 16, 16, 3))
    videos[2, 1] = 0.2  # half of the frames differ by 0.2
    (error,) = identical_trajectory_errors(videos, cameras)
    assert error.views == (0, 2)
    assert error.mse == pytest.approx(0.02)


def test_what_a_text_file_rounds_off_does_not_matter() -> None:
    circle = pattern_cameras("circle", 2, 16, 16, frames=2)
    cameras = Cameras(np.stack([circle.c2w[0], circle.c2w[0].round(8)]), circle.K, 16, 16)
    assert [error.mse for error in identical_trajectory_errors(np.ones((2, 2, 16, 16, 3)), cameras)] == [0]


def test_another_focal_length_is_another_camera() -> None:
    circle = pattern_cameras("circle", 2, 16, 16, frames=2)
    K = circle.K.copy()
    K[1, :, 0, 0] *= 1.1
    cameras = Cameras(circle.c2w[[0, 0]], K, 16, 16)
    assert identical_trajectory_errors(np.ones((2, 2, 16, 16, 3)), cameras) == []
