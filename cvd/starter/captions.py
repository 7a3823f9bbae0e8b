"""Captions of procedural scenes: "a red cube and a blue sphere on a green checkered floor", in several phrasings."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from .world import Ground, Scene, Sky, Solid

# Every word that a caption can contain. In the starter tokenizer each word is one token, in this order.
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

MOST_WORDS = 30
"""Largest number of words in a caption; each comma counts as a word. The text encoder has 2 more places, for start and
end."""

NAMES = {
    "cube": (("cube", "cubes"), ("box", "boxes")),
    "sphere": (("sphere", "spheres"), ("ball", "balls")),
    "cylinder": (("cylinder", "cylinders"),),
    "cone": (("cone", "cones"),),
    "torus": (("torus", "tori"), ("ring", "rings")),
}
"""Singular and plural of each shape's name and its synonyms."""

NUMBERS = {2: "two", 3: "three", 4: "four"}
GROUND = re.compile(r"\b(checkered|striped|dotted)( \w+)? (floor|ground)\b")
SUN_PHRASES = {"left": "the left", "right": "the right", "front": "the front", "behind": "behind"}


def caption(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """Describe a scene: without `rng` in the main phrasing, with `rng` in a random phrasing.

    >>> caption(Scene((Solid("cube", "red", 0, 1, 0.3),), Ground("green")))
    'a red cube on a green floor'
    """
    phrasing = _Phrasing(rng)
    text = f"{phrasing.solids(scene.solids)} on {phrasing.ground(scene.ground)}"
    if sky := phrasing.sky(scene.sky):
        text = f"{text} {sky}"
    sun = phrasing.sun(scene.sky)
    if sun and len(words(f"{text} {sun}")) <= MOST_WORDS:
        text = f"{text} {sun}"
    return text


def words(text: str) -> list[str]:
    """The words of a caption; each comma is a word.

    >>> words("a red cube, a blue ball")
    ['a', 'red', 'cube', ',', 'a', 'blue', 'ball']
    """
    return text.replace(",", " ,").split()


def ground_pattern(text: str) -> str:
    """The ground pattern that a caption or a prompt asks for, one of `GROUND_PATTERNS`.

    >>> ground_pattern("a striped ball on a checkered green floor")
    'checkered'
    >>> ground_pattern("a striped ball on a green floor")
    'plain'
    """
    found = GROUND.search(text.lower())
    return found[1] if found else "plain"


class _Phrasing:
    """One phrasing. Without `rng` it always takes the first option."""

    def __init__(self, rng: np.random.Generator | None) -> None:
        self._rng = rng
        self._articles = not self._maybe(0.25)

    def solids(self, solids: Sequence[Solid]) -> str:
        """The names of all solids; solids that look the same are counted together."""
        looks = list(Counter((s.colour, s.shape, s.material, s.motion) for s in solids).items())
        if self._rng is not None:
            looks = [looks[i] for i in self._rng.permutation(len(looks))]
        *others, last = [self._solid(look, count) for look, count in looks]
        return f"{', '.join(others)} and {last}" if others else last

    def ground(self, ground: Ground) -> str:
        noun = self._pick("floor", 0.3, "ground")
        adjectives = [ground.colour]
        if ground.pattern != "plain":
            adjectives.insert(0 if self._maybe(0.25) else 1, ground.pattern)
        elif self._maybe(0.15):
            adjectives.insert(0, "plain")
        return self._with_article(" ".join([*adjectives, noun]))

    def sky(self, sky: Sky) -> str:
        if sky.kind == "clear":
            return "under a clear sky" if self._maybe(0.08) else ""
        return "at sunset" if sky.kind == "sunset" else "under an overcast sky"

    def sun(self, sky: Sky) -> str:
        """The direction of the light, in some captions of skies that show the sun."""
        if sky.kind == "overcast" or not self._maybe(0.3):
            return ""
        return f"with the {self._pick('sun', 0.3, 'light')} from {SUN_PHRASES[sky.sun_side]}"

    def _solid(self, look: tuple[str, str, str, str | None], count: int) -> str:
        colour, shape, material, motion = look
        names = NAMES[shape]
        name = names[0 if self._rng is None else self._rng.integers(len(names))][count > 1]
        adjectives = [colour] if material == "plain" else [colour, material]
        if self._maybe(0.25):
            adjectives.reverse()
        if motion is not None:
            adjectives.insert(0, self._pick(motion, 0.15, "moving"))
        phrase = " ".join([*adjectives, name])
        return f"{NUMBERS[count]} {phrase}" if count > 1 else self._with_article(phrase)

    def _with_article(self, phrase: str) -> str:
        if not self._articles:
            return phrase
        return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"

    def _pick(self, usual: str, chance: float, other: str) -> str:
        return other if self._maybe(chance) else usual

    def _maybe(self, chance: float) -> bool:
        return self._rng is not None and self._rng.random() < chance
