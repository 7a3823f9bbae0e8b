"""What the panel shows: the state of the backend and of the jobs, as plain values that events change.

The socket thread (`service_link.py`) reports events. Blender's main thread applies them here and draws the result.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..problem import Problem
from ..protocol.messages import Accepted, Cancelled, ErrorInfo, Failed, JobProgress
from ..protocol.models import ModelInfo
from .events import BackendLost, BackendReady, BackendStarting, BackendStopped, Event, TakeWritten

CANCELLED = Problem("cancelled", "The generation was cancelled.")
STOPPED = Problem("stopped", "The backend was stopped; the generation is lost.", "Generate again.")


class BackendState(enum.Enum):
    """How the generation service is, as far as this Blender knows."""

    STOPPED = "Stopped"
    STARTING = "Starting"
    READY = "Ready"
    RECONNECTING = "Connecting again"
    STOPPING = "Stopping"
    FAILED = "Failed"


@dataclass
class Job:
    """A generation at work.

    title: its prompt. stage, step, of: as in `JobProgress`. position: number of jobs that go first.
    cancelling: whether the artist has cancelled it. finish_time: time of its end by `State.clock`; None while unknown.
    """

    title: str = ""
    stage: str = ""
    step: int = 0
    of: int = 0
    position: int = 0
    cancelling: bool = False
    finish_time: float | None = None

    @property
    def fraction(self) -> float:
        """How much of the stage is done, 0 to 1."""
        return self.step / self.of if self.of else 0.0

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the job is done, counted down between the service's reports; None while unknown."""
        return None if self.finish_time is None else max(0.0, self.finish_time - now)


@dataclass
class State:
    """Everything that the panel shows. `clock` is any steady clock in seconds.

    own: whether this Blender started the service. backend_problem: why the backend is not there.
    jobs: at work, by id, the oldest first. takes: finished takes' folders. failures: why jobs have no take, or why it
    is not shown. warnings: what the artist should know of a job. problem, notice: the latest message of either kind.
    """

    clock: Callable[[], float] = time.monotonic
    backend: BackendState = BackendState.STOPPED
    backend_problem: Problem | None = None
    own: bool = False
    device: str = ""
    models: tuple[ModelInfo, ...] = ()
    log_path: Path | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    takes: dict[str, Path] = field(default_factory=dict)
    failures: dict[str, Problem] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    problem: Problem | None = None
    notice: str = ""

    def model(self, name: str) -> ModelInfo | None:
        """The model of that name, if the service offers it."""
        return next((model for model in self.models if model.name == name), None)

    def summary(self, job_id: str) -> str:
        """A job at work in one line: what is being done, how far it is, and how long it will take."""
        job = self.jobs[job_id]
        if job.cancelling:
            return "Cancelling"
        if self.backend is BackendState.STARTING:
            return "Starting the backend"
        if self.backend is not BackendState.READY:
            return "Waiting for the backend"
        if not job.stage:
            return f"Waiting, {job.position} before this one" if job.position else "Waiting"
        text = job.stage.capitalize()
        if job.of:
            text += f" {job.step} / {job.of}"
        left = job.seconds_left(self.clock())
        return text if left is None else f"{text}, {format_duration(left)} left"

    def start_backend(self) -> None:
        """The backend is being looked for, or started."""
        self.backend, self.backend_problem, self.problem = BackendState.STARTING, None, None

    def begin_job(self, job_id: str, title: str) -> None:
        """Generate was pressed. Messages about jobs that are over go."""
        self.jobs[job_id] = Job(title)
        self.problem, self.notice = None, ""
        self.warnings = {known: text for known, text in self.warnings.items() if known in self.jobs}

    def fail_job(self, job_id: str, problem: Problem) -> None:
        """The job is over without a take, or its take cannot be shown."""
        self.jobs.pop(job_id, None)
        self.failures[job_id] = problem
        if problem in (CANCELLED, STOPPED):
            self.notice = problem.message
        else:
            self.problem = problem

    def apply(self, event: Event) -> None:
        """Change the state as `event` says. Raises KeyError for a job that is not at work."""
        match event:
            case BackendStarting(log_path):
                self.backend, self.log_path = BackendState.STARTING, log_path
            case BackendReady(welcome, log_path, own):
                self.backend, self.log_path, self.own = BackendState.READY, log_path, own
                self.device, self.models = welcome.device, welcome.models
            case BackendLost():
                self.backend = BackendState.RECONNECTING
            case BackendStopped(problem, unfinished):
                self._backend_stopped(problem, {job.job_id for job in unfinished})
            case Accepted(job_id=job_id, position=position):
                self.jobs[job_id].position = position
            case JobProgress():
                self._progress(event)
            case TakeWritten(job_id, folder):
                del self.jobs[job_id]
                self.takes[job_id] = folder
            case Failed(job_id=str(job_id), error=error):
                self.fail_job(job_id, _problem(error))
            case Cancelled(job_id=job_id):
                self.fail_job(job_id, CANCELLED)

    def _progress(self, event: JobProgress) -> None:
        job = self.jobs[event.job_id]
        job.stage, job.step, job.of = event.stage, event.step, event.of
        job.finish_time = None if event.seconds_left is None else self.clock() + event.seconds_left
        if event.warning:
            earlier = self.warnings.get(event.job_id)
            self.warnings[event.job_id] = f"{earlier}\n{event.warning}" if earlier else event.warning

    def _backend_stopped(self, problem: Problem | None, unfinished: set[str]) -> None:
        self.backend = BackendState.FAILED if problem else BackendState.STOPPED
        self.backend_problem, self.own = problem, False
        self.device, self.models = "", ()
        for job_id in [job_id for job_id in self.jobs if job_id not in unfinished]:
            self.fail_job(job_id, problem or STOPPED)
        if problem:
            self.problem = problem


def _problem(error: ErrorInfo) -> Problem:
    return Problem(error.code, error.message, error.hint)


def format_duration(seconds: float) -> str:
    """Seconds as people say them: "45 s", "3 min 20 s", "1 h 05 min"."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    minutes, seconds_left = divmod(total, 60)
    if minutes < 60:
        return f"{minutes} min {seconds_left:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
