"""Which generated frame shows at which scene frame."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.takes.retiming import driver_expression
from protocol.geometry import sample_times

ranges = st.tuples(st.integers(-2000, 2000), st.integers(1, 5000), st.integers(2, 64)).map(
    lambda drawn: (drawn[0], drawn[0] + drawn[1], drawn[2])
)


def shown(frame: float, start: int, end: int, count: int) -> int:
    """The index that the driver's expression gives, evaluated as Blender does."""
    names = {"frame": frame, "floor": math.floor, "clamp": lambda value, low, high: min(max(value, low), high)}
    expression = driver_expression(start, end, count)
    assert len(expression) < 256  # the length that Blender keeps
    return eval(expression, {"__builtins__": {}}, names)


def test_sixteen_frames_over_sixteen_frames_are_shown_one_by_one() -> None:
    assert [shown(frame, 1, 16, 16) for frame in range(1, 17)] == list(range(16))


def test_by_hand() -> None:
    # 16 frames over 1..48 lie at 1, 4.13, 7.27, ...: scene frame 2 is nearer to 1, scene frame 3 to 4.13.
    assert [shown(frame, 1, 48, 16) for frame in (1, 2, 3, 24, 47, 48)] == [0, 0, 1, 7, 15, 15]


def test_the_later_of_two_equally_near_frames_is_shown() -> None:
    assert [shown(frame, 1, 9, 3) for frame in (2, 3, 6, 7)] == [0, 1, 1, 2]  # of 1, 5, 9


def test_the_ends_hold_outside_the_range() -> None:
    assert shown(-100, 10, 100, 16) == 0
    assert shown(1000, 10, 100, 16) == 15


@pytest.mark.parametrize("frame", [-3, 7, 20])
def test_a_scene_of_one_frame_shows_the_first(frame: int) -> None:
    assert shown(frame, 7, 7, 16) == 0


@given(ranges, st.integers(-100, 5100))
def test_no_other_frame_is_nearer(drawn: tuple[int, int, int], offset: int) -> None:
    start, end, count = drawn
    frame = start + offset
    distances = [abs(time - frame) for time in sample_times(start, end, count)]
    assert distances[shown(frame, start, end, count)] <= min(distances) + 1e-6
