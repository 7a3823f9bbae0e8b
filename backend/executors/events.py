"""The commands for a worker and the events of its jobs. No client sees them.

A worker process and its executor exchange them over pipes (`backend.pipe`), each with buffers behind it.
`backend.translation` turns them into messages of the protocol. So either can change without the other.
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

    cameras: descriptions of the two buffers. state_file: path of the file for the sampler's state. When the file
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
    """The worker takes jobs. device: "cpu" or "cuda". models: the models that jobs may ask for, the starter first."""

    device: str
    models: tuple[ModelInfo, ...]


class CannotStart(msgspec.Struct, frozen=True, kw_only=True, tag="cannot_start"):
    """The worker takes no jobs, and ends."""

    error: ErrorInfo


class Progressed(msgspec.Struct, frozen=True, kw_only=True, tag="progressed"):
    """`step` of `of` steps of `stage` are done. seconds_left: for the whole job; None while it is unknown."""

    job_id: str
    stage: Stage
    step: int
    of: int
    seconds_left: float | None = None


class Warned(msgspec.Struct, frozen=True, kw_only=True, tag="warned"):
    """Something that the user should know about the request. The job goes on."""

    job_id: str
    warning: str


class Previewed(msgspec.Struct, frozen=True, kw_only=True, tag="previewed"):
    """Small pictures of what the model predicts, one for each view. Buffers: a PNG file for each view.

    step, of: steps of the sampler that are done.
    """

    job_id: str
    step: int
    of: int


class Saved(msgspec.Struct, frozen=True, kw_only=True, tag="saved"):
    """The job's `state_file` holds a new state of the sampler."""

    job_id: str


class ViewFinished(msgspec.Struct, frozen=True, kw_only=True, tag="view_finished"):
    """One view is finished. Buffers: its frames in order as PNG files, then its latents (C, F, h, w), float32.

    view: counted from 0. latents: description of the last buffer.
    """

    job_id: str
    view: int
    latents: Buffer


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """The last event of a job. made: what it used, when it is done. error: why it failed, when it did."""

    job_id: str
    state: Literal["done", "failed", "cancelled"]
    made: MadeWith | None = None
    error: ErrorInfo | None = None


# --------------------------------------------------------------------------------------------- the executor's own


class Lost(msgspec.Struct, frozen=True, kw_only=True, tag="lost"):
    """The last event of a run whose worker died. The job can run again, and goes on from the state that was saved last.

    error: the job's error, in case that it does not run again.
    """

    job_id: str
    error: ErrorInfo


Command = RunJob | CancelJob
Greeting = Ready | CannotStart
JobEvent = Progressed | Warned | Previewed | Saved | ViewFinished | Ended
Event = JobEvent | Lost
Received = tuple[Event, list[Bytes]]
