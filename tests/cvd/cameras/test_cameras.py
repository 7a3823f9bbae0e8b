import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cvd import Cameras
from cvd.errors import CameraError, RequestError

HEIGHT, WIDTH = 64, 96
K = np.array([[60.0, 0, 48], [0, 60.0, 32], [0, 0, 1]])
STILL = np.tile(np.eye(4), (2, 3, 1, 1))


def with_pose(change: np.ndarray) -> np.ndarray:
    c2w = STILL.copy()
    c2w[1, 2] = change
    return c2w


def test_intrinsics_broadcast_over_views_and_frames() -> None:
    cameras = Cameras(STILL, K, HEIGHT, WIDTH)
    assert (cameras.views, cameras.frames) == (2, 3)
    assert cameras.K.shape == (2, 3, 3, 3)


def size(cameras: Cameras) -> tuple[int, int]:
    return cameras.height, cameras.width


def test_resizing_keeps_what_the_camera_sees() -> None:
    resized = Cameras(STILL, K, HEIGHT, WIDTH).resized(128, 48)
    assert size(resized) == (128, 48)
    np.testing.assert_allclose(resized.K[1, 2], [[30, 0, 24], [0, 120, 64], [0, 0, 1]])


def test_cropping_keeps_pixels_square_and_the_centre_in_place() -> None:
    intrinsics = np.array([[100.0, 0, 100], [0, 100, 30], [0, 0, 1]])
    # Half the size, and 16 of 96 columns are cut at each side.
    cropped = Cameras(STILL, intrinsics, 64, 192).cropped(32, 64)
    assert size(cropped) == (32, 64)
    np.testing.assert_allclose(cropped.K[1, 2], [[50, 0, 34], [0, 50, 15], [0, 0, 1]])


def moving() -> Cameras:
    """The first of two views moves by 15 units in 16 frames and zooms. Every frame shows its number."""
    c2w = np.tile(np.eye(4), (2, 16, 1, 1))
    c2w[0, :, 0, 3] = 3 + np.arange(16)
    zoomed = np.tile(K, (2, 16, 1, 1))
    zoomed[0, :, 0, 0] += np.arange(16)
    return Cameras(c2w, zoomed, HEIGHT, WIDTH)


def test_fewer_frames_are_the_nearest_ones() -> None:
    cameras = moving().resampled(7)
    assert size(cameras) == (HEIGHT, WIDTH)
    nearest = [0, 2, 5, 8, 10, 12, 15]  # of 0, 2.5, 5, 7.5, 10, 12.5, 15
    assert (cameras.c2w[0, :, 0, 3] - 3).tolist() == nearest
    assert (cameras.K[0, :, 0, 0] - 60).tolist() == nearest


def test_impossible_numbers_of_frames() -> None:
    with pytest.raises(RequestError, match="0 frames"):
        moving().resampled(0)
    with pytest.raises(RequestError, match="-1 frames"):
        moving().resampled(-1)
    with pytest.raises(RequestError, match="too many"):
        moving().resampled(10**12)


def test_more_frames_than_there_are_lie_between_them() -> None:
    c2w = np.tile(np.eye(4), (1, 3, 1, 1))
    c2w[0, :, :3, 3] = [[0, 0, 0], [1, 2, 0], [1, 2, 4]]
    c2w[0, :, :3, :3] = Rotation.from_rotvec(np.radians([[0, 0, 0], [0, 40, 0], [0, 0, 0]])).as_matrix()
    zoom = np.tile(K, (1, 3, 1, 1))
    zoom[0, :, 0, 0] = [60, 60, 90]
    finer = Cameras(c2w, zoom, HEIGHT, WIDTH).resampled(9)
    assert size(finer) == (HEIGHT, WIDTH)
    np.testing.assert_allclose(finer.c2w[:, ::4], c2w, atol=1e-12)
    np.testing.assert_allclose(finer.c2w[0, 1, :3, 3], [0.25, 0.5, 0])
    np.testing.assert_allclose(finer.c2w[0, 6, :3, 3], [1, 2, 2])
    turned = Rotation.from_matrix(finer.c2w[0, :, :3, :3]).magnitude()
    np.testing.assert_allclose(np.degrees(turned), [0, 10, 20, 30, 40, 30, 20, 10, 0], atol=1e-6)
    np.testing.assert_allclose(finer.K[0, :, 0, 0], [60, 60, 60, 60, 60, 67.5, 75, 82.5, 90])


def test_one_frame_stands_still() -> None:
    cameras = moving().window(3, 1).resampled(4)
    np.testing.assert_array_equal(cameras.c2w, np.repeat(moving().c2w[:, 3:4], 4, axis=1))
    np.testing.assert_array_equal(cameras.K, np.repeat(moving().K[:, 3:4], 4, axis=1))


def test_scale_of_the_motion() -> None:
    assert moving().largest_motion() == pytest.approx(15)
    assert moving().scaled(0.25).largest_motion() == pytest.approx(3.75)


def test_poses_relative_to_each_views_own_first_frame() -> None:
    c2w = STILL.copy()
    c2w[0, :, 0, 3] = [5, 6, 7]
    c2w[1, :, 2, 3] = [1, 1, 4]
    relative = Cameras(c2w, K, HEIGHT, WIDTH).relative_to_first_frame()
    np.testing.assert_allclose(relative[0, :, :3, 3], [[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    np.testing.assert_allclose(relative[1, :, :3, 3], [[0, 0, 0], [0, 0, 0], [0, 0, 3]])


@pytest.mark.parametrize(
    ("c2w", "message"),
    [
        (np.eye(4), "shape"),
        ([["a"]], "not an array of numbers"),
        (with_pose(np.full((4, 4), 1e200)), "view 1 in frame 2 has numbers beyond"),
        (with_pose(np.zeros((4, 4)) + np.diag([0, 0, 0, 1])), "view 1 in frame 2 is not rigid"),
        (np.zeros((0, 16, 4, 4)), "at least one"),
        (with_pose(np.full((4, 4), np.nan)), "view 1 in frame 2 is not finite"),
        (with_pose(np.diag([2.0, 2, 2, 1])), "view 1 in frame 2 is not rigid"),
        (with_pose(np.diag([-1.0, 1, 1, 1])), "view 1 in frame 2 is mirrored"),
        (with_pose(np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [3, 0, 0, 1]])), "last row"),
    ],
)
def test_impossible_poses(c2w: np.ndarray, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        Cameras(c2w, K, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("intrinsics", "message"),
    [
        (np.eye(4), "K has shape"),
        (np.full((3, 3), np.inf), "not finite"),
        (np.diag([0.0, 60, 1]), "focal length"),
        (np.diag([60.0, 1e-30, 1]), "focal length"),
        (np.diag([60.0, 1e30, 1]), "beyond"),
        (K.T, "last row"),
        (K + np.array([[0, 2.0, 0], [0, 0, 0], [0, 0, 0]]), "skew"),
    ],
)
def test_impossible_intrinsics(intrinsics: np.ndarray, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        Cameras(STILL, intrinsics, HEIGHT, WIDTH)


def test_cameras_do_not_change() -> None:
    given = STILL.copy()
    cameras = Cameras(given, K, HEIGHT, WIDTH)
    given[:] = 0
    assert np.array_equal(cameras.c2w, STILL)
    for array in (cameras.c2w, cameras.K):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(("height", "width"), [(60, 64), (64, 0), (64, -8), (64.0, 64), (64, float("nan"))])
def test_impossible_sizes(height: int, width: int) -> None:
    with pytest.raises(RequestError, match="multiple of 8"):
        Cameras(STILL, K, height, width)
