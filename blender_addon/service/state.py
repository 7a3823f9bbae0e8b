"""What the panel shows: the backend's state and the job's, as plain values that events change.

The socket thread (`service_link.py`) reports events, Blender's main thread applies them here and draws the result.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..problem import Problem


class BackendState(enum.Enum):
    """How the generation service is, as far as this Blender knows."""

    STOPPED = "Stopped"
    STARTING = "Starting"
    READY = "Ready"
    STOPPING = "Stopping"
    FAILED = "Failed"


@dataclass(frozen=True)
class Model:
    """A model that the service offers, with its own settings. Sizes in pixels."""

    name: str
    native_size: int
    size_multiple: int
    max_frames: int
    num_inference_steps: int
    guidance_scale: float


# ------------------------------------------------------------------------------------------------------------ events


@dataclass(frozen=True)
class BackendStarting:
    """The service's process is being started; its output goes to `log_path`."""

    log_path: Path


@dataclass(frozen=True)
class BackendReady:
    """The service has answered. From now on `log_path` is where it writes what it does."""

    device: str
    models: tuple[Model, ...]
    log_path: Path


@dataclass(frozen=True)
class BackendStopped:
    """The service has ended; `problem` says why when nobody asked it to."""

    problem: Problem | None = None


@dataclass(frozen=True)
class JobQueued:
    """The service has the job; `position` others go first. Its frames go to `folder`."""

    folder: Path
    position: int


@dataclass(frozen=True)
class JobProgress:
    """`step` of `of` in `stage`; `seconds_left` until the whole job is done, None while nobody knows.

    warning: what the artist should know of the request, empty as a rule.
    """

    stage: str
    step: int
    of: int
    seconds_left: float | None
    warning: str = ""


@dataclass(frozen=True)
class JobDone:
    """Every frame of the job, and its `take.json`, lie in `folder`."""

    folder: Path


@dataclass(frozen=True)
class JobFailed:
    """The job ended without a result."""

    problem: Problem


@dataclass(frozen=True)
class JobCancelled:
    """The job was stopped as asked."""


Event = BackendStarting | BackendReady | BackendStopped | JobQueued | JobProgress | JobDone | JobFailed | JobCancelled


# ------------------------------------------------------------------------------------------------------------- state


@dataclass
class Job:
    """The generation at work. Times are those of `State.clock`."""

    started: float
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
        """Seconds until the job is done, counted down between the service's reports; None while nobody knows."""
        return None if self.finish_time is None else max(0.0, self.finish_time - now)


@dataclass
class State:
    """Everything the panel shows. `clock` is any steady clock in seconds."""

    clock: Callable[[], float] = time.monotonic
    backend: BackendState = BackendState.STOPPED
    device: str = ""
    models: tuple[Model, ...] = ()
    log_path: Path | None = None
    job: Job | None = None
    take_folder: Path | None = None
    problem: Problem | None = None
    notice: str = ""
    warning: str = ""

    def summary(self) -> str:
        """The job in one line: what is being done, how far it is and how long it will take. Empty without a job."""
        job = self.job
        if job is None:
            return ""
        if job.cancelling:
            return "Cancelling"
        if self.backend is BackendState.STARTING:
            return "Starting the backend"
        if not job.stage:
            return f"Waiting, {job.position} before this one" if job.position else "Waiting"
        text = job.stage.capitalize()
        if job.of:
            text += f" {job.step} / {job.of}"
        left = job.seconds_left(self.clock())
        return text if left is None else f"{text}, {format_duration(left)} left"

    def begin_job(self) -> None:
        """Generate was pressed."""
        self.job = Job(started=self.clock())
        self.take_folder = None
        self.problem = None
        self.notice = ""
        self.warning = ""

    def fail_job(self, problem: Problem) -> None:
        """The job is over without a result."""
        self.job = None
        self.problem = problem

    def apply(self, event: Event) -> None:
        """Change the state as `event` says."""
        match event:
            case BackendStarting(log_path):
                self.backend, self.log_path = BackendState.STARTING, log_path
            case BackendReady(device, models, log_path):
                self.backend, self.device, self.models = BackendState.READY, device, models
                self.log_path = log_path
            case BackendStopped(problem):
                self._backend_stopped(problem)
            case JobQueued(_, position):
                self._require_job().position = position
            case JobProgress(stage, step, of, seconds_left, warning):
                job = self._require_job()
                self.warning = "\n".join(filter(None, (self.warning, warning)))
                job.stage, job.step, job.of = stage, step, of
                job.finish_time = None if seconds_left is None else self.clock() + seconds_left
            case JobDone(folder):
                self.job, self.take_folder = None, folder
            case JobFailed(problem):
                self.fail_job(problem)
            case JobCancelled():
                self.job, self.notice = None, "Cancelled."

    def _require_job(self) -> Job:
        if self.job is None:
            raise RuntimeError("An event of a job came, and no job is at work.")
        return self.job

    def _backend_stopped(self, problem: Problem | None) -> None:
        self.backend = BackendState.FAILED if problem else BackendState.STOPPED
        self.device, self.models = "", ()
        if problem:
            self.problem = problem
        elif self.job:
            self.notice = "The backend was stopped; the generation is lost."
        self.job = None


def format_duration(seconds: float) -> str:
    """Seconds as people say them: "45 s", "3 min 20 s", "1 h 05 min"."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    minutes, seconds_left = divmod(total, 60)
    if minutes < 60:
        return f"{minutes} min {seconds_left:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
