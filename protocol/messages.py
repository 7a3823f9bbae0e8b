"""Every message that the two sides exchange, as typed structs.

A message is the JSON header of a multipart ZeroMQ message (see `wire.py`); arrays and images travel behind it as raw
buffers which the header's `buffers` describe, in order. Requests carry a fresh `id`; whatever answers them carries it
in `reply_to`. Units: seconds, pixels, scene units. The camera conventions are those of `docs/protocol.md`.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

import msgspec

from .models import STARTER_NAME, ModelInfo, ModelName, ModelReference
from .settings import SamplingSettings

PROTOCOL_VERSION = 2
MAX_VIEWS = 64
MAX_FRAMES = 128

Name = Annotated[str, msgspec.Meta(max_length=256)]
Text = Annotated[str, msgspec.Meta(max_length=8192)]
# Lower case, because identifiers become folder names; the end is spelt out because Python's $ allows a line break.
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[0-9a-z_-]+$(?!\n)")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Dimension = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Size = Annotated[int, msgspec.Meta(ge=8, le=4096, multiple_of=8)]
Stage = Literal["loading", "encoding", "denoising", "decoding", "saving"]


def new_id() -> str:
    """A fresh identifier, 32 hexadecimal digits."""
    return uuid.uuid4().hex


class Buffer(msgspec.Struct, frozen=True, kw_only=True):
    """What one buffer behind the header holds.

    encoding: "raw" (C-contiguous, little-endian array) or "png" (a complete PNG file).
    dtype:    numpy name of the array or of the decoded image ("float64", "uint8").
    shape:    shape of the array or of the decoded image (height, width, channels).
    """

    encoding: Literal["raw", "png"]
    dtype: Literal["float32", "float64", "uint8", "int64"]
    shape: Annotated[tuple[Dimension, ...], msgspec.Meta(max_length=8)]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The fields every header has; subclasses add theirs. `version` is the protocol's, checked before anything else."""

    version: int = PROTOCOL_VERSION
    id: Identifier = msgspec.field(default_factory=new_id)
    reply_to: Identifier | None = None
    buffers: tuple[Buffer, ...] = ()


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Why something failed: a stable `code` for programs, a `message` for people, and in `hint` what to do next."""

    code: Name
    message: Text
    hint: Text = ""


class GenerateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that defines one generation, but for the cameras, which are the buffers of `Submit`.

    view_names: of the views, in the cameras' order. model: a name from `Welcome.models`. scale: the factor that brought
    the cameras from the client's units to those of `c2w`; the take's record keeps it. The same request with the same
    cameras gives the same frames on the same device.
    """

    prompt: Text
    view_names: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=MAX_VIEWS)]
    width: Size
    height: Size
    negative_prompt: Text = ""
    model: ModelName = STARTER_NAME
    settings: SamplingSettings = SamplingSettings()
    scale: Annotated[float, msgspec.Meta(gt=0, le=1e12)] = 1.0


class MadeWith(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished job used, beyond what its request says.

    settings: with every number set. model: with the hash of its files. software: the service's version.
    warnings: what the user was told.
    """

    settings: SamplingSettings
    model: ModelReference
    software: Name
    warnings: tuple[str, ...] = ()


class JobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One job as the service sees it.

    submitted, started, finished: seconds since the epoch, None while they are to come. error: of a failed job.
    made: of a finished job.
    """

    job_id: Identifier
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    request: GenerateRequest
    submitted: float
    started: float | None = None
    finished: float | None = None
    error: ErrorInfo | None = None
    made: MadeWith | None = None


# ---------------------------------------------------------------------------------------------- client -> service


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """First message of a client. Answered by `Welcome`, or by `Failed` with code "version" when the versions differ."""

    client: Name


class Submit(Message, frozen=True, kw_only=True, tag="submit"):
    """Asks for a generation. Buffers: c2w (V, F, 4, 4) float64, then K (V, F, 3, 3) float64, both "raw".

    Answered by `Accepted`, then any number of `JobProgress`, one `ViewFrames` per view, and `Done`, `Failed` or
    `Cancelled`. The client chooses a new `job_id`. A submission that is sent again after a lost connection does not run
    twice: the service answers `Accepted` for a job it already has.
    """

    job_id: Identifier
    request: GenerateRequest


class Cancel(Message, frozen=True, kw_only=True, tag="cancel"):
    """Asks to stop one job; `Cancelled` follows within one denoising step."""

    job_id: Identifier


class FetchResult(Message, frozen=True, kw_only=True, tag="fetch_result"):
    """Asks for a job's outcome again: its `ViewFrames`, and `Done`, `Failed` or `Cancelled`.

    Of a job that is still queued or running, this client gets `Accepted` now and everything that follows.
    """

    job_id: Identifier


class StatusRequest(Message, frozen=True, kw_only=True, tag="status_request"):
    """Asks for `Status`."""


class JobsRequest(Message, frozen=True, kw_only=True, tag="jobs_request"):
    """Asks for `Jobs`: the newest `limit` of them."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class Ping(Message, frozen=True, kw_only=True, tag="ping"):
    """Heartbeat, answered by `Pong`."""


class Shutdown(Message, frozen=True, kw_only=True, tag="shutdown"):
    """Asks the service to end, answered by `Bye`. Queued jobs and the running one end as cancelled."""


# ---------------------------------------------------------------------------------------------- service -> client


class Welcome(Message, frozen=True, kw_only=True, tag="welcome"):
    """Answer to `Hello`. A changed `session` tells that the service was started anew."""

    session: Identifier
    service_version: Name
    device: Name
    models: tuple[ModelInfo, ...]


class Accepted(Message, frozen=True, kw_only=True, tag="accepted"):
    """The job is in the queue with `position` jobs before it."""

    job_id: Identifier
    position: Count


class JobProgress(Message, frozen=True, kw_only=True, tag="progress"):
    """How far a job is: `step` of `of` network calls, frames or views in `stage`.

    seconds_left: for the whole job, None while nothing is known. warning: what the user should know of the request,
    which is carried out nevertheless; said once.
    """

    job_id: Identifier
    stage: Stage
    step: Count
    of: Count
    seconds_left: Annotated[float, msgspec.Meta(ge=0)] | None = None
    warning: str = ""


class ViewFrames(Message, frozen=True, kw_only=True, tag="frames"):
    """One finished view: its frames in order as "png" buffers (height, width, 3), then its latents as a "raw" one."""

    job_id: Identifier
    view: Count


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """The job is finished and every view was sent. seconds: from its start to its end. made: what else was used."""

    job_id: Identifier
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    made: MadeWith


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """The job, or (with `job_id` None) the message named by `reply_to`, failed."""

    error: ErrorInfo
    job_id: Identifier | None = None


class Cancelled(Message, frozen=True, kw_only=True, tag="cancelled"):
    """The job was stopped at somebody's wish."""

    job_id: Identifier


class Status(Message, frozen=True, kw_only=True, tag="status"):
    """The service's state. running: the jobs at work. worker: how the process that owns the model is."""

    session: Identifier
    device: Name
    worker: Literal["starting", "idle", "busy", "down"]
    running: tuple[Identifier, ...]
    queued: Count
    uptime: Annotated[float, msgspec.Meta(ge=0)]


class Jobs(Message, frozen=True, kw_only=True, tag="jobs"):
    """The newest jobs the service knows, also from before its start, oldest first."""

    jobs: tuple[JobInfo, ...]


class Pong(Message, frozen=True, kw_only=True, tag="pong"):
    """Answer to `Ping`."""


class Bye(Message, frozen=True, kw_only=True, tag="bye"):
    """Answer to `Shutdown`, the service's last message."""


ClientMessage = Hello | Submit | Cancel | FetchResult | StatusRequest | JobsRequest | Ping | Shutdown
ServiceMessage = Welcome | Accepted | JobProgress | ViewFrames | Done | Failed | Cancelled | Status | Jobs | Pong | Bye
