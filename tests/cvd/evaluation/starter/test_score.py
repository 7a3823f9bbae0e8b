"""The starter's score: high for rendered pairs, low for unrelated pairs."""

from itertools import pairwise

import numpy as np
import pytest

from cvd.cameras import Cameras
from cvd.evaluation.consistency import PairGeometry, ViewMatches
from cvd.evaluation.matching import Matches
from cvd.evaluation.starter.cases import held_out_cases
from cvd.evaluation.starter.objects import Region
from cvd.evaluation.starter.score import (
    StarterFrame,
    find_all_objects,
    named_colours,
    named_objects,
    object_agreement,
    starter_frames,
    starter_score,
)
from cvd.starter.captions import caption
from cvd.starter.sampling import sample_scene
from cvd.starter.world import intrinsics

SIDEWAYS = PairGeometry(np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]]), degenerate=False)
"""The geometry of a camera that moves along x: a point stays in its row."""


def region(colour: str, x: float, y: float, cut: bool = False) -> Region:
    return Region(colour, np.zeros((100, 100), bool), np.array([x, y]), cut)


def test_objects_near_their_line_agree() -> None:
    first = [region("red", 20, 50)]
    for offset, expected in ((0, 1), (1.5, 1), (2.75, 0.5), (4, 0), (30, 0)):
        assert object_agreement(SIDEWAYS, first, [region("red", 70, 50 + offset)]) == pytest.approx(expected)


def test_missing_and_other_objects_count_as_nothing() -> None:
    red, blue = region("red", 20, 50), region("blue", 60, 40)
    assert object_agreement(SIDEWAYS, [red, blue], [red]) == pytest.approx(1 / 2)
    assert object_agreement(SIDEWAYS, [red], [region("blue", 20, 50)]) == 0
    assert object_agreement(SIDEWAYS, [red], []) == 0


def test_objects_of_one_colour_are_paired_as_they_fit_best() -> None:
    first = [region("red", 20, 30), region("red", 20, 60)]
    second = [region("red", 70, 60), region("red", 70, 30)]
    assert object_agreement(SIDEWAYS, first, second) == 1


def test_cut_and_invisible_objects_do_not_count() -> None:
    red, blue = region("red", 20, 50), region("blue", 60, 40)
    assert object_agreement(SIDEWAYS, [red, blue], [red, region("blue", 99, 10, cut=True)]) == 1
    assert np.isnan(object_agreement(SIDEWAYS, [region("red", 1, 50, cut=True)], []))
    below = PairGeometry(np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 70]]), degenerate=False)
    assert np.isnan(object_agreement(below, [region("red", 20, 50)], []))
    assert object_agreement(below, [region("red", 20, 20)], []) == 0


def test_matches_count_where_they_suffice() -> None:
    c2w = np.tile(np.eye(4), (2, 1, 1, 1))
    c2w[1, 0, 0, 3] = 0.1
    cameras = Cameras(c2w, intrinsics(64, 64), 64, 64)
    x = np.stack([np.linspace(5, 60, 24), np.linspace(5, 60, 24)], 1)
    y = x + np.where(np.arange(24)[:, None] < 18, [3, 0.5], [3, 9])
    objects = [[[region("red", 20, 50)]], [[region("red", 30, 50)]]]
    for confidence, expected in ((0.9, 0.75), (0.2, 1.0)):
        matches = Matches(x, y, np.full(24, confidence), 30)
        frames = starter_frames(cameras, objects, [ViewMatches((0, 1), 0, matches)])
        assert starter_score(frames) == pytest.approx(expected)


def test_frames_that_cannot_be_measured_are_left_out() -> None:
    unknown = StarterFrame((0, 1), 1, float("nan"), 1.0)
    assert starter_score([StarterFrame((0, 1), 0, 0.5, float("nan")), unknown]) == 0.5
    assert np.isnan(starter_score([unknown]))


def test_views_without_any_object_are_no_success() -> None:
    assert object_agreement(SIDEWAYS, [], []) == 0


@pytest.mark.slow
def test_rendered_pairs_score_high_and_unrelated_ones_low() -> None:
    """The bounds that make the score trustworthy, here without matches of features."""
    related, unrelated, right, wrong = [], [], [], []
    for case, other in pairwise(held_out_cases(11, size=128, frames=3)):
        videos = np.concatenate([case.rendered(), other.rendered(case.cameras)[1:]])
        c2w, K = (array[[0, 1, 1]] for array in (case.cameras.c2w, case.cameras.K))
        objects = find_all_objects(videos, Cameras(c2w, K, 128, 128))
        related.append(starter_score(starter_frames(case.cameras, objects[:2])))
        unrelated.append(starter_score(starter_frames(case.cameras, objects[::2])))
        right.append(named_colours(case.prompt, objects[:2]).right)
        wrong.append(named_colours(other.prompt, objects[:2]).right)
    assert np.mean(related) >= 0.9
    assert np.mean(unrelated) <= 0.2
    assert np.mean(right) >= 0.9
    assert np.mean(wrong) <= 0.5


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("a red cube on a green checkered floor", [("red", "cube")]),
        ("two white spheres on plain black ground", [("white", "sphere")]),
        ("Blue sphere and orange cube on an orange floor", [("blue", "sphere"), ("orange", "cube")]),
        ("a house by the sea", []),
    ],
)
def test_what_a_prompt_names(prompt: str, named: list[tuple[str, str]]) -> None:
    assert named_objects(prompt) == named


def test_every_caption_is_understood() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        scene = sample_scene(rng)
        solids = {(solid.colour, solid.shape) for solid in scene.solids}
        assert set(named_objects(caption(scene, rng))) == solids
