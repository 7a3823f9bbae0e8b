"""Where jobs run. The server knows only the `Executor` interface; `local` runs jobs in a child process here."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

from protocol.wire import Bytes

from .events import Ready, Received, RunJob

State = Literal["starting", "idle", "busy", "down"]


class Executor(Protocol):
    """Runs up to `capacity` jobs at a time."""

    @property
    def capacity(self) -> int:
        """How many jobs it runs at a time, at least 1."""

    @property
    def state(self) -> State:
        """The state of the worker, as `protocol.messages.Status` tells it."""

    async def start(self) -> Ready:
        """Get ready. Raises WorkerStartError."""

    def run(self, job: RunJob, buffers: list[Bytes]) -> AsyncGenerator[Received, None]:
        """Run a job. Yields its events, each with its buffers; the last one is `Ended` or `Lost`. Never raises.

        buffers: the cameras, as `RunJob` describes them.
        """

    def cancel(self, job_id: str) -> None:
        """Stop the job of this id, if it runs. It ends as cancelled, unless it ends first."""

    async def stop(self) -> None:
        """End now. Jobs that run end as cancelled."""
