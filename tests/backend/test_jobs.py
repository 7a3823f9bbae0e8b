"""The queue and the states of jobs."""

import pytest

from backend.jobs import DuplicateJobError, JobFinishedError, JobQueue, UnknownJobError
from protocol.messages import ErrorInfo, GenerateRequest, JobInfo

REQUEST = GenerateRequest(prompt="", view_names=("a",), width=64, height=64)


def queue_of(*names: str) -> JobQueue:
    queue = JobQueue()
    for time, name in enumerate(names):
        queue.submit(JobInfo(job_id=name, state="queued", request=REQUEST, submitted=float(time)))
    return queue


def test_first_come_first_served() -> None:
    queue = queue_of("a", "b", "c")
    assert [queue.position(name) for name in "abc"] == [0, 1, 2]
    started = []
    while (job := queue.start_next(now=10.0)) is not None:
        started.append(job.job_id)
        assert queue.running == job.job_id
        assert (job.state, job.started) == ("running", 10.0)
        queue.finish(job.job_id, now=11.0)
    assert started == ["a", "b", "c"]
    assert queue.running is None


def test_the_running_job_counts_as_one_ahead() -> None:
    queue = queue_of("a", "b", "c")
    queue.start_next(now=1.0)
    assert [queue.position(name) for name in "abc"] == [0, 1, 2]


def test_a_cancelled_queued_job_never_starts() -> None:
    queue = queue_of("a", "b")
    job = queue.cancel("a", now=5.0)
    assert (job.state, job.started, job.finished) == ("cancelled", None, 5.0)
    assert queue.start_next(now=6.0).job_id == "b"
    assert queue.start_next(now=6.0) is None


def test_a_job_ends_once() -> None:
    queue = queue_of("a", "b")
    queue.start_next(now=1.0)
    error = ErrorInfo(code="x", message="y")
    failed = queue.finish("a", now=3.0, error=error)
    assert (failed.state, failed.error, failed.finished) == ("failed", error, 3.0)
    with pytest.raises(JobFinishedError, match="failed"):
        queue.cancel("a", now=4.0)
    assert queue["a"] == failed


def test_unknown_and_double_names_are_refused() -> None:
    queue = queue_of("a")
    with pytest.raises(UnknownJobError, match="zz"):
        queue.cancel("zz", now=1.0)
    with pytest.raises(UnknownJobError):
        queue["zz"]
    with pytest.raises(DuplicateJobError, match="a"):
        queue.submit(queue["a"])
    assert "zz" not in queue


def test_the_newest_jobs_are_listed_oldest_first() -> None:
    queue = queue_of("a", "b", "c")
    assert [job.job_id for job in queue.newest(2)] == ["b", "c"]
    assert [job.job_id for job in queue.newest(100)] == ["a", "b", "c"]
