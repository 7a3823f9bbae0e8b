"""Captions in every phrasing describe the scene."""

import re

import numpy as np
import pytest

from cvd.starter.captions import MOST_WORDS, NAMES, VOCABULARY, caption, words
from cvd.starter.sampling import sample_scene
from cvd.starter.world import PALETTE, Ground, Scene, Sky, Solid

GREEN = Ground("green")
WORD_TO_SHAPE = {name: shape for shape, names in NAMES.items() for pair in names for name in pair}
NUMBERS = {"two": 2, "three": 3, "four": 4}


def solid(shape: str, colour: str, **looks) -> Solid:
    return Solid(shape, colour, 0, 1, 0.3, **looks)


RED_CUBE, BLUE_SPHERE, CONE = solid("cube", "red"), solid("sphere", "blue"), solid("cone", "orange")


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        (Scene((RED_CUBE,), GREEN), "a red cube on a green floor"),
        (
            Scene((RED_CUBE, BLUE_SPHERE), Ground("green", "checkered")),
            "a red cube and a blue sphere on a green checkered floor",
        ),
        (Scene((CONE, CONE), GREEN), "two orange cones on a green floor"),
        (Scene((CONE,), Ground("orange")), "an orange cone on an orange floor"),
        (
            Scene((RED_CUBE, BLUE_SPHERE, CONE), Ground("pink", "dotted")),
            "a red cube, a blue sphere and an orange cone on a pink dotted floor",
        ),
        (
            Scene((RED_CUBE, CONE, RED_CUBE, RED_CUBE), GREEN, Sky("sunset")),
            "three red cubes and an orange cone on a green floor at sunset",
        ),
        (
            Scene((solid("sphere", "red", velocity=(0.3, 0.0), material="striped"),), GREEN, Sky("overcast")),
            "a rolling red striped sphere on a green floor under an overcast sky",
        ),
        (Scene((solid("cube", "blue", spin=2.0),), GREEN), "a spinning blue cube on a green floor"),
        (Scene((solid("torus", "cyan", velocity=(0.0, 0.3)),), GREEN), "a sliding cyan torus on a green floor"),
    ],
)
def test_the_main_phrasing(scene: Scene, expected: str):
    assert caption(scene) == expected


def read(phrase: str) -> list[tuple]:
    """(colour, shape, material, motion) of each solid that a phrase names."""
    named = []
    for part in re.split(r", | and ", phrase):
        adjectives = part.split()
        shape = WORD_TO_SHAPE[adjectives.pop()]
        count = NUMBERS.get(adjectives[0], 1)
        assert (part.split()[-1] in {plural for names in NAMES.values() for _, plural in names}) == (count > 1)
        colour = next(word for word in adjectives if word in PALETTE)
        material = next((word for word in adjectives if word in ("striped", "checkered")), "plain")
        motion = next((word for word in adjectives if word.endswith("ing")), None)
        named += [(colour, shape, material, motion)] * count
    return named


def test_every_phrasing_names_exactly_what_the_scene_shows():
    rng = np.random.default_rng(0)
    texts = set()
    for _ in range(1500):
        scene = sample_scene(rng)
        text = caption(scene, rng)
        texts.add(text)
        things, rest = text.split(" on ")
        ground = re.split(" floor| ground", rest)[0].split()
        shown = [(s.colour, s.shape, s.material, s.motion) for s in scene.solids]
        named = read(things)
        assert sorted(look[:3] for look in named) == sorted(look[:3] for look in shown)
        for said, moves in zip(sorted(map(str, named)), sorted(map(str, shown)), strict=True):
            assert said == moves or "'moving'" in said
        assert sum(look[3] is not None for look in named) == sum(look[3] is not None for look in shown)
        assert scene.ground.colour in ground
        assert [word for word in ground if word in ("checkered", "striped", "dotted")] == (
            [scene.ground.pattern] if scene.ground.pattern != "plain" else []
        )
        assert ("sunset" in text) == (scene.sky.kind == "sunset")
        assert ("overcast" in text) == (scene.sky.kind == "overcast")
        if " from " in text:
            assert text.split()[-1] == scene.sky.sun_side
            assert scene.sky.kind != "overcast"
        assert set(words(text)) <= set(VOCABULARY)
        assert len(words(text)) <= MOST_WORDS
    assert any("the sun from the left" in text for text in texts)
    assert any("moving" in text for text in texts)


def test_the_longest_caption_fits_without_the_sun():
    scene = Scene(
        tuple(solid("cone", colour, material="striped") for colour in ("red", "blue", "pink"))
        + (solid("cube", "orange", material="checkered", spin=1.0),),
        Ground("cyan", "dotted"),
        Sky("sunset"),
    )
    rng = np.random.default_rng(1)
    assert max(len(words(caption(scene, rng))) for _ in range(300)) <= MOST_WORDS
    assert len(words(caption(Scene(scene.solids, scene.ground, Sky("overcast"))))) <= MOST_WORDS
