"""Poses of the starter model's world are found by aligning the ground of rendered frames."""

import numpy as np
import pytest

from cvd.cameras import Cameras
from cvd.evaluation.camera_fidelity import rotation_angle
from cvd.evaluation.starter.poses import aligned_camera_fidelity, asks_for_telling_ground, follow_camera
from cvd.starter.render import render
from cvd.starter.world import Ground, Scene, Sky, Solid, intrinsics
from protocol.geometry import look_at, path_to

FRAMES = 8
BALL = Solid("sphere", "blue", x=-0.2, z=1.0, size=0.32, velocity=(-0.3, 0.2))
SCENE = Scene((BALL,), Ground("red", "checkered"), Sky("sunset", azimuth=1.0, elevation=0.6))
K = np.tile(intrinsics(128, 128), (FRAMES, 1, 1))


def path(*position: float) -> np.ndarray:
    return path_to(np.array(position), look_at(np.array(position)), frames=FRAMES)


ASKED = path(0.4, 0.1, 0.1)


def video_of(scene: Scene, lenses: np.ndarray) -> np.ndarray:
    return render([scene] * FRAMES, ASKED, K=lenses, times=np.linspace(0, 1, FRAMES))


@pytest.mark.parametrize(("pattern", "zoom"), [("checkered", 1.0), ("dotted", 1.0), ("dotted", 1.2)])
def test_the_way_it_was_rendered_along(pattern: str, zoom: float) -> None:
    """The poses are found with a rolling ball in the scene, and while the lens changes."""
    lenses = K.copy()
    lenses[:, :2, :2] *= np.linspace(1, zoom, FRAMES)[:, None, None]
    found = follow_camera(video_of(Scene(SCENE.solids, Ground("red", pattern), SCENE.sky), lenses), lenses)
    np.testing.assert_allclose(found[:, :3, 3], ASKED[:, :3, 3], atol=0.04)
    assert max(rotation_angle(a[:3, :3], b[:3, :3]) for a, b in zip(found, ASKED, strict=True)) < 1.5


@pytest.mark.slow
def test_errors_against_the_asked_way() -> None:
    video = video_of(SCENE, K)
    turned_away = np.stack([ASKED, path(-0.4, 0.1, 0.1)])
    fidelity = aligned_camera_fidelity(video[None].repeat(2, 0), Cameras(turned_away, K, 128, 128))
    assert fidelity.skipped == 2, "the first step is too small to have a direction"
    right, wrong = ([error for error in fidelity.errors if error.view == view] for view in (0, 1))
    assert max(error.rotation for error in right) < 1.5
    assert max(error.translation for error in right) < 5
    assert min(error.rotation for error in wrong[1:]) > 10


@pytest.mark.parametrize(
    ("prompt", "telling"),
    [
        ("a red cube on a green checkered floor", True),
        ("a red cube on a dotted green ground at sunset", True),
        ("a red cube on a striped green floor", False),
        ("a red checkered cube on a green floor", False),
        ("a checkered ball on the floor", False),
        ("", False),
    ],
)
def test_grounds_on_which_poses_can_be_found(prompt: str, telling: bool) -> None:
    assert asks_for_telling_ground(prompt) == telling
