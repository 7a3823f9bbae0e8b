"""Sampled scenes: every solid is visible in frame 0, touches no other solid, and stays in view."""

from collections import Counter

import numpy as np
import pytest
from support.starter_scenes import IDENTITY, SIZE, only, project

from cvd.starter.render import render
from cvd.starter.sampling import sample_scene
from cvd.starter.world import Ground, Scene, Sky, Solid


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(3)
    return [sample_scene(rng) for _ in range(1500)]


def visible(solids: tuple[Solid, ...], index: int) -> np.ndarray:
    """(H, W) bool: True where one solid is visible. It is rendered in white, everything else in black."""
    painted = tuple(
        Solid(s.shape, "white" if i == index else "black", s.x, s.z, s.size, s.yaw) for i, s in enumerate(solids)
    )
    image = render([Scene(painted, Ground("black"), Sky("overcast"))], IDENTITY[None])[0].astype(float)
    seen = image.min(-1) > 110
    seen[: int(SIZE * 0.3)] &= False
    return seen


@pytest.mark.slow
def test_every_solid_is_mostly_visible_in_frame_0_and_away_from_the_border(scenes: list[Scene]):
    crowded = [scene for scene in scenes if len(scene.solids) > 1][:150]
    for scene in crowded:
        for index in range(len(scene.solids)):
            alone, together = visible(only(scene, index).solids, 0), visible(scene.solids, index)
            assert together.sum() > 0.5 * alone.sum() > 8
    for scene in scenes:
        for solid in scene.solids:
            for offset in np.array([(1, 0), (-1, 0)]) * solid.size / 2:
                assert 0 < project(solid.centre() + (offset[0], 0, 0))[0] < SIZE


def test_solids_never_touch(scenes: list[Scene]):
    for scene in scenes:
        for time in np.linspace(0, 1, 5):
            for i, a in enumerate(scene.solids):
                for b in scene.solids[:i]:
                    assert np.linalg.norm((a.centre(time) - b.centre(time))[[0, 2]]) > a.radius + b.radius


def test_moving_solids_stay_in_the_first_cameras_view(scenes: list[Scene]):
    moving = [solid for scene in scenes for solid in scene.solids if solid.motion]
    assert {solid.motion for solid in moving} == {"rolling", "sliding", "spinning"}
    for solid in moving:
        for time in np.linspace(0, 1, 5):
            pixel = project(solid.centre(time))
            assert (pixel > 0).all()
            assert (pixel < SIZE).all()
        assert solid.motion != "spinning" or solid.shape in ("cube", "torus")


def test_the_mixture(scenes: list[Scene]):
    share = {count: n / len(scenes) for count, n in Counter(len(scene.solids) for scene in scenes).items()}
    for count, expected in ((1, 0.55), (2, 0.32), (3, 0.10), (4, 0.03)):
        assert share[count] == pytest.approx(expected, abs=0.05)
    moving = np.mean([any(solid.motion for solid in scene.solids) for scene in scenes])
    assert moving == pytest.approx(0.2, abs=0.04)
    skies = Counter(scene.sky.kind for scene in scenes)
    assert skies["clear"] / len(scenes) == pytest.approx(0.7, abs=0.05)
    sides = Counter(scene.sky.sun_side for scene in scenes)
    assert min(sides[side] for side in ("left", "right", "front", "behind")) > 0.04 * len(scenes)
    assert all(solid.colour != scene.ground.colour for scene in scenes for solid in scene.solids)


def test_plain_scenes_are_at_rest_under_the_usual_sky():
    rng = np.random.default_rng(0)
    for _ in range(100):
        scene = sample_scene(rng, plain=True)
        assert scene.sky == Sky()
        assert all(solid.material == "plain" and solid.motion is None for solid in scene.solids)
