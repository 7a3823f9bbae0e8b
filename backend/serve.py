"""`python -m backend serve`: puts the parts of the service together and runs them until somebody ends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import zmq

from cvd.weights.registry import Registry
from protocol.connection import Connection, generate_keys, remove_connection, write_connection
from protocol.errors import ProtocolError
from protocol.messages import new_id

from . import __version__
from .executors import Executor
from .executors.events import Ready
from .executors.local import LocalExecutor, worker_log
from .lifetime import FileLock, WatchedProcess
from .server import Service
from .store import Store
from .translation import welcome_of

LOG_BYTES, LOG_FILES = 2 * 2**20, 3
LOCK_SECONDS = 2.0  # a service that was told to stop needs a moment
LOOPBACK = "127.0.0.1"
FILE_ONLY = {"file_only": True}  # of log records that the command line shows in its own way

log = logging.getLogger(__name__)


class CrashedError(ProtocolError):
    """An unexpected error ended the service."""

    code = "crashed"


class BindError(ProtocolError):
    """The service cannot listen at the address."""

    code = "bind"


@dataclass(frozen=True)
class Options:
    """What the command line chooses.

    connection_file: written when the service is ready; log and results lie beside it. models: folder of the installed
    models. device: "auto", "cpu" or "cuda". parent_pid: the process to end with. host, port: where to listen; None: at
    any free port.
    """

    connection_file: Path
    models: Path
    device: str = "auto"
    parent_pid: int | None = None
    host: str = LOOPBACK
    port: int | None = None

    @property
    def log_path(self) -> Path:
        """The log of the service and of its worker."""
        return self.connection_file.with_suffix(".log")

    @property
    def lock_path(self) -> Path:
        """Locked as long as the service runs."""
        return self.connection_file.with_suffix(".lock")

    @property
    def jobs_folder(self) -> Path:
        """Where jobs are kept. Services with connection files in one folder share it."""
        return self.connection_file.with_name("jobs")


def run(options: Options) -> None:
    """Serve until a signal, a client, or the parent's end stops it. Raises ProtocolError when it cannot start."""
    parent = None if options.parent_pid is None else WatchedProcess(options.parent_pid)
    with FileLock(options.lock_path, LOCK_SECONDS):
        _start_log(options.log_path)
        # On Windows the default loop cannot wait for ZeroMQ's sockets.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            try:
                runner.run(_serve(options, parent))
            except ProtocolError as error:
                log.error("The service ends: %s %s", error.message, error.hint, extra=FILE_ONLY)
                raise
            except Exception as error:
                log.exception("The service ends because of an unexpected error", extra=FILE_ONLY)
                raise CrashedError(
                    f"An unexpected error ended the service: {error!r}.", f"The log: {options.log_path}"
                ) from error


async def _serve(options: Options, parent: WatchedProcess | None) -> None:
    log.info("Service %s starts (process %d)", __version__, os.getpid())
    executor = LocalExecutor(options.device, options.models, options.log_path)
    try:
        # The worker knows its device when it has started, which takes seconds. The models need no worker.
        welcome = welcome_of(Ready(device="", models=Registry(options.models).infos()), session=new_id())
        keys = generate_keys()
        service = Service(executor, Store(options.jobs_folder, options.lock_path), welcome, keys)
        connection = Connection(
            endpoint=_bind(service, options),
            server_public_key=keys.server_public_key,
            client_public_key=keys.client_public_key,
            client_secret_key=keys.client_secret_key,
            pid=os.getpid(),
            session=welcome.session,
            log_path=str(options.log_path),
        )
        async with _reachable(connection, options.connection_file), _ending_with(parent, service):
            log.info("Listening at %s", connection.endpoint)
            await _run_with(executor, service)
    finally:
        await executor.stop()
    log.info("Service ended")


async def _run_with(executor: Executor, service: Service) -> None:
    """Serve while the executor starts, and after it. Raises WorkerStartError when it does not start."""
    starting, running = asyncio.create_task(executor.start()), asyncio.create_task(service.run())
    try:
        await asyncio.wait({starting, running}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            service.ready(starting.result())
    except ProtocolError:
        service.stop()
        raise
    finally:
        starting.cancel()
        await running


def _bind(service: Service, options: Options) -> str:
    """Listen; the endpoint for clients on this machine."""
    address = f"tcp://{options.host}:{'*' if options.port is None else options.port}"
    try:
        endpoint = service.bind(address)
    except zmq.ZMQError as error:
        raise BindError(f"The service cannot listen at {address}: {error}.", "Choose another --bind.") from error
    return endpoint.replace("tcp://0.0.0.0:", f"tcp://{LOOPBACK}:")


@contextlib.asynccontextmanager
async def _reachable(connection: Connection, path: Path) -> AsyncIterator[None]:
    """The connection file exists as long as the service can be reached."""
    write_connection(connection, path)
    try:
        yield
    finally:
        remove_connection(path, connection.session)


@contextlib.asynccontextmanager
async def _ending_with(parent: WatchedProcess | None, service: Service) -> AsyncIterator[None]:
    """Signals stop the service. The end of its parent stops it, too, unless other clients use it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(service.stop))

    async def watch(parent: WatchedProcess) -> None:
        while not parent.is_gone() or service.has_clients():
            await asyncio.sleep(1.0)
        log.info("The process that the service was started for has ended")
        service.stop()

    watching = asyncio.create_task(watch(parent)) if parent is not None else None
    try:
        yield
    finally:
        if watching is not None:
            watching.cancel()


class _OneLineFormatter(logging.Formatter):
    """The message alone: stack traces are for the log file."""

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return level + record.getMessage()


def _start_log(path: Path) -> None:
    file = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(_OneLineFormatter())
    console.addFilter(lambda record: record.name != worker_log.name and not hasattr(record, "file_only"))
    logging.basicConfig(level=logging.INFO, handlers=[file, console])
