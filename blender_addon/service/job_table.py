"""The jobs that this Blender waits for: what is asked of the service, and what its answers become on disk.

It belongs to the socket thread, and knows no socket: it sends through a function that the connection gives it. What
happens to a job is reported as an event. Messages about other clients' jobs are passed over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..problem import AddonError, problem_of
from ..protocol.errors import WireError
from ..protocol.messages import (
    Accepted,
    Cancel,
    Cancelled,
    Done,
    ErrorInfo,
    Failed,
    JobProgress,
    Message,
    ServiceMessage,
    ViewFrames,
)
from ..protocol.models import ModelInfo
from ..protocol.wire import Bytes
from ..takes.take_folder import TakeFolderError
from ..takes.unfinished import UnfinishedTake
from .events import JobEvent, TakeWritten
from .pending import PendingJob

UNKNOWN_JOB = "unknown_job"
"""Code of the service's error for a job that it does not have."""

Send = Callable[[Message, Sequence[Bytes]], None]


@dataclass(frozen=True)
class Connected:
    """The service that is connected. send: queues a message for it. models: what it offers."""

    send: Send
    models: tuple[ModelInfo, ...]


class JobTable:
    """Unfinished jobs by id, in the order in which they were submitted.

    Methods that send raise what `send` raises, but for WireError: a message that is not valid fails its job only.
    """

    def __init__(self, jobs: Iterable[PendingJob], report: Callable[[JobEvent], None]) -> None:
        """jobs: those that an earlier connection left unfinished. report: takes the events."""
        self._jobs = {job.job_id: job for job in jobs}
        self._report = report
        self._service: Connected | None = None

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def unfinished(self) -> tuple[PendingJob, ...]:
        """All jobs in the table."""
        return tuple(self._jobs.values())

    # --------------------------------------------------------------------------------------------- connections

    def connect(self, service: Connected) -> None:
        """A service has answered. Ask it for every job, and cancel those that were to be cancelled."""
        self._service = service
        for job in self.unfinished():
            self._ask(job, service)
            if job.cancelling:
                service.send(Cancel(job_id=job.job_id), ())

    def disconnect(self) -> None:
        """The connection has ended. The jobs wait for the next one."""
        self._service = None

    def abandon(self) -> None:
        """Forget the jobs that are being cancelled: nobody is left to confirm it."""
        for job in self.unfinished():
            if job.cancelling:
                self._end(job, Cancelled(job_id=job.job_id))

    # ------------------------------------------------------------------------------------------ the artist's wishes

    def submit(self, job: PendingJob) -> None:
        """Ask for a new job, now or as soon as a service is connected."""
        self._jobs[job.job_id] = job
        folder = job.submission.take_folder
        if folder and any(other is not job and other.submission.take_folder == folder for other in self.unfinished()):
            self._fail(job, TakeFolderError(f"Another generation writes to {folder}.", "Choose another folder."))
        elif self._service:
            self._ask(job, self._service)

    def cancel(self, job_id: str) -> None:
        """Stop a job. The service confirms it; a job that was never sent ends at once."""
        job = self._jobs.get(job_id)
        if job is None:
            return  # it has just ended
        if job.take is None:
            self._end(job, Cancelled(job_id=job_id))
            return
        job.cancelling = True
        if self._service:
            self._service.send(Cancel(job_id=job_id), ())

    # --------------------------------------------------------------------------------------- the service's messages

    def handle(self, message: ServiceMessage, buffers: Sequence[Bytes]) -> None:
        """Turn one message into files and events."""
        job = self._job_of(message)
        if job is None or job.take is None:
            return
        match message:
            case Accepted():
                job.accepted = True
                self._report(message)
            case JobProgress():
                self._report(message)
            case ViewFrames():
                self._save(job, job.take, message, buffers)
            case Done():
                self._finish(job, job.take, message)
            case Failed():
                self._refused(job, message.error)
            case Cancelled():
                self._end(job, message)

    def _job_of(self, message: ServiceMessage) -> PendingJob | None:
        """The job that a message is about: it names the job, or it refuses the message that asked for it."""
        job_id = getattr(message, "job_id", None)
        if job_id is not None:
            return self._jobs.get(job_id)
        asked = (job for job in self._jobs.values() if job.question_id == message.reply_to)
        return next(asked, None)

    def _ask(self, job: PendingJob, service: Connected) -> None:
        try:
            message, buffers = job.question(job.prepare(service.models))
            service.send(message, buffers)
        except (AddonError, WireError, OSError) as error:
            self._fail(job, error)

    def _save(self, job: PendingJob, take: UnfinishedTake, message: ViewFrames, buffers: Sequence[Bytes]) -> None:
        """Write one view. Without room for it the rest of the job is of no use."""
        try:
            take.save_view(message, buffers)
        except (WireError, OSError) as error:
            if self._service:
                self._service.send(Cancel(job_id=job.job_id), ())
            self._fail(job, error)

    def _finish(self, job: PendingJob, take: UnfinishedTake, message: Done) -> None:
        try:
            take.finish(message)
        except OSError as error:
            self._fail(job, error)
        else:
            del self._jobs[job.job_id]
            self._report(TakeWritten(job.job_id, take.folder))

    def _refused(self, job: PendingJob, error: ErrorInfo) -> None:
        if error.code == UNKNOWN_JOB and job.accepted and self._service:
            job.accepted = False  # another service, or one that has cleared its disk: it gets the whole job
            self._ask(job, self._service)
        else:
            self._end(job, Failed(job_id=job.job_id, error=error))

    def _fail(self, job: PendingJob, error: AddonError | WireError | OSError) -> None:
        self._end(job, Failed(job_id=job.job_id, error=problem_of(error).info()))

    def _end(self, job: PendingJob, event: Failed | Cancelled) -> None:
        """Report the end of a job without a take. Frames that came are kept; an empty folder goes."""
        del self._jobs[job.job_id]
        if job.take:
            with contextlib.suppress(OSError):
                job.take.folder.rmdir()
        self._report(event)
