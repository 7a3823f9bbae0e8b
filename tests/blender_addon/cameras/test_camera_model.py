"""Intrinsics and poses of Blender's cameras, against values worked out by hand."""

import math

import numpy as np
import pytest

from blender_addon.cameras.camera_model import (
    CameraRefusedError,
    Lens,
    RenderSize,
    camera_to_world,
    intrinsics,
    view_extent,
)


def project(K: np.ndarray, point: tuple[float, float, float]) -> np.ndarray:
    """Pixel of a point in the camera's own axes (x right, y down, z forward)."""
    pixel = K @ np.asarray(point)
    return pixel[:2] / pixel[2]


def test_a_landscape_image_fits_the_sensor_across() -> None:
    K = intrinsics(Lens(50.0, 36.0, 24.0, "AUTO"), RenderSize(1920, 1080))
    np.testing.assert_allclose(K, [[50 / 36 * 1920, 0, 960], [0, 50 / 36 * 1920, 540], [0, 0, 1]])


def test_a_portrait_image_fits_the_sensors_width_along_its_height() -> None:
    K = intrinsics(Lens(50.0, 36.0, 24.0, "AUTO"), RenderSize(1080, 1920))
    assert K[0, 0] == K[1, 1] == pytest.approx(50 / 36 * 1920)


def test_vertical_fit_measures_the_sensors_height() -> None:
    K = intrinsics(Lens(50.0, 36.0, 24.0, "VERTICAL"), RenderSize(1920, 1080))
    assert K[0, 0] == pytest.approx(50 / 24 * 1080)


def test_a_shift_of_a_half_moves_the_axis_to_the_images_edge() -> None:
    K = intrinsics(Lens(50.0, 36.0, 24.0, "AUTO", shift_x=0.5), RenderSize(640, 480))
    assert project(K, (0, 0, 1)) == pytest.approx([0, 240])
    K = intrinsics(Lens(50.0, 36.0, 24.0, "HORIZONTAL", shift_y=0.375), RenderSize(640, 480))
    assert project(K, (0, 0, 1)) == pytest.approx([320, 480])


def test_the_percentage_rounds_down() -> None:
    size = RenderSize(1001, 333, percentage=50)
    assert (size.width, size.height) == (500, 166)


def test_oblong_pixels_change_the_focal_length_in_one_direction() -> None:
    K = intrinsics(Lens(36.0, 36.0, 24.0, "HORIZONTAL"), RenderSize(720, 576, 100, 1.0, 1.25))
    assert (K[0, 0], K[1, 1]) == pytest.approx((720, 720 / 1.25))


def test_a_shift_is_a_share_of_the_fitted_side_also_with_oblong_pixels() -> None:
    """A shift of 0.1 moves the centre by 72 pixel widths, which are 57.6 pixel heights."""
    size = RenderSize(720, 576, 100, 2.0, 2.5)
    K = intrinsics(Lens(36.0, 36.0, 24.0, "HORIZONTAL", shift_x=0.1, shift_y=0.1), size)
    assert (K[0, 2], K[1, 2]) == pytest.approx((360 - 72, 288 + 57.6))


def test_a_camera_without_rotation_looks_down() -> None:
    matrix = np.eye(4)
    matrix[:3, 3] = 1, 2, 3
    c2w = camera_to_world(matrix, "c")
    assert c2w[:3, :3] @ [0, 0, 1] == pytest.approx([0, 0, -1])  # forward
    assert c2w[:3, :3] @ [0, 1, 0] == pytest.approx([0, -1, 0])  # down
    assert c2w[:3, 3] == pytest.approx([1, 2, 3])


def test_scale_is_taken_out_even_where_it_differs_between_axes() -> None:
    angle = math.radians(30)
    turn = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([2.0, 3.0, 0.5])
    assert camera_to_world(matrix, "c")[:3, :3] == pytest.approx(turn @ np.diag([1, -1, -1]))


@pytest.mark.parametrize(
    ("axes", "word"),
    [
        (np.diag([-1.0, 1.0, 1.0]), "mirrored"),
        (np.array([[1.0, 0.3, 0], [0, 1, 0], [0, 0, 1]]), "sheared"),
        (np.diag([0.0, 1.0, 1.0]), "nothing"),
    ],
)
def test_poses_that_no_camera_has_are_refused_by_name(axes: np.ndarray, word: str) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    with pytest.raises(CameraRefusedError, match=f"“Front”.*{word}") as caught:
        camera_to_world(matrix, "Front")
    assert caught.value.problem.hint


def test_the_views_extent_is_what_its_corners_project_to() -> None:
    size = RenderSize(720, 576, 100, 1.0, 1.25)
    lens = Lens(40.0, 32.0, 18.0, "AUTO")
    width, height = view_extent(lens.sensor_fit, size)
    at_one = lens.sensor / lens.focal_length
    corner = project(intrinsics(lens, size), (width / 2 * at_one, height / 2 * at_one, 1))
    assert corner == pytest.approx([720, 576])
