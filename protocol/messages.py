"""Every message that the two sides exchange, as typed structs.

A message is the JSON header of a multipart ZeroMQ message (see `wire.py`); arrays and images travel behind it as raw
buffers which the header's `buffers` describe, in order. Requests carry a fresh `id`; whatever answers them carries it
in `reply_to`. Units: seconds, pixels, scene units. The camera conventions are those of `docs/protocol.md`.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

import msgspec

PROTOCOL_VERSION = 1
MAX_VIEWS = 64
MAX_FRAMES = 128

Name = Annotated[str, msgspec.Meta(max_length=256)]
Text = Annotated[str, msgspec.Meta(max_length=8192)]
# Lower case, because identifiers become folder names; the end is spelt out because Python's $ allows a line break.
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[0-9a-z_-]+$(?!\n)")]
Count = Annotated[int, msgspec.Meta(ge=0)]
Dimension = Annotated[int, msgspec.Meta(ge=1)]
Size = Annotated[int, msgspec.Meta(ge=8, le=4096, multiple_of=8)]


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


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model the service can load, and the sizes it was trained for.

    Width and height must be multiples of `size_multiple`; near `native_size` squared pixels the model is at its best.
    """

    name: Name
    native_size: Size
    size_multiple: Annotated[int, msgspec.Meta(ge=8)]
    max_frames: Annotated[int, msgspec.Meta(ge=1)]
    num_inference_steps: Annotated[int, msgspec.Meta(ge=1)]
    guidance_scale: float


class GenerateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that defines one generation, but for the cameras, which are the buffers of `Submit`.

    `view_names` names the views in the cameras' order. `multistep` and `accumulate_step` None: the official setting for
    the number of views. The same request with the same cameras gives the same frames on the same device.
    """

    prompt: Text
    view_names: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=MAX_VIEWS)]
    width: Size
    height: Size
    negative_prompt: Text = ""
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] = "starter"
    num_inference_steps: Annotated[int, msgspec.Meta(ge=1, le=999)] = 25
    guidance_scale: Annotated[float, msgspec.Meta(ge=0, le=100)] = 8.5
    multistep: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None
    accumulate_step: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0


class JobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One job as the service sees it. Times are seconds since the epoch, None while they lie in the future."""

    job_id: Identifier
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    request: GenerateRequest
    submitted: float
    started: float | None = None
    finished: float | None = None
    error: ErrorInfo | None = None


# ---------------------------------------------------------------------------------------------- client -> service


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """First message of a client. Answered by `Welcome`, or by `Failed` with code "version" when the versions differ."""

    client: Name


class Submit(Message, frozen=True, kw_only=True, tag="submit"):
    """Asks for a generation. Buffers: c2w (V, F, 4, 4) float64, then K (V, F, 3, 3) float64, both "raw".

    Answered by `Accepted`, then any number of `Progress`, one `Frames` per view and `Done`; or `Failed`, `Cancelled`.
    `job_id` is the client's choice and new, so that a submission that is sent again after a lost connection is not run
    twice: the service answers `Accepted` for a job it already has.
    """

    job_id: Identifier
    request: GenerateRequest


class Cancel(Message, frozen=True, kw_only=True, tag="cancel"):
    """Asks to stop one job; `Cancelled` follows within one denoising step."""

    job_id: Identifier


class FetchResult(Message, frozen=True, kw_only=True, tag="fetch_result"):
    """Asks for a job's outcome again: its `Frames` and `Done` (or `Failed`, `Cancelled`), for a client that came back.

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


class Progress(Message, frozen=True, kw_only=True, tag="progress"):
    """How far a job is: `step` of `of` U-Net calls or frames in `stage`; `seconds_left` for the whole job, if known.

    warning: what the user should know of the request, which is carried out nevertheless; said once.
    """

    job_id: Identifier
    stage: Literal["loading", "encoding", "denoising", "decoding", "saving"]
    step: Count
    of: Count
    seconds_left: Annotated[float, msgspec.Meta(ge=0)] | None = None
    warning: str = ""


class Frames(Message, frozen=True, kw_only=True, tag="frames"):
    """All frames of one view, in order, as "png" buffers (height, width, 3) uint8 sRGB."""

    job_id: Identifier
    view: Count


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """The job is finished and every view was sent. `seconds` is its time from start to end."""

    job_id: Identifier
    seconds: Annotated[float, msgspec.Meta(ge=0)]


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """The job, or (with `job_id` None) the message named by `reply_to`, failed."""

    error: ErrorInfo
    job_id: Identifier | None = None


class Cancelled(Message, frozen=True, kw_only=True, tag="cancelled"):
    """The job was stopped at somebody's wish."""

    job_id: Identifier


class Status(Message, frozen=True, kw_only=True, tag="status"):
    """The service's state. `running` is the job at work; `worker` says how the process that owns the model is."""

    session: Identifier
    device: Name
    worker: Literal["starting", "idle", "busy", "down"]
    running: Identifier | None
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
ServiceMessage = Welcome | Accepted | Progress | Frames | Done | Failed | Cancelled | Status | Jobs | Pong | Bye
