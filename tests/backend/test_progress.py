"""The time left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.progress import Stopwatch, seconds_left


def test_nothing_is_promised_before_anything_is_measured() -> None:
    assert seconds_left([], 10, 5.0) is None


def test_steps_to_come_cost_what_the_last_ones_did() -> None:
    assert seconds_left([2.0], 3, 0.0) == 6.0
    assert seconds_left([9.0, 2.0, 2.0], 3, 1.5) == 7.5, "the first step also warms up"
    assert seconds_left([1.0] * 50 + [3.0] * 8, 10, 0.0) == 30.0, "a machine that gets slower is followed"


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=50), st.integers(0, 1000), st.floats(0, 1000))
def test_the_estimate_lies_within_what_was_measured(durations: list[float], steps: int, afterwards: float) -> None:
    left = seconds_left(durations, steps, afterwards)
    slack = 1e-6 * (1 + left)
    assert steps * min(durations) + afterwards - slack <= left <= steps * max(durations) + afterwards + slack


def run_job(watch: Stopwatch, now: float, kind: str = "tiny") -> list[float | None]:
    """A job of 5 U-Net calls of 2 s, then 16 frames that take 0.5 s each, decoded in batches of 8."""
    estimates = []
    watch.start(kind, 16, now)
    assert watch.step("loading", 0, 1, now) is None
    assert watch.step("encoding", 1, 1, now + 1) is None
    for call in range(1, 6):
        estimates.append(watch.step("denoising", call, 5, now + 1 + 2 * call))
    for frame in (8, 16):
        estimates.append(watch.step("decoding", frame, 16, now + 11 + 0.5 * frame))
    return estimates


def test_decoding_is_guessed_at_first_and_known_from_the_next_job_on() -> None:
    watch = Stopwatch()
    guess = Stopwatch.GUESS * 2
    assert run_job(watch, 0.0) == pytest.approx([8 + guess, 6 + guess, 4 + guess, 2 + guess, guess, 4, 0])
    assert run_job(watch, 100.0) == pytest.approx([16, 14, 12, 10, 8, 4, 0])
    assert run_job(watch, 200.0, kind="another size") == pytest.approx(
        [8 + guess, 6 + guess, 4 + guess, 2 + guess, guess, 4, 0]
    )


def test_a_run_that_goes_on_from_a_saved_state_counts_its_own_steps() -> None:
    watch = Stopwatch()
    watch.start("tiny", 0, 0.0)
    watch.step("encoding", 1, 1, 1.0)
    assert watch.step("denoising", 91, 100, 3.0) == (9 + Stopwatch.GUESS) * 2.0
