"""The queue and the states of jobs."""

import msgspec
import pytest

from backend.jobs import DuplicateJobError, JobFinishedError, JobQueue, UnknownJobError, seconds_of
from protocol.messages import ErrorInfo, GenerateRequest, JobInfo

REQUEST = GenerateRequest(prompt="", view_names=("a",), width=64, height=48)


def queue_of(*names: str, capacity: int = 1) -> JobQueue:
    queue = JobQueue(capacity=capacity)
    for time, name in enumerate(names):
        queue.submit(JobInfo(job_id=name, state="queued", request=REQUEST, submitted=float(time)))
    return queue


def test_first_come_first_served() -> None:
    queue = queue_of("a", "b", "c")
    assert [queue.position(name) for name in "abc"] == [0, 1, 2]
    started = []
    while (job := queue.start_next(now=10.0)) is not None:
        started.append(job.job_id)
        assert queue.running == {job.job_id: job}
        assert (job.state, job.started) == ("running", 10.0)
        assert queue.start_next(now=10.5) is None, "one at a time"
        queue.end(over(job))
    assert started == ["a", "b", "c"]
    assert queue.running == {}


def over(job: JobInfo, **changes: object) -> JobInfo:
    """The job as it is when it is done."""
    return msgspec.structs.replace(job, **{"state": "done", "finished": job.started + 1} | changes)


def test_as_many_jobs_run_as_there_is_room_for() -> None:
    queue = queue_of("a", "b", "c", "d", capacity=2)
    assert [queue.position(name) for name in "abcd"] == [0, 0, 1, 2]
    first, second = queue.start_next(now=1.0), queue.start_next(now=2.0)
    assert queue.start_next(now=3.0) is None
    assert list(queue.running) == ["a", "b"]
    assert [queue.position(name) for name in "abcd"] == [0, 0, 1, 2]
    queue.end(over(second))
    assert [queue.position(name) for name in "abcd"] == [0, 0, 0, 1]
    assert queue.start_next(now=4.0).job_id == "c"
    assert list(queue.running) == ["a", "c"]
    assert (queue["a"], queue["b"].state) == (first, "done")


def test_seconds_are_counted_from_the_start() -> None:
    job = JobInfo(job_id="a", state="done", request=REQUEST, submitted=1.0, started=3.0, finished=7.5)
    assert seconds_of(job) == 4.5
    assert seconds_of(msgspec.structs.replace(job, finished=2.0)) == 0.0, "a clock that was set back"


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
    failed = over(queue.start_next(now=1.0), state="failed", error=ErrorInfo(code="x", message="y"))
    queue.end(failed)
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
