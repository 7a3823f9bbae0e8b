"""What an executor is told and what it says: values of the service's own, which no client sees.

A worker process and its executor exchange them over pipes (`backend.pipe`), each with buffers behind it.
`backend.translation` turns them into messages of the protocol, so that either can change without the other.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from protocol.messages import Buffer, ErrorInfo, GenerateRequest, MadeWith, Stage
from protocol.models import ModelInfo
from protocol.wire import Bytes

# --------------------------------------------------------------------------------------------- executor -> worker


class RunJob(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """Asks for a generation. Buffers: c2w (V, F, 4, 4) and K (V, F, 3, 3), float64.

    cameras: descriptions of the two buffers. state_file: path of the file that keeps the sampler's state. Where it
    exists, the run goes on from it.
    """

    job_id: str
    request: GenerateRequest
    cameras: tuple[Buffer, Buffer]
    state_file: str


class CancelJob(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """Asks to stop a job."""

    job_id: str


# --------------------------------------------------------------------------------------------- worker -> executor


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The worker takes jobs. device: "cpu" or "cuda". models: those that jobs may ask for, the starter first."""

    device: str
    models: tuple[ModelInfo, ...]


class CannotStart(msgspec.Struct, frozen=True, kw_only=True, tag="cannot_start"):
    """The worker will not take jobs."""

    error: ErrorInfo


class Progressed(msgspec.Struct, frozen=True, kw_only=True, tag="progressed"):
    """How far a job is: `step` of `of` steps of `stage`. seconds_left: for the whole job; None while unknown."""

    job_id: str
    stage: Stage
    step: int
    of: int
    seconds_left: float | None = None


class Warned(msgspec.Struct, frozen=True, kw_only=True, tag="warned"):
    """What the user should know of a request that is carried out nevertheless."""

    job_id: str
    warning: str


class Saved(msgspec.Struct, frozen=True, kw_only=True, tag="saved"):
    """The sampler's state is in the job's `state_file`, further than at the last time."""

    job_id: str


class ViewFinished(msgspec.Struct, frozen=True, kw_only=True, tag="view_finished"):
    """One view is finished. Buffers: its frames in order as PNG files, then its latents (C, F, h, w), float32.

    view: counted from 0. latents: description of the last buffer.
    """

    job_id: str
    view: int
    latents: Buffer


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """The last event of a job. made: of a job that is done. error: of a job that failed."""

    job_id: str
    state: Literal["done", "failed", "cancelled"]
    made: MadeWith | None = None
    error: ErrorInfo | None = None


# --------------------------------------------------------------------------------------------- the executor's own


class Lost(msgspec.Struct, frozen=True, kw_only=True, tag="lost"):
    """The last event of a run whose worker died. The job can run again, from the state that was saved last.

    error: why the job failed, when it does not run again.
    """

    job_id: str
    error: ErrorInfo


Command = RunJob | CancelJob
Greeting = Ready | CannotStart
JobEvent = Progressed | Warned | Saved | ViewFinished | Ended
Event = JobEvent | Lost
Received = tuple[Event, list[Bytes]]
