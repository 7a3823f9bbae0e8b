"""What models say of themselves."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.models import FrameRule, GuidanceRule, ModelName


def rules() -> st.SearchStrategy[FrameRule]:
    return st.builds(
        lambda first, step, steps: FrameRule(at_once=16, first=first, step=step, most=first + step * steps),
        st.integers(1, 20),
        st.integers(1, 8),
        st.integers(0, 20),
    )


@given(rules(), st.integers(1, 300))
def test_the_nearest_number_of_frames_is_allowed_and_nearest(rule: FrameRule, wish: int) -> None:
    allowed = [frames for frames in range(1, 300) if rule.allows(frames)]
    nearest = rule.nearest(wish)
    assert nearest in allowed
    assert abs(nearest - wish) == min(abs(frames - wish) for frames in allowed)
    if rule.allows(wish):
        assert nearest == wish


def test_between_two_numbers_of_frames_the_larger_one_is_taken() -> None:
    assert FrameRule(at_once=16, most=49, step=4).nearest(3) == 5


def test_guidance_changes_where_details_are_open() -> None:
    rule = GuidanceRule(late_share=0.5)
    assert [rule.scale_at(timestep, 8.0) for timestep in (999, 500, 499, 0)] == [8.0, 8.0, 4.0, 4.0]
    assert GuidanceRule().scale_at(0, 8.0) == 8.0


@pytest.mark.parametrize("name", ["starter", "My model 2.1", "a_b-c"])
def test_names_are_names(name: str) -> None:
    assert msgspec.convert(name, ModelName) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "/etc", "a\n", "ä", "C:", "x" * 129])
def test_names_are_never_paths(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, ModelName)
