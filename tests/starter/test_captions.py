"""Captions say what is in the scene, whatever the phrasing."""

import re

import numpy as np

from cvd.starter.captions import VOCABULARY, caption
from cvd.starter.world import PALETTE, SHAPES, Ground, Scene, Solid, sample_scene


def solid(shape: str, colour: str) -> Solid:
    return Solid(shape, colour, 0, 1, 0.3)


def test_the_main_phrasing():
    red_cube, blue_sphere, orange_sphere = solid("cube", "red"), solid("sphere", "blue"), solid("sphere", "orange")
    green = Ground("green")
    assert caption(Scene((red_cube,), green)) == "a red cube on a green floor"
    assert (
        caption(Scene((red_cube, blue_sphere), Ground("green", "checkered")))
        == "a red cube and a blue sphere on a green checkered floor"
    )
    assert caption(Scene((orange_sphere, orange_sphere), green)) == "two orange spheres on a green floor"
    assert caption(Scene((orange_sphere,), Ground("orange"))) == "an orange sphere on an orange floor"


def test_every_phrasing_names_every_solid_and_the_ground():
    rng = np.random.default_rng(0)
    for _ in range(300):
        scene = sample_scene(rng)
        text = caption(scene, rng)
        things, ground = text.split(" on ")
        named = re.findall(rf"({'|'.join(PALETTE)}) ({'|'.join(SHAPES)})", things) * (2 if "two " in things else 1)
        assert sorted(named) == sorted((s.colour, s.shape) for s in scene.solids)
        assert scene.ground.colour in ground.split()
        assert ("checkered" in ground) == (scene.ground.pattern == "checkered")
        assert set(text.split()) <= set(VOCABULARY)


def test_sampled_solids_do_not_touch():
    rng = np.random.default_rng(1)
    for _ in range(200):
        solids = sample_scene(rng, two_solids=1.0).solids
        gap = np.hypot(solids[0].x - solids[1].x, solids[0].z - solids[1].z)
        assert gap > (solids[0].size + solids[1].size) / 2
