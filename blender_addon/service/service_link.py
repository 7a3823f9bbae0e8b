"""The socket thread: starts the service, talks to it, writes what it sends to disk, and reports events.

Everything that can wait on a process, a socket or a disk happens here and never on Blender's main thread, which puts
commands in (`submit`, `cancel`, `stop`) and takes `events` out. The thread knows nothing of Blender's data.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import queue
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..problem import AddonError, Problem
from ..protocol.client import Client
from ..protocol.connection import read_connection
from ..protocol.errors import ProtocolError, WireError
from ..protocol.messages import (
    Accepted,
    Cancel,
    Cancelled,
    Done,
    Failed,
    Frames,
    GenerateRequest,
    ModelInfo,
    Progress,
    ServiceMessage,
    Shutdown,
    Welcome,
)
from ..protocol.payloads import pack_submit
from ..takes.take_files import Take, claim_take_folder, frame_path, new_take_folder, write_atomic, write_take
from .backend_process import BackendEndedError, BackendProcess, BackendStartError, Launch
from .state import (
    BackendReady,
    BackendStarting,
    BackendStopped,
    Event,
    JobCancelled,
    JobDone,
    JobFailed,
    JobProgress,
    JobQueued,
    Model,
)
from .submission import Submission

POLL_SECONDS = 0.05
START_TIMEOUT = 120.0
STOP_TIMEOUT = 5.0


@dataclasses.dataclass(frozen=True)
class _Job:
    """The job at work and where its frames go."""

    job_id: str
    request_id: str
    folder: Path
    take: Take


class ServiceLink:
    """One start of the service, from its process's start to its end. The last event is `BackendStopped`."""

    def __init__(self, launch: Launch, client_name: str) -> None:
        """client_name: what the service's log calls this Blender."""
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="collaborative-cameras", daemon=True)
        self._launch = launch
        self._client_name = client_name
        self._process: BackendProcess | None = None
        self._client: Client | None = None
        self._welcome: BackendReady | None = None
        self._pending: Submission | None = None
        self._job: _Job | None = None
        self._stopping = False

    # ------------------------------------------------------------------------------------------ Blender's main thread

    def start(self) -> None:
        """Start the thread and with it the service."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended, for at most `timeout` seconds."""
        self._thread.join(timeout)

    def submit(self, submission: Submission) -> None:
        """Ask for a generation; it is sent as soon as the service is ready."""
        self._commands.put(functools.partial(setattr, self, "_pending", submission))

    def cancel(self) -> None:
        """Stop the job at work."""
        self._commands.put(self._cancel)

    def stop(self) -> None:
        """End the service and then this thread."""
        self._commands.put(functools.partial(setattr, self, "_stopping", True))

    # ----------------------------------------------------------------------------------------------------- this thread

    def _run(self) -> None:
        """The thread's life. Whatever ends it is reported."""
        problem: Problem | None = None
        try:
            self._connect()
            while not self._stopping:
                self._step()
        except (AddonError, ProtocolError, OSError) as error:
            problem = self._explain(error)
        except Exception as error:  # a mistake of ours: the artist must see it too
            traceback.print_exc()
            problem = Problem("internal", f"The add-on failed: {error!r}.", "Restart the backend and try again.")
        finally:
            self._shut_down()
            self.events.put(BackendStopped(problem))

    def _connect(self) -> None:
        """Start the process, and greet the service once it says where it is."""
        self.events.put(BackendStarting(self._launch.log_path))
        self._process = BackendProcess(self._launch)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._process.ready():
            if time.monotonic() > deadline:
                raise BackendStartError(
                    f"The backend was not ready after {START_TIMEOUT:g} seconds.", "Look into its log, then try again."
                )
            self._obey()
            if self._stopping:
                return
            time.sleep(POLL_SECONDS)
        self._client = Client(read_connection(self._launch.connection_file), self._client_name)

    def _step(self) -> None:
        """One round: commands, then the service's next message, then whether the process still lives."""
        self._obey()
        if self._welcome and self._pending and not self._job:
            submission, self._pending = self._pending, None
            self._begin(submission)
        received = self._client.receive(POLL_SECONDS)
        if received is not None:
            self._handle(*received)
        else:
            self._process.check()

    def _obey(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._commands.get_nowait()()

    def _begin(self, submission: Submission) -> None:
        """Make the take's folder and send the request. What is wrong with it ends the job and not the connection."""
        try:
            request = GenerateRequest(**submission.request_fields(self._welcome.models))
            take = Take(
                request=msgspec.to_builtins(request),
                c2w=submission.cameras.c2w.tolist(),
                K=submission.K_at((request.height, request.width)).tolist(),
                frame_start=submission.frame_start,
                frame_end=submission.frame_end,
                aspect=submission.cameras.aspect,
            )
            message, buffers = pack_submit(request, take.c2w, take.K)
            folder = submission.take_folder
            folder = claim_take_folder(folder) if folder else new_take_folder(submission.output_folder)
            self._job = _Job(message.job_id, message.id, folder, take)
            self._client.send(message, buffers)
        except (AddonError, WireError, OSError) as error:
            self._end_job(JobFailed(_problem(error)))

    def _cancel(self) -> None:
        if self._job:
            self._client.send(Cancel(job_id=self._job.job_id))
        elif self._pending:
            self._pending = None
            self.events.put(JobCancelled())

    def _handle(self, message: ServiceMessage, buffers: Sequence[bytes]) -> None:
        """Turn one message of the service into files and events. Messages of other jobs are not ours to judge."""
        if isinstance(message, Welcome):
            models = tuple(_model(info) for info in message.models)
            self._welcome = BackendReady(message.device, models, Path(self._client.connection.log_path))
            self.events.put(self._welcome)
            return
        if not self._concerns_job(message):
            return
        match message:
            case Accepted():
                self.events.put(JobQueued(self._job.folder, message.position))
            case Progress():
                self.events.put(
                    JobProgress(message.stage, message.step, message.of, message.seconds_left, message.warning)
                )
            case Frames():
                self._save(message.view, buffers)
            case Done():
                self._finish(message.seconds)
            case Failed():
                error = message.error
                self._end_job(JobFailed(Problem(error.code, error.message, error.hint)))
            case Cancelled():
                self._end_job(JobCancelled())

    def _concerns_job(self, message: ServiceMessage) -> bool:
        """Whether it speaks of the job at work, or refuses the request itself."""
        if self._job is None:
            return False
        return getattr(message, "job_id", None) == self._job.job_id or message.reply_to == self._job.request_id

    def _save(self, view: int, images: Sequence[bytes]) -> None:
        """Write one view's frames. Without room for them there is no use in the rest of the job."""
        try:
            for frame, image in enumerate(images):
                write_atomic(frame_path(self._job.folder, view, frame), image)
        except OSError as error:
            self._client.send(Cancel(job_id=self._job.job_id))
            self._end_job(JobFailed(_problem(error)))

    def _finish(self, seconds: float) -> None:
        try:
            write_take(self._job.folder, dataclasses.replace(self._job.take, seconds=seconds))
        except OSError as error:
            self._end_job(JobFailed(_problem(error)))
        else:
            self._end_job(JobDone(self._job.folder))

    def _end_job(self, event: Event) -> None:
        """Report the job's end. Of a job without a result only an empty folder goes; frames that came are kept."""
        job, self._job = self._job, None
        if job and not isinstance(event, JobDone):
            with contextlib.suppress(OSError):
                job.folder.rmdir()
        self.events.put(event)

    def _explain(self, error: AddonError | ProtocolError | OSError) -> Problem:
        """The error in the panel's words. When the process has ended, that is the reason for everything else."""
        if self._process is None:
            return _problem(error)
        details = self._process.log_tail()
        if not isinstance(error, BackendEndedError) and self._process.wait(1.0):
            error = self._process.ended()
        if isinstance(error, BackendEndedError) and not self._welcome:
            return Problem("backend_start", f"The backend could not be started. {error}", "", details)
        if isinstance(error, BackendEndedError) and self._job:
            return Problem("backend_ended", f"{error.problem.message} The generation is lost.", "Restart it.", details)
        return dataclasses.replace(_problem(error), details=details)

    def _shut_down(self) -> None:
        """End the service: asked, if it still listens, and by a signal if it does not end then."""
        if self._client:
            if self._stopping:
                with contextlib.suppress(ProtocolError):  # it is gone already: nothing left to ask
                    self._client.request(Shutdown(), timeout=STOP_TIMEOUT)
                    self._process.wait(STOP_TIMEOUT)
            self._client.close()
        if self._process:
            self._process.stop()


def _model(info: ModelInfo) -> Model:
    return Model(**msgspec.structs.asdict(info))


def _problem(error: AddonError | ProtocolError | OSError) -> Problem:
    if isinstance(error, AddonError):
        return error.problem
    if isinstance(error, ProtocolError):
        return Problem(error.code, error.message, error.hint)
    return Problem("disk", f"A file could not be written: {error}.", "Check the output folder and the free space.")
