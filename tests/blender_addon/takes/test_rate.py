"""How fast a take plays, and the range in which it plays as it was trained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.takes.rate import TRAINED_RATE, fitting_end, new_frames_per_second


def test_by_hand() -> None:
    assert new_frames_per_second(16, 1, 250, 24) == pytest.approx(1.536)
    assert new_frames_per_second(16, 1, 48, 24) == 8
    assert new_frames_per_second(16, 7, 7, 24) == 24, "a scene frame shows one of them"


@pytest.mark.parametrize(("frames", "start", "fps", "end"), [(16, 1, 24, 48), (16, 101, 24, 148), (48, 1, 25, 150)])
def test_the_range_that_fits(frames: int, start: int, fps: float, end: int) -> None:
    assert fitting_end(frames, start, fps) == end


@given(st.integers(1, 128), st.integers(-100, 1000), st.floats(8, 240))
def test_in_the_range_that_fits_the_rate_is_the_trained_one(frames: int, start: int, fps: float) -> None:
    end = fitting_end(frames, start, fps)
    half_a_frame = 0.5 / (end - start + 1)
    assert new_frames_per_second(frames, start, end, fps) == pytest.approx(TRAINED_RATE, rel=half_a_frame * 1.2)


def test_a_slow_scene_shows_every_frame() -> None:
    assert fitting_end(16, 1, 4) == 16
