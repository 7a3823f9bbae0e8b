"""Where jobs run. The server knows only the `Executor` interface; `local` runs them in a child process here."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

from protocol.messages import ServiceMessage, Submit, Welcome
from protocol.wire import Bytes

Received = tuple[ServiceMessage, list[Bytes]]


class Executor(Protocol):
    """Runs one job at a time."""

    @property
    def state(self) -> Literal["starting", "idle", "busy", "down"]:
        """How it is, for `messages.Status`."""

    async def start(self) -> Welcome:
        """Get ready. The answer tells the device and the models. Raises WorkerStartError."""

    def run(self, submit: Submit, buffers: list[Bytes]) -> AsyncGenerator[Received, None]:
        """Run a job: its `Progress` and `Frames`, and at the end one of `Done`, `Failed`, `Cancelled`. Never raises."""

    def cancel(self, job_id: str) -> None:
        """Stop the job of this id, if it runs; its last message will be `Cancelled`, unless it is faster."""

    async def stop(self) -> None:
        """End now, in the middle of a job if need be."""
