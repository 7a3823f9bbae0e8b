"""The renderer's geometry: colours appear where projected points fall, in every view."""

import numpy as np
import pytest

from cvd.starter.camera_paths import LOWEST, look_at, path_to, sample_pair
from cvd.starter.render import render
from cvd.starter.world import CAMERA_HEIGHT, Ground, Scene, Solid, ground_from_camera, intrinsics

SIZE = 64
IDENTITY = np.eye(4)
RED_BALL = Solid("sphere", "red", x=0.1, z=1.1, size=0.3)
SCENE = Scene((RED_BALL,), Ground("white"))


def camera_point(x: float, y: float, z: float) -> np.ndarray:
    """Ground coordinates to frame-0 camera coordinates."""
    return (np.linalg.inv(ground_from_camera()) @ (x, y, z, 1.0))[:3]


def project(point: np.ndarray, c2w: np.ndarray) -> np.ndarray:
    x, y, depth = intrinsics(SIZE, SIZE) @ (np.linalg.inv(c2w) @ (*point, 1.0))[:3]
    return np.array([x / depth, y / depth])


def red_centroid(image: np.ndarray) -> np.ndarray:
    red, green, blue = image.astype(float).transpose(2, 0, 1)
    rows, columns = np.nonzero((red > 60) & (red > 1.8 * green) & (red > 1.8 * blue))
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5])


def end_pose(*position: float) -> np.ndarray:
    return path_to(np.array(position), look_at(np.array(position)))[-1]


POSES = [IDENTITY, end_pose(0.5, 0, 0), end_pose(-0.3, -0.4, 0.1), end_pose(0, 0.4, 0)]


def test_the_look_at_point_is_above_the_ground_and_ahead():
    x, height, ahead = (ground_from_camera() @ (0, 0, 1, 1))[:3]
    assert x == 0
    assert height == pytest.approx(0.6 - np.sin(np.deg2rad(22)))
    assert ahead == pytest.approx(np.cos(np.deg2rad(22)))
    assert (ground_from_camera() @ (0, 0, 0, 1))[1] == CAMERA_HEIGHT


@pytest.mark.parametrize("pose", POSES)
def test_a_ball_appears_where_its_centre_projects(pose: np.ndarray):
    expected = project(camera_point(RED_BALL.x, RED_BALL.size / 2, RED_BALL.z), pose)
    found = red_centroid(render([SCENE], pose[None], SIZE, SIZE)[0])
    assert np.abs(found - expected).max() < 1.2


def test_two_views_agree_along_their_epipolar_line():
    first, second = end_pose(0.45, 0, 0), end_pose(-0.2, -0.4, 0)
    images = render([SCENE, SCENE], np.stack([first, second]), SIZE, SIZE)
    K, relative = intrinsics(SIZE, SIZE), np.linalg.inv(second) @ first
    tx, ty, tz = relative[:3, 3]
    cross = np.array([[0, -tz, ty], [tz, 0, -tx], [-ty, tx, 0]])
    fundamental = np.linalg.inv(K).T @ cross @ relative[:3, :3] @ np.linalg.inv(K)
    line = fundamental @ (*red_centroid(images[0]), 1)
    distance = abs(line @ (*red_centroid(images[1]), 1)) / np.hypot(*line[:2])
    assert distance < 1.5


def test_the_cube_stands_on_the_ground_with_its_edge_length():
    cube = Solid("cube", "red", x=0, z=1.0, size=0.4, yaw=0)
    image = render([Scene((cube,), Ground("white"))], IDENTITY[None], SIZE, SIZE)[0]
    top_front = project(camera_point(0, 0.4, 0.8), IDENTITY)
    bottom_front = project(camera_point(0, 0, 0.8), IDENTITY)
    inside = [top_front + (0, 3), bottom_front - (0, 3), (top_front + bottom_front) / 2]
    for x, y in inside:
        red, green, _ = image[int(y), int(x)].astype(int)
        assert red > 2 * green
    x, y = bottom_front + (0, 3)
    assert np.ptp(image[int(y), int(x)].astype(int)) < 40


def test_nearer_solids_hide_farther_ones_and_cast_shadows():
    front, behind = Solid("sphere", "blue", 0, 0.9, 0.4), Solid("sphere", "red", 0, 1.35, 0.25)
    hidden = render([Scene((behind, front), Ground("white"))], IDENTITY[None], SIZE, SIZE)[0]
    x, y = project(camera_point(0, 0.2, 0.9), IDENTITY).astype(int)
    assert hidden[y, x, 2] > 2 * hidden[y, x, 0]
    empty = render([Scene((), Ground("white"))], IDENTITY[None], SIZE, SIZE)[0]
    assert (empty.astype(int) - hidden.astype(int) > 60).all(-1).sum() > 10


def test_a_checkered_ground_has_two_tones_and_a_plain_one_has_one():
    images = render(
        [Scene((), Ground("green", pattern)) for pattern in ("plain", "checkered")],
        np.stack([IDENTITY] * 2),
        SIZE,
        SIZE,
    )
    plain, checkered = (image[40:].astype(float)[..., 0].std() for image in images)
    assert plain < 5 < 25 < checkered


def test_pairs_share_their_first_frame_and_stay_above_the_ground():
    rng = np.random.default_rng(0)
    identical = 0
    for _ in range(200):
        pair = sample_pair(rng)
        np.testing.assert_allclose(pair[:, 0], np.broadcast_to(IDENTITY, (2, 4, 4)), atol=1e-12)
        np.testing.assert_allclose(
            pair[..., :3, :3] @ pair[..., :3, :3].mT, np.broadcast_to(np.eye(3), (2, 16, 3, 3)), atol=1e-9
        )
        heights = (ground_from_camera() @ pair[..., 3, None])[..., 1, 0]
        assert heights.min() > 0.1
        assert pair[..., 1, 3].max() <= LOWEST
        identical += np.array_equal(pair[0], pair[1])
    assert 5 < identical < 50


def test_one_scene_per_camera_is_required():
    with pytest.raises(ValueError, match="one scene per camera"):
        render([SCENE], np.stack([IDENTITY] * 2))
