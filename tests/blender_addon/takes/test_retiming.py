"""Which generated frame shows at which scene frame."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.takes.retiming import driver_expression, nearest_frame, sample_times

ranges = st.tuples(st.integers(-2000, 2000), st.integers(1, 5000), st.integers(2, 64)).map(
    lambda drawn: (drawn[0], drawn[0] + drawn[1], drawn[2])
)


def test_samples_span_the_range_with_both_ends() -> None:
    assert sample_times(1, 48, 16)[:2] == [1.0, pytest.approx(1 + 47 / 15)]
    assert sample_times(1, 48, 16)[-1] == 48.0


def test_sixteen_frames_over_sixteen_frames_are_shown_one_by_one() -> None:
    assert [nearest_frame(frame, 1, 16, 16) for frame in range(1, 17)] == list(range(16))


def test_by_hand() -> None:
    # 16 frames over 1..48 lie at 1, 4.13, 7.27, ...: scene frame 2 is nearer to 1, scene frame 3 to 4.13.
    assert [nearest_frame(frame, 1, 48, 16) for frame in (1, 2, 3, 24, 47, 48)] == [0, 0, 1, 7, 15, 15]


def test_the_ends_hold_outside_the_range() -> None:
    assert nearest_frame(-100, 10, 100, 16) == 0
    assert nearest_frame(1000, 10, 100, 16) == 15


def test_a_scene_of_one_frame_shows_the_first() -> None:
    assert nearest_frame(7, 7, 7, 16) == 0
    assert driver_expression(7, 7, 16) == "0"


@given(ranges, st.integers(-100, 5100))
def test_no_other_frame_is_nearer(drawn: tuple[int, int, int], offset: int) -> None:
    start, end, count = drawn
    frame = start + offset
    times = sample_times(start, end, count)
    chosen = nearest_frame(frame, start, end, count)
    assert abs(times[chosen] - frame) <= min(abs(time - frame) for time in times) + 1e-6


@given(ranges, st.integers(-100, 5100))
def test_the_drivers_expression_says_the_same(drawn: tuple[int, int, int], offset: int) -> None:
    start, end, count = drawn
    frame = start + offset
    names = {"frame": frame, "floor": math.floor, "clamp": lambda value, low, high: min(max(value, low), high)}
    expression = driver_expression(start, end, count)
    assert len(expression) < 256  # the length that Blender keeps
    assert eval(expression, {"__builtins__": {}}, names) == nearest_frame(frame, start, end, count)
