"""The queue and the states of jobs, as plain values: no sockets, no clock, no disk.

queued -> running -> done | failed | cancelled
queued -> cancelled
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from protocol.errors import ProtocolError
from protocol.messages import ErrorInfo, JobInfo

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


class JobQueue:
    """All jobs, and those of them that wait, first come first served. One job runs at a time."""

    def __init__(self, jobs: Iterable[JobInfo] = ()) -> None:
        """jobs: of former starts of the service, oldest first, all finished."""
        self._jobs = {job.job_id: job for job in jobs}
        self._waiting: list[str] = []
        self.running: str | None = None

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
        """How many jobs come before this one, the running one included; 0 when it runs or is over."""
        if job_id not in self._waiting:
            return 0
        return self._waiting.index(job_id) + (self.running is not None)

    def start_next(self, now: float) -> JobInfo | None:
        """Take the next job from the queue; None when nothing waits."""
        if not self._waiting:
            return None
        self.running = self._waiting.pop(0)
        return self._set(msgspec.structs.replace(self[self.running], state="running", started=now))

    def finish(self, job_id: str, now: float, error: ErrorInfo | None = None) -> JobInfo:
        """The running job is done, or failed with `error`."""
        return self._end(job_id, "failed" if error else "done", now, error)

    def cancel(self, job_id: str, now: float) -> JobInfo:
        """A queued job never starts; a running one has ended at somebody's wish.

        Raises UnknownJobError, JobFinishedError.
        """
        if self[job_id].state in FINISHED:
            raise JobFinishedError(self[job_id])
        return self._end(job_id, "cancelled", now)

    def _end(self, job_id: str, state: str, now: float, error: ErrorInfo | None = None) -> JobInfo:
        if job_id == self.running:
            self.running = None
        else:
            self._waiting.remove(job_id)
        return self._set(msgspec.structs.replace(self[job_id], state=state, finished=now, error=error))

    def _set(self, job: JobInfo) -> JobInfo:
        self._jobs[job.job_id] = job
        return job
