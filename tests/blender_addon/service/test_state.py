"""What the panel shows, event by event."""

from pathlib import Path

import pytest

from blender_addon.problem import Problem
from blender_addon.service.state import (
    BackendReady,
    BackendStarting,
    BackendState,
    BackendStopped,
    JobCancelled,
    JobDone,
    JobFailed,
    JobProgress,
    JobQueued,
    Model,
    State,
    format_duration,
)

MODEL = Model("starter", 128, 64, 16, 25, 5.0)


class Clock:
    """A clock that tests set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def ready_state() -> State:
    state = State(clock=Clock())
    state.apply(BackendStarting(Path("backend.log")))
    state.apply(BackendReady("cpu", (MODEL,), Path("service.log")))
    return state


def test_a_job_from_start_to_end() -> None:
    state = ready_state()
    state.begin_job()
    state.apply(JobQueued(Path("take"), 2))
    assert state.job.position == 2
    state.apply(JobProgress("denoising", 5, 20, 30.0))
    assert state.job.fraction == 0.25
    state.apply(JobDone(Path("take")))
    assert (state.job, state.take_folder, state.problem) == (None, Path("take"), None)
    assert state.backend is BackendState.READY


def test_the_time_left_counts_down_between_reports() -> None:
    state = ready_state()
    state.begin_job()
    state.apply(JobProgress("denoising", 5, 20, 30.0))
    state.clock.now += 10
    assert state.summary() == "Denoising 5 / 20, 20 s left"
    state.clock.now += 100
    assert state.job.seconds_left(state.clock()) == 0


def test_a_warning_stays_in_sight_until_the_next_generation() -> None:
    state = ready_state()
    state.begin_job()
    state.apply(JobProgress("encoding", 0, 1, None, 'It does not read "cones".'))
    state.apply(JobProgress("encoding", 0, 1, None, 'It does not read "mist".'))
    state.apply(JobProgress("denoising", 5, 20, 30.0))
    state.apply(JobDone(Path("take")))
    assert state.warning == 'It does not read "cones".\nIt does not read "mist".'
    state.begin_job()
    assert state.warning == ""


def test_before_the_first_step_it_says_what_is_waited_for() -> None:
    state = State(clock=Clock())
    state.apply(BackendStarting(Path("backend.log")))
    state.begin_job()
    assert state.summary() == "Starting the backend"
    state.apply(BackendReady("cpu", (MODEL,), Path("service.log")))
    assert state.summary() == "Waiting"
    state.apply(JobQueued(Path("take"), 2))
    assert state.summary() == "Waiting, 2 before this one"


def test_a_backend_that_ends_takes_its_job_with_it() -> None:
    state = ready_state()
    state.begin_job()
    problem = Problem("backend_ended", "gone", "Restart it.")
    state.apply(BackendStopped(problem))
    assert (state.backend, state.job, state.problem) == (BackendState.FAILED, None, problem)
    assert state.models == ()


def test_a_backend_that_was_asked_to_end_leaves_no_problem() -> None:
    state = ready_state()
    state.apply(BackendStopped())
    assert (state.backend, state.problem) == (BackendState.STOPPED, None)


def test_stopping_the_backend_during_a_job_says_what_became_of_it() -> None:
    state = ready_state()
    state.begin_job()
    state.apply(BackendStopped())
    assert (state.job, state.problem) == (None, None)
    assert "lost" in state.notice


def test_a_failed_job_leaves_the_backend_alone_and_the_next_one_clears_the_message() -> None:
    state = ready_state()
    state.begin_job()
    state.apply(JobFailed(Problem("checkpoint", "broken", "Fetch it again.")))
    assert (state.backend, state.job, state.problem.code) == (BackendState.READY, None, "checkpoint")
    state.begin_job()
    assert state.problem is None


def test_a_cancelled_job_is_no_problem() -> None:
    state = ready_state()
    state.begin_job()
    state.apply(JobCancelled())
    assert (state.job, state.problem, state.notice) == (None, None, "Cancelled.")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")],
)
def test_durations_as_people_say_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
