"""The queue and the states of jobs, as plain values: no sockets, no clock, no disk.

queued -> running -> done | failed | cancelled
queued -> cancelled
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from protocol.errors import ProtocolError
from protocol.messages import JobInfo

FINISHED = ("done", "failed", "cancelled")


class UnknownJobError(ProtocolError):
    """No job has this id."""

    code = "unknown_job"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id}.", "Ask for the list of jobs: `python -m backend jobs`.")


class JobFinishedError(ProtocolError):
    """The job is over, so that it cannot be cancelled."""

    code = "job_finished"

    def __init__(self, job: JobInfo) -> None:
        super().__init__(f"Job {job.job_id} is over already: {job.state}.")


class DuplicateJobError(ProtocolError):
    """The id belongs to a job that asks for something else."""

    code = "duplicate_job"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job {job_id} exists and asks for something else.", "Choose a new id for every new job.")


def seconds_of(job: JobInfo) -> float:
    """Seconds that a finished job took, from its start to its end."""
    return max(0.0, (job.finished or 0.0) - (job.started or 0.0))


class JobQueue:
    """All jobs, and those of them that wait, first come first served.

    running: the jobs that run, by id, in the order of their start; at most `capacity`.
    """

    def __init__(self, jobs: Iterable[JobInfo] = (), capacity: int = 1) -> None:
        """jobs: of former starts of the service, oldest first, all finished. capacity: how many may run at a time."""
        self._jobs = {job.job_id: job for job in jobs}
        self._waiting: list[str] = []
        self._capacity = capacity
        self.running: dict[str, JobInfo] = {}

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def __getitem__(self, job_id: str) -> JobInfo:
        """The job of this id. Raises UnknownJobError."""
        try:
            return self._jobs[job_id]
        except KeyError:
            raise UnknownJobError(job_id) from None

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the queued jobs, next first."""
        return tuple(self._waiting)

    def newest(self, limit: int) -> tuple[JobInfo, ...]:
        """The last `limit` jobs, oldest first."""
        return tuple(self._jobs.values())[-limit:]

    def submit(self, job: JobInfo) -> None:
        """Put a new job at the end of the queue. Raises DuplicateJobError when there is one of this id."""
        if job.job_id in self._jobs:
            raise DuplicateJobError(job.job_id)
        self._waiting.append(job.job_id)
        self._set(job)

    def position(self, job_id: str) -> int:
        """How many jobs must end before this one starts. 0 when it runs, is over, or is next and there is room."""
        if job_id not in self._waiting:
            return 0
        return max(0, self._waiting.index(job_id) + len(self.running) + 1 - self._capacity)

    def start_next(self, now: float) -> JobInfo | None:
        """Start the next job. None when nothing waits or no more jobs may run. now: seconds since the epoch."""
        if not self._waiting or len(self.running) >= self._capacity:
            return None
        job_id = self._waiting.pop(0)
        job = msgspec.structs.replace(self[job_id], state="running", started=now)
        self.running[job_id] = job
        return self._set(job)

    def end(self, job: JobInfo) -> None:
        """A running job is over. job: its last state."""
        del self.running[job.job_id]
        self._set(job)

    def cancel(self, job_id: str, now: float) -> JobInfo:
        """Take a job out of the queue. Raises UnknownJobError, or JobFinishedError when the job is over."""
        if self[job_id].state in FINISHED:
            raise JobFinishedError(self[job_id])
        self._waiting.remove(job_id)
        return self._set(msgspec.structs.replace(self[job_id], state="cancelled", finished=now))

    def _set(self, job: JobInfo) -> JobInfo:
        self._jobs[job.job_id] = job
        return job
