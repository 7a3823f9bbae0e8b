"""What the socket thread reports to Blender's main thread.

Messages of the service that say all there is to say are events as they are. The others are here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..problem import Problem
from ..protocol.messages import Accepted, Cancelled, Failed, JobProgress, Welcome
from .pending import PendingJob


@dataclass(frozen=True)
class BackendStarting:
    """The service's process is being started. log_path: the file with its output."""

    log_path: Path


@dataclass(frozen=True)
class BackendReady:
    """A service has answered.

    log_path: its log. own: whether this Blender started it.
    """

    welcome: Welcome
    log_path: Path
    own: bool


@dataclass(frozen=True)
class BackendLost:
    """The connection was lost while jobs were at work. The thread tries to connect again."""


@dataclass(frozen=True)
class BackendStopped:
    """The thread has ended, and so has the service if this Blender started it.

    problem: why, when nobody asked for it. unfinished: jobs that the next thread has to ask for again.
    """

    problem: Problem | None = None
    unfinished: tuple[PendingJob, ...] = ()


@dataclass(frozen=True)
class TakeWritten:
    """All files of a job's take are in `folder`."""

    job_id: str
    folder: Path


JobEvent = Accepted | JobProgress | TakeWritten | Failed | Cancelled
Event = BackendStarting | BackendReady | BackendLost | BackendStopped | JobEvent
