"""Every message that the two sides exchange, as typed structs.

A message is the JSON header of a multipart ZeroMQ message (see `wire.py`). Arrays and images travel behind it as
buffers, which the header's `buffers` describe in order. A request carries a new `id`, and its answers carry that in
`reply_to`. Units: seconds, pixels, scene units. The camera conventions are those of `docs/protocol.md`.
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
MAX_TEXT = 8192
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
# Lower case, because identifiers become folder names; the end is spelt out because Python's $ allows a line break.
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[0-9a-z_-]+$(?!\n)")]
Version = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Dimension = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Size = Annotated[int, msgspec.Meta(ge=8, le=4096, multiple_of=8)]
Stage = Literal["loading", "encoding", "denoising", "decoding", "saving"]


def new_id() -> str:
    """A new identifier, 32 hexadecimal digits."""
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
    """The fields of every header. Subclasses add theirs.

    version: of the protocol; readers check it first. id: new for every message. reply_to: `id` of the request that this
    answers. buffers: descriptions of the buffers behind the header.
    """

    version: Version = PROTOCOL_VERSION
    id: Identifier = msgspec.field(default_factory=new_id)
    reply_to: Identifier | None = None
    buffers: tuple[Buffer, ...] = ()


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Why something failed. code: stable, for programs. message: for people. hint: what to do next."""

    code: Name
    message: Text
    hint: Text = ""


def error_info(code: str, message: str, hint: str = "") -> ErrorInfo:
    """An `ErrorInfo` whose texts are cut where they are too long to be sent. Only the beginning of them is for people.

    What an error quotes may be of any length, such as a wrong value in a message of megabytes.
    """
    return ErrorInfo(code=code, message=shortened(message), hint=shortened(hint))


def shortened(text: str, length: int = 2000) -> str:
    """A text of at most `length` characters, which shows where something was cut off."""
    return text if len(text) <= length else text[: length - 3] + "..."


class GenerateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that defines one generation, apart from the cameras, which are the buffers of `Submit`.

    The same request with the same cameras and the same model gives the same frames on the same device.

    prompt, negative_prompt: what the scene shows, and what it must not show. view_names: names of the views, in the
    cameras' order. width, height: pixels. model: a name from `Welcome.models`. settings: how to sample from the model.
    scale: factor from the client's units to those of `c2w`, which the take's record keeps.
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

    settings: those that were used, with every number set. model: the model, with the hash of its files.
    software: version of the service. warnings: what the user was told.
    """

    settings: SamplingSettings
    model: ModelReference
    software: Name
    warnings: tuple[str, ...] = ()


class JobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One job as the service sees it.

    state: queued, then running, then one of the others. error: why a failed job failed. made: what a finished job used.
    submitted, started, finished: seconds since the epoch; None while they are to come.
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

    The answers are `Accepted`, then any number of `JobProgress`, one `ViewFrames` for each view, and at the end `Done`,
    `Failed` or `Cancelled`. After a lost connection the client may send a submission again: the job does not run twice.

    job_id: a new one, which the client chooses.
    """

    job_id: Identifier
    request: GenerateRequest


class Cancel(Message, frozen=True, kw_only=True, tag="cancel"):
    """Asks to stop one job. `Cancelled` follows within one denoising step."""

    job_id: Identifier


class FetchResult(Message, frozen=True, kw_only=True, tag="fetch_result"):
    """Asks for a job's outcome again: its `ViewFrames`, and `Done`, `Failed` or `Cancelled`.

    When the job is queued or runs, this client gets `Accepted` now, and everything that follows.
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
    """Asks the service to end, answered by `Bye`. All unfinished jobs end as cancelled."""


# ---------------------------------------------------------------------------------------------- service -> client


class Welcome(Message, frozen=True, kw_only=True, tag="welcome"):
    """Answer to `Hello`.

    session: new at every start of the service. device: "cpu" or "cuda"; empty while the worker starts.
    models: those that a request may name.
    """

    session: Identifier
    service_version: Name
    device: Name
    models: tuple[ModelInfo, ...]


class Accepted(Message, frozen=True, kw_only=True, tag="accepted"):
    """The service has the job. position: how many jobs must end before this one starts."""

    job_id: Identifier
    position: Count


class JobProgress(Message, frozen=True, kw_only=True, tag="progress"):
    """`step` of `of` network calls, frames or views are done in `stage`.

    seconds_left: for the whole job; None while it is unknown. warning: something that the user should know about the
    request, which goes on; said once.
    """

    job_id: Identifier
    stage: Stage
    step: Count
    of: Count
    seconds_left: Annotated[float, msgspec.Meta(ge=0)] | None = None
    warning: str = ""


class JobPreview(Message, frozen=True, kw_only=True, tag="preview"):
    """What the model predicts so far, as one small "png" buffer (height, width, 3) for each view.

    step, of: steps of the sampler that are done.
    """

    job_id: Identifier
    step: Count
    of: Count


class ViewFrames(Message, frozen=True, kw_only=True, tag="frames"):
    """One finished view. Buffers: its frames in order, "png", (height, width, 3); then its latents, "raw".

    view: counted from 0.
    """

    job_id: Identifier
    view: Count


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """The job is finished, and the service has sent every view.

    seconds: from the job's start to its end. made: what the job used beyond its request.
    """

    job_id: Identifier
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    made: MadeWith


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """The job of `job_id` failed. With None: the service refused the message that `reply_to` names."""

    error: ErrorInfo
    job_id: Identifier | None = None


class Cancelled(Message, frozen=True, kw_only=True, tag="cancelled"):
    """Somebody stopped the job."""

    job_id: Identifier


class Status(Message, frozen=True, kw_only=True, tag="status"):
    """The service's state.

    worker: the process that owns the model. running: ids of the jobs that run. queued: how many jobs wait.
    uptime: seconds since the service's start.
    """

    session: Identifier
    device: Name
    worker: Literal["starting", "idle", "busy", "down"]
    running: tuple[Identifier, ...]
    queued: Count
    uptime: Annotated[float, msgspec.Meta(ge=0)]


class Jobs(Message, frozen=True, kw_only=True, tag="jobs"):
    """The newest jobs that the service knows, oldest first, also those of earlier starts."""

    jobs: tuple[JobInfo, ...]


class Pong(Message, frozen=True, kw_only=True, tag="pong"):
    """Answer to `Ping`."""


class Bye(Message, frozen=True, kw_only=True, tag="bye"):
    """Answer to `Shutdown`, the service's last message."""


ClientMessage = Hello | Submit | Cancel | FetchResult | StatusRequest | JobsRequest | Ping | Shutdown
ServiceMessage = (
    Welcome | Accepted | JobProgress | JobPreview | ViewFrames | Done | Failed | Cancelled | Status | Jobs | Pong | Bye
)
