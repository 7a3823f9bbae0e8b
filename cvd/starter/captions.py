"""Captions of procedural scenes: "a red cube and a blue sphere on a green checkered floor", in several phrasings."""

import numpy as np

from cvd.starter.world import Ground, Scene, Solid

# Every word a caption can contain; the starter tokenizer gives each a token of its own, in this order.
VOCABULARY = (
    *("red", "green", "blue", "yellow", "orange", "purple", "white", "black", "pink", "cyan"),
    *("cube", "sphere", "cylinder", "cone", "torus", "cubes", "spheres", "cylinders", "cones", "tori"),
    *("ball", "balls", "box", "boxes", "ring", "rings"),
    *("plain", "checkered", "striped", "dotted"),
    *("a", "an", "the", "and", "on", "of", "with", "two", "three", "four"),
    *("floor", "ground"),
    *("rolling", "spinning", "sliding", "moving"),
    *("at", "sunset", "under", "overcast", "clear", "sky", "sun", "light", "from"),
    *("left", "right", "front", "behind"),
    ",",
)


def caption(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """Describe a scene; without ``rng`` in the main phrasing, with it in a random one.

    >>> caption(Scene((Solid("cube", "red", 0, 1, 0.3),), Ground("green")))
    'a red cube on a green floor'
    """
    solids, articles, ground_word = list(scene.solids), True, "floor"
    if rng is not None:
        if rng.random() < 0.5:
            solids.reverse()
        articles = rng.random() < 0.75
        ground_word = "floor" if rng.random() < 0.7 else "ground"
    ground = f"{_ground_adjectives(scene.ground, rng)} {ground_word}"
    if articles:
        ground = f"{_article(ground)} {ground}"
    return f"{_solids_phrase(solids, articles)} on {ground}"


def _solids_phrase(solids: list[Solid], articles: bool) -> str:
    names = [f"{solid.colour} {solid.shape}" for solid in solids]
    if len(names) == 2 and names[0] == names[1]:
        return f"two {names[0]}s"
    if articles:
        names = [f"{_article(name)} {name}" for name in names]
    return " and ".join(names)


def _ground_adjectives(ground: Ground, rng: np.random.Generator | None) -> str:
    if ground.pattern == "checkered":
        return f"{ground.colour} checkered"
    if rng is not None and rng.random() < 0.2:
        return f"plain {ground.colour}"
    return ground.colour


def _article(phrase: str) -> str:
    return "an" if phrase[0] in "aeiou" else "a"
