"""The starter model's cameras, found by fitting its world to rendered frames."""

import numpy as np
import pytest

from cvd.cameras import Cameras
from cvd.evaluation.camera_fidelity import rotation_angle
from cvd.evaluation.palette import find_objects
from cvd.evaluation.starter_poses import fit_scene, fitted_camera_fidelity, follow_camera
from cvd.starter.render import render
from cvd.starter.world import Ground, Scene, Solid, intrinsics
from cvd.trajectories import look_at, path_to

CUBE = Solid("cube", "blue", x=0.1, z=1.0, size=0.32, yaw=0.9)
SCENE = Scene((CUBE,), Ground("red", "checkered"))
K = intrinsics(64, 64)


def path(*position: float) -> np.ndarray:
    return path_to(np.array(position), look_at(np.array(position)), frames=3)


ASKED = path(0.4, 0.1, 0.0)


@pytest.fixture(scope="module")
def video() -> np.ndarray:
    return render([SCENE] * 3, ASKED)


def test_the_scene_it_was_rendered_from(video: np.ndarray) -> None:
    regions = find_objects(video[:1], np.eye(4)[None], K[None])[0]
    (found,) = fit_scene(video[0], SCENE.ground, regions).solids
    assert (found.shape, found.colour) == ("cube", "blue")
    assert (found.x, found.z, found.size) == pytest.approx((CUBE.x, CUBE.z, CUBE.size), abs=0.01)


def test_the_way_it_was_rendered_along(video: np.ndarray) -> None:
    found = follow_camera(video)
    np.testing.assert_allclose(found[:, :3, 3], ASKED[:, :3, 3], atol=0.01)
    assert max(rotation_angle(a[:3, :3], b[:3, :3]) for a, b in zip(found, ASKED, strict=True)) < 0.5


def test_errors_against_the_asked_way(video: np.ndarray) -> None:
    turned_away = np.stack([ASKED, path(-0.4, 0.1, 0.0)])
    fidelity = fitted_camera_fidelity(video[None].repeat(2, 0), Cameras(turned_away, K, 64, 64))
    assert fidelity.skipped == 0
    right, wrong = fidelity.errors[:2], fidelity.errors[2:]
    assert max(error.rotation for error in right) < 0.5
    assert max(error.translation for error in right) < 3
    assert min(error.rotation for error in wrong) > 10
