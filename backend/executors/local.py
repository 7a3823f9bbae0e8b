"""Runs jobs in one child process on this machine, and starts the process again when it dies.

The model's process can be killed by the system (out of memory), crash in a driver or be stopped by its user. None of
that ends the service: the job under way fails with a reason, and the next job finds a new process.

Pipes are read and written by threads, because on Windows the event loop that ZeroMQ needs knows no pipes.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import IO, Literal

from cvd.threads import share_the_processor
from protocol.errors import ProtocolError
from protocol.messages import Cancel, Cancelled, Done, ErrorInfo, Failed, Message, ServiceMessage, Submit, Welcome
from protocol.wire import Bytes, decode, encode

from ..pipe import read_frames, write_frames
from . import Received

PROJECT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 5.0
LAST_LINES = 20

log = logging.getLogger(__name__)
worker_log = logging.getLogger("backend.worker")


class WorkerStartError(ProtocolError):
    """The process that owns the model does not start."""

    code = "worker_start"


class WorkerProcess:
    """One child process and the threads on its pipes.

    received: what it sends, then None when it has ended.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.received: asyncio.Queue[Received | None] = asyncio.Queue()
        self._to_send: queue.Queue[list[Bytes] | None] = queue.Queue()
        self._loop = asyncio.get_running_loop()
        environment = dict(os.environ)
        share_the_processor(environment)
        self._process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows would open a console
        )
        self.last_lines: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self._threads = [self._thread(task) for task in (self._write, self._read, self._log)]

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, message: Message, buffers: Sequence[Bytes] = ()) -> None:
        """Send to the process. Nothing happens when it has ended: `received` tells that."""
        self._to_send.put(encode(message, buffers))

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def exit_reason(self) -> str:
        """How the process, which has ended, came to its end, in words."""
        code = self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name
        return f"{name}, often a sign that memory ran out" if name == "SIGKILL" else name

    def stop(self) -> None:
        """End the process, by closing its input or, when that does not help, by force. Waits until it is gone."""
        self._to_send.put(None)
        self._wait_or_kill()
        for thread in self._threads:
            thread.join(1.0)  # a process that the child has started may keep the pipes open

    def _thread(self, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"worker {self.pid} {target.__name__}", daemon=True)
        thread.start()
        return thread

    def _write(self) -> None:
        stream = _pipe(self._process.stdin)
        try:
            while (frames := self._to_send.get()) is not None:
                write_frames(stream, frames)
            stream.close()
        except OSError:
            log.info("Worker %d no longer reads", self.pid)  # it has ended, which `_read` sees too and reports

    def _read(self) -> None:
        stream = _pipe(self._process.stdout)
        try:
            while (frames := read_frames(stream)) is not None:
                self._deliver(decode(frames, ServiceMessage))
        except ProtocolError:
            log.exception("What worker %d sends cannot be understood", self.pid)
            self._process.kill()
        stream.close()
        self._wait_or_kill()
        self._to_send.put(None)
        self._deliver(None)

    def _log(self) -> None:
        with _pipe(self._process.stderr) as stream:
            for line in stream:
                text = line.decode(errors="replace").rstrip()
                self.last_lines.append(text)
                worker_log.info("%s", text)

    def _wait_or_kill(self) -> None:
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _deliver(self, received: Received | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self.received.put_nowait, received)
        except RuntimeError:
            log.info("Worker %d outlived the service", self.pid)  # the loop is closed: nobody listens any more


class LocalExecutor:
    """An `Executor` with one child process."""

    def __init__(self, device: str, log_path: Path) -> None:
        """device: "auto", "cpu" or "cuda". log_path: named in hints."""
        self._command = [sys.executable, "-m", "backend.worker", "--device", device]
        self._log_hint = f"The log has the details: {log_path}"
        self._worker: WorkerProcess | None = None
        self._starting: asyncio.Task[Welcome] | None = None
        self._running: str | None = None
        self._cancelled: str | None = None
        self._stopped = False

    @property
    def state(self) -> Literal["starting", "idle", "busy", "down"]:
        if self._starting is not None and not self._starting.done():
            return "starting"
        if self._worker is None or self._worker.ended:
            return "down"
        return "busy" if self._running else "idle"

    async def start(self) -> Welcome:
        """Start the process, unless it runs, or wait for the start under way. Raises WorkerStartError."""
        if self._starting is None or self.state == "down":
            self._starting = self._begin_to_spawn()
        return await asyncio.shield(self._starting)

    async def run(self, submit: Submit, buffers: list[Bytes]) -> AsyncGenerator[Received, None]:
        self._running = submit.job_id
        try:
            await self.start()
            async for received in self._converse(submit, buffers):
                yield received
        except WorkerStartError as error:
            job_id = submit.job_id
            yield Cancelled(job_id=job_id) if self._stopped else Failed(job_id=job_id, error=error.info()), []
        finally:
            self._running = None

    def cancel(self, job_id: str) -> None:
        if job_id == self._running:
            self._cancelled = job_id
            if self._worker is not None:
                self._worker.send(Cancel(job_id=job_id))

    async def stop(self) -> None:
        self._stopped = True
        if self._worker is not None:
            await asyncio.to_thread(self._worker.stop)

    async def _converse(self, submit: Submit, buffers: list[Bytes]) -> AsyncGenerator[Received, None]:
        """Give the job to the process, and pass on what it says until the job's last message."""
        worker = self._worker
        if worker is None or self._stopped or self._cancelled == submit.job_id:
            yield Cancelled(job_id=submit.job_id), []
            return
        worker.send(submit, buffers)
        while (received := await worker.received.get()) is not None:
            yield received
            if isinstance(received[0], Done | Failed | Cancelled):
                return
        if self._stopped:
            yield Cancelled(job_id=submit.job_id), []
        else:
            yield Failed(job_id=submit.job_id, error=self._replace(worker)), []

    def _begin_to_spawn(self) -> asyncio.Task[Welcome]:
        task = asyncio.create_task(self._spawn())
        # Nobody may be waiting for it any more. What went wrong is in the log, and the next job tries again.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _spawn(self) -> Welcome:
        if self._stopped:
            raise WorkerStartError("The service is ending.")
        self._worker = worker = WorkerProcess(self._command)
        log.info("Worker %d starts", worker.pid)
        received = await worker.received.get()
        if received is not None and isinstance(received[0], Welcome):
            log.info("Worker %d is ready on %s", worker.pid, received[0].device)
            return received[0]
        await asyncio.to_thread(worker.stop)
        if self._stopped:
            raise WorkerStartError("The service is ending.")
        if received is not None and isinstance(received[0], Failed):
            error = WorkerStartError(received[0].error.message, received[0].error.hint)
        else:
            last = worker.last_lines[-1] if worker.last_lines else "it said nothing"
            message = f"The process that owns the model died while it started ({worker.exit_reason()}): {last}"
            error = WorkerStartError(message, self._log_hint)
        log.error("Worker %d did not start: %s", worker.pid, error.message)
        raise error

    def _replace(self, worker: WorkerProcess) -> ErrorInfo:
        """Start a new process in place of one that died in a job. Why the job failed."""
        reason = worker.exit_reason()
        log.error("Worker %d died (%s)", worker.pid, reason)
        self._starting = self._begin_to_spawn()
        return ErrorInfo(
            code="worker_died",
            message=f"The process that owns the model died in the middle of the job ({reason}).",
            hint="Generate again: a new one is starting. If that dies too, use a smaller size or fewer cameras. "
            + self._log_hint,
        )


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "Popen was asked for pipes"
    return stream
