"""What Blender's main thread asks of the socket thread."""

from __future__ import annotations

from dataclasses import dataclass

from .submission import Submission


@dataclass(frozen=True, eq=False)
class SubmitJob:
    """Generate, under a job id that is new. It is sent as soon as a service answers."""

    job_id: str
    submission: Submission


@dataclass(frozen=True)
class CancelJob:
    """Stop one job."""

    job_id: str


@dataclass(frozen=True)
class StopService:
    """End the service that this Blender started, or leave one that it did not start. The thread ends then."""


Command = SubmitJob | CancelJob | StopService
