"""What the panel shows, event by event."""

from pathlib import Path

import pytest
from support.addon_jobs import TINY, submission

from blender_addon.problem import Problem
from blender_addon.protocol.messages import Accepted, Cancelled, ErrorInfo, Failed, JobProgress, Stage, Welcome
from blender_addon.service.events import (
    BackendLost,
    BackendReady,
    BackendStarting,
    BackendStopped,
    TakeWritten,
)
from blender_addon.service.pending import PendingJob
from blender_addon.service.state import BackendState, State, format_duration

READY = BackendReady(
    Welcome(session="s", service_version="1", device="cpu", models=(TINY,)), Path("service.log"), own=True
)
GONE = Problem("backend_ended", "gone", "Restart it.")


class Clock:
    """A clock that tests set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def ready_state(*jobs: str) -> State:
    """A state with a service that is ready, and with these jobs at work."""
    state = State(clock=Clock())
    state.apply(BackendStarting(Path("backend.log")))
    state.apply(READY)
    for job_id in jobs:
        state.begin_job(job_id, f"prompt of {job_id}")
    return state


def progress(
    job_id: str, stage: Stage, step: int, of: int, seconds_left: float | None = None, warning: str = ""
) -> JobProgress:
    return JobProgress(job_id=job_id, stage=stage, step=step, of=of, seconds_left=seconds_left, warning=warning)


def unfinished(*job_ids: str) -> tuple[PendingJob, ...]:
    return tuple(PendingJob(job_id, submission(Path("takes"))) for job_id in job_ids)


def test_a_job_from_start_to_end() -> None:
    state = ready_state("a")
    state.apply(Accepted(job_id="a", position=2))
    assert state.jobs["a"].position == 2
    state.apply(progress("a", "denoising", 5, 20, 30.0))
    assert state.jobs["a"].fraction == 0.25
    state.apply(TakeWritten("a", Path("take")))
    assert (state.jobs, state.takes, state.problem) == ({}, {"a": Path("take")}, None)
    assert state.backend is BackendState.READY


def test_jobs_do_not_touch_each_other() -> None:
    state = ready_state("a", "b", "c")
    state.apply(progress("a", "denoising", 5, 20))
    state.apply(Accepted(job_id="b", position=1))
    assert [state.summary(job_id) for job_id in "abc"] == ["Denoising 5 / 20", "Waiting, 1 before this one", "Waiting"]
    state.apply(TakeWritten("a", Path("take_a")))
    state.apply(Cancelled(job_id="c"))
    state.apply(Failed(job_id="b", error=ErrorInfo(code="checkpoint", message="broken")))
    assert state.jobs == {}
    assert state.takes == {"a": Path("take_a")}
    assert {job_id: problem.code for job_id, problem in state.failures.items()} == {"b": "checkpoint", "c": "cancelled"}


def test_the_time_left_counts_down_between_reports() -> None:
    state = ready_state("a")
    state.apply(progress("a", "denoising", 5, 20, 30.0))
    state.clock.now += 10
    assert state.summary("a") == "Denoising 5 / 20, 20 s left"
    state.clock.now += 100
    assert state.jobs["a"].seconds_left(state.clock()) == 0


def test_a_warning_stays_in_sight_until_the_next_generation() -> None:
    state = ready_state("a")
    state.apply(progress("a", "encoding", 0, 1, warning='It does not read "cones".'))
    state.apply(progress("a", "encoding", 0, 1, warning='It does not read "mist".'))
    state.apply(progress("a", "denoising", 5, 20))
    state.apply(TakeWritten("a", Path("take")))
    assert state.warnings == {"a": 'It does not read "cones".\nIt does not read "mist".'}
    state.begin_job("b", "")
    assert state.warnings == {}


def test_a_warning_of_a_job_at_work_outlives_the_next_generate() -> None:
    state = ready_state("a")
    state.apply(progress("a", "encoding", 0, 1, warning="It is long."))
    state.begin_job("b", "")
    assert state.warnings == {"a": "It is long."}


def test_before_the_first_step_it_says_what_is_waited_for() -> None:
    state = State(clock=Clock())
    state.start_backend()
    state.begin_job("a", "")
    assert state.summary("a") == "Starting the backend"
    state.apply(READY)
    assert state.summary("a") == "Waiting"
    state.apply(Accepted(job_id="a", position=2))
    assert state.summary("a") == "Waiting, 2 before this one"


def test_a_lost_connection_is_no_problem_yet() -> None:
    state = ready_state("a")
    state.apply(progress("a", "denoising", 5, 20, 30.0))
    state.apply(BackendLost())
    assert (state.backend, state.problem) == (BackendState.RECONNECTING, None)
    assert state.summary("a") == "Waiting for the backend"
    state.apply(READY)
    assert state.summary("a").startswith("Denoising")


def test_a_backend_that_ends_keeps_the_jobs_that_can_be_asked_for_again() -> None:
    state = ready_state("a", "b")
    state.apply(BackendStopped(GONE, unfinished("b")))
    assert (state.backend, state.problem, state.backend_problem) == (BackendState.FAILED, GONE, GONE)
    assert list(state.jobs) == ["b"]
    assert state.failures == {"a": GONE}
    assert state.models == ()
    state.start_backend()
    assert (state.problem, state.backend_problem) == (None, None)
    assert list(state.jobs) == ["b"]


def test_a_backend_that_was_asked_to_end_leaves_no_problem() -> None:
    state = ready_state()
    state.apply(BackendStopped())
    assert (state.backend, state.problem) == (BackendState.STOPPED, None)


def test_stopping_the_backend_during_a_job_says_what_became_of_it() -> None:
    state = ready_state("a")
    state.apply(BackendStopped())
    assert (state.jobs, state.problem) == ({}, None)
    assert "lost" in state.notice
    assert state.failures["a"].code == "stopped"


def test_a_failed_job_leaves_the_backend_alone_and_the_next_one_clears_the_message() -> None:
    state = ready_state("a")
    state.apply(Failed(job_id="a", error=ErrorInfo(code="checkpoint", message="broken", hint="Fetch it again.")))
    assert (state.backend, state.jobs) == (BackendState.READY, {})
    assert state.problem == Problem("checkpoint", "broken", "Fetch it again.")
    state.begin_job("b", "")
    assert state.problem is None


def test_a_cancelled_job_is_no_problem() -> None:
    state = ready_state("a")
    state.apply(Cancelled(job_id="a"))
    assert (state.jobs, state.problem) == ({}, None)
    assert "cancelled" in state.notice


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")],
)
def test_durations_as_people_say_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
