"""Runs jobs in one child process on this machine, and starts the process again when it dies.

The system can kill the model's process (out of memory), a driver can crash it, and its user can stop it. None of that
ends the service: the run is lost, with a reason, and the next run gets a new process.

Threads read and write the pipes, because on Windows the event loop that ZeroMQ needs cannot wait for pipes.
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
from typing import IO

from cvd.threads import share_the_processor
from protocol.errors import ProtocolError
from protocol.messages import ErrorInfo, error_info
from protocol.wire import Bytes

from ..pipe import read_message, write_message
from . import State
from .events import CancelJob, CannotStart, Command, Ended, Greeting, JobEvent, Lost, Ready, Received, RunJob

PROJECT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 5.0
LAST_LINES = 20
SAVE_SECONDS = 10.0
"""Least time between two saved states of a job: long beside the time that saving takes, short beside a job's."""

log = logging.getLogger(__name__)
worker_log = logging.getLogger("backend.worker")

FromWorker = tuple[Greeting | JobEvent, list[Bytes]]


class WorkerStartError(ProtocolError):
    """The process that owns the model does not start."""

    code = "worker_start"


class WorkerProcess:
    """One child process and the threads on its pipes.

    received: the messages of the process, each with its buffers; then None when it has ended.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.received: asyncio.Queue[FromWorker | None] = asyncio.Queue()
        self._to_send: queue.Queue[tuple[Command, Sequence[Bytes]] | None] = queue.Queue()
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

    def send(self, command: Command, buffers: Sequence[Bytes] = ()) -> None:
        """Send to the process. Nothing happens when it has ended: `received` tells that."""
        self._to_send.put((command, buffers))

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def exit_reason(self) -> str:
        """Why the process ended, in words. It has ended, or ends soon."""
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
            while (message := self._to_send.get()) is not None:
                write_message(stream, *message)
            stream.close()
        except OSError:
            log.info("Worker %d no longer reads", self.pid)  # it has ended, which `_read` sees too and reports
        except ProtocolError:
            log.exception("Worker %d could not be told of a job", self.pid)
            self._process.kill()  # `_read` reports it: else the job would wait for ever

    def _read(self) -> None:
        stream = _pipe(self._process.stdout)
        try:
            while (message := read_message(stream, Greeting | JobEvent)) is not None:
                self._deliver(message)
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

    def _deliver(self, received: FromWorker | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self.received.put_nowait, received)
        except RuntimeError:
            log.info("Worker %d outlived the service", self.pid)  # the loop is closed, and nobody listens


class LocalExecutor:
    """An `Executor` with one child process."""

    capacity = 1

    def __init__(self, device: str, models: Path, log_path: Path, save_seconds: float = SAVE_SECONDS) -> None:
        """device: "auto", "cpu" or "cuda". models: folder of the installed models. log_path: named in hints.

        save_seconds: the least time between two saved states of a job.
        """
        self._command = [sys.executable, "-m", "backend.worker", "--device", device, "--models", str(models)]
        self._command += ["--save-seconds", str(save_seconds)]
        self._log_hint = f"The log has the details: {log_path}"
        self._worker: WorkerProcess | None = None
        self._starting: asyncio.Task[Ready] | None = None
        self._running: str | None = None
        self._cancelled: str | None = None
        self._stopped = False

    @property
    def state(self) -> State:
        if self._starting is not None and not self._starting.done():
            return "starting"
        if self._worker is None or self._worker.ended:
            return "down"
        return "busy" if self._running else "idle"

    async def start(self) -> Ready:
        """Start the process, unless it runs, or wait for the start under way. Raises WorkerStartError."""
        if self._starting is None or self.state == "down":
            self._starting = self._begin_to_spawn()
        return await asyncio.shield(self._starting)

    async def run(self, job: RunJob, buffers: list[Bytes]) -> AsyncGenerator[Received, None]:
        self._running = job.job_id
        try:
            await self.start()
            async for received in self._converse(job, buffers):
                yield received
        except WorkerStartError as error:
            yield self._cancelled_or(Ended(job_id=job.job_id, state="failed", error=error.info())), []
        finally:
            self._running = None

    def cancel(self, job_id: str) -> None:
        if job_id == self._running:
            self._cancelled = job_id
            if self._worker is not None:
                self._worker.send(CancelJob(job_id=job_id))

    async def stop(self) -> None:
        self._stopped = True
        if self._worker is not None:
            await asyncio.to_thread(self._worker.stop)

    async def _converse(self, job: RunJob, buffers: list[Bytes]) -> AsyncGenerator[Received, None]:
        """Give the job to the process, and pass on what it says until the job's last event."""
        worker = self._worker
        if worker is None or self._stopped or self._cancelled == job.job_id:
            yield Ended(job_id=job.job_id, state="cancelled"), []
            return
        worker.send(job, buffers)
        while (received := await worker.received.get()) is not None:
            event, data = received
            assert not isinstance(event, Ready | CannotStart), "a worker greets once"
            yield event, data
            if isinstance(event, Ended):
                return
        yield self._cancelled_or(Lost(job_id=job.job_id, error=self._replace(worker))), []

    def _cancelled_or(self, event: Ended | Lost) -> Ended | Lost:
        """The event, or the end of a cancelled job when the service ends."""
        return Ended(job_id=event.job_id, state="cancelled") if self._stopped else event

    def _begin_to_spawn(self) -> asyncio.Task[Ready]:
        task = asyncio.create_task(self._spawn())
        # Perhaps nobody waits for it. The log has what went wrong, and the next job tries again.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _spawn(self) -> Ready:
        if self._stopped:
            raise WorkerStartError("The service is ending.")
        self._worker = worker = WorkerProcess(self._command)
        log.info("Worker %d starts", worker.pid)
        greeting, _ = await worker.received.get() or (None, [])
        if isinstance(greeting, Ready):
            log.info("Worker %d is ready on %s", worker.pid, greeting.device)
            return greeting
        await asyncio.to_thread(worker.stop)
        if self._stopped:
            raise WorkerStartError("The service is ending.")
        if isinstance(greeting, CannotStart):
            error = WorkerStartError(greeting.error.message, greeting.error.hint)
        else:
            last = worker.last_lines[-1] if worker.last_lines else "it said nothing"
            message = f"The process that owns the model died while it started ({worker.exit_reason()}): {last}"
            error = WorkerStartError(message, self._log_hint)
        log.error("Worker %d did not start: %s", worker.pid, error.message)
        raise error

    def _replace(self, worker: WorkerProcess) -> ErrorInfo:
        """Start a new process in place of one that died in a job. Returns the job's error, in case that it fails."""
        reason = worker.exit_reason()
        log.error("Worker %d died (%s)", worker.pid, reason)
        self._starting = self._begin_to_spawn()
        return error_info(
            "worker_died",
            f"The process that owns the model died again and again in the middle of the job ({reason}).",
            "Use a smaller size, fewer frames or fewer cameras. " + self._log_hint,
        )


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "Popen was asked for pipes"
    return stream
