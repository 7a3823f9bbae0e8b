"""Which distance decides about the scale of a take's cameras."""

import pytest

from protocol.models import LearnedMotion, LearnedRange
from protocol.scale import Scale, choose_scale

LEARNED = LearnedMotion(
    motion=LearnedRange(low=0.2, high=0.6),
    baseline=LearnedRange(low=0.0, high=1.2),
    field_of_view=LearnedRange(low=37.0, high=88.0),
)


def test_the_first_distance_that_is_known_decides() -> None:
    known = {"asked": 2.0, "seen": 4.0, "axes": 5.0, "learned": LEARNED}
    assert choose_scale(8.0, **known) == Scale(0.5, "asked")
    assert choose_scale(8.0, **known | {"asked": 0.0}) == Scale(0.25, "seen")
    assert choose_scale(8.0, **known | {"asked": None, "seen": None}) == Scale(0.2, "axes")
    assert choose_scale(8.0, learned=LEARNED) == Scale(0.05, "motion")


@pytest.mark.parametrize(("motion", "learned"), [(0.0, LEARNED), (8.0, None)])
def test_without_any_distance_the_units_stay(motion: float, learned: LearnedMotion | None) -> None:
    assert choose_scale(motion, learned=learned) == Scale(1.0, "nothing")


def test_a_camera_that_stands_in_a_surface_has_no_distance_to_it() -> None:
    assert choose_scale(1.0, seen=0.0, axes=3.0).source == "axes"


def test_the_distance_is_in_the_units_of_the_scene() -> None:
    assert choose_scale(0.0, seen=40.0).distance == 40
