"""The socket thread: finds or starts the service, talks to it, writes what it sends to disk, and reports events.

Everything that can wait on a process, a socket or a disk happens here, and never on Blender's main thread. That thread
puts commands in (`tell`) and takes `events` out. This thread knows nothing of Blender's data.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
import time
import traceback
from collections.abc import Iterable
from pathlib import Path

from ..problem import AddonError, Problem, problem_of
from ..protocol.client import HELLO_TIMEOUT, Client
from ..protocol.connection import connection_path, read_connection
from ..protocol.errors import (
    ConnectionFileError,
    ProtocolError,
    ServiceLostError,
    ServiceUnreachableError,
    WrongKeyError,
)
from ..protocol.heartbeat import Backoff
from ..protocol.messages import Shutdown
from .backend_process import BackendEndedError, BackendProcess, BackendStartError, Launch
from .commands import CancelJob, Command, StopService, SubmitJob
from .events import BackendLost, BackendReady, BackendStarting, BackendStopped, Event
from .job_table import Connected, JobTable
from .pending import PendingJob

POLL_SECONDS = 0.05
ATTACH_TIMEOUT = 5.0
START_TIMEOUT = 120.0
STOP_TIMEOUT = 5.0
LINGER = 1.0  # for the last messages, such as a wish to cancel
END_TIMEOUT = 1.0  # of a process that has closed its socket

_MAY_COME_BACK = (ConnectionFileError, ServiceUnreachableError, ServiceLostError, WrongKeyError)
"""A service that was started again has a new connection file, a new address and new keys."""


class ServiceLink:
    """One use of a service, from finding or starting it to leaving it. The last event is `BackendStopped`."""

    def __init__(self, launch: Launch, client_name: str, jobs: Iterable[PendingJob] = ()) -> None:
        """client_name: name of this Blender in the service's log. jobs: unfinished jobs of an earlier link.

        This link asks for the jobs again. They belong to it from now on.
        """
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="collaborative-cameras", daemon=True)
        self._launch = launch
        self._client_name = client_name
        self._jobs = JobTable(jobs, self.events.put)
        self._process: BackendProcess | None = None
        self._connection_file: Path | None = None  # of the service that answered
        self._stopping = False

    # ------------------------------------------------------------------------------------------ Blender's main thread

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended, for at most `timeout` seconds."""
        self._thread.join(timeout)

    def tell(self, command: Command) -> None:
        """Put a command in. Returns at once."""
        self._commands.put(command)

    # ----------------------------------------------------------------------------------------------------- this thread

    @property
    def _own(self) -> bool:
        """Whether the service that answered is the one that this Blender starts."""
        return self._connection_file == self._launch.connection_file

    def _run(self) -> None:
        """The thread's life. It reports whatever ends it."""
        problem: Problem | None = None
        try:
            client = self._attach() or self._start_service()
            while client is not None:
                client = self._use(client)
        except (AddonError, ProtocolError, OSError) as error:
            problem = self._explain(error)
        except Exception as error:  # a mistake of ours: the artist must see it too
            traceback.print_exc()
            problem = Problem("internal", f"The add-on failed: {error!r}.", "Restart the backend and try again.")
        finally:
            if self._process:
                self._process.stop()
            self._jobs.abandon()
            self.events.put(BackendStopped(problem, self._unfinished(problem)))

    def _unfinished(self, problem: Problem | None) -> tuple[PendingJob, ...]:
        """The jobs that another link can ask for: those that were sent, unless their service ends as asked."""
        if problem is None and (self._own or self._connection_file is None):
            return ()
        return tuple(job for job in self._jobs.unfinished() if job.take)

    # ---------------------------------------------------------------------------------------------------- connections

    def _attach(self) -> Client | None:
        """A service that runs already: the user's own, or what an earlier link left. None when nothing answers."""
        for path in (connection_path(), self._launch.connection_file):
            # Whatever is wrong with what is there, such as another version: this Blender can start its own service.
            with contextlib.suppress(ProtocolError):
                client = self._greet(path, ATTACH_TIMEOUT)
                if client is not None or self._stopping:
                    return client
        return None

    def _start_service(self) -> Client | None:
        """Start the service's process, and greet it once it says where it is. None when the artist stops it."""
        if self._stopping:
            return None
        self.events.put(BackendStarting(self._launch.log_path))
        self._process = BackendProcess(self._launch)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._process.ready():
            if time.monotonic() > deadline:
                raise BackendStartError(
                    f"The backend was not ready after {START_TIMEOUT:g} seconds.", "Look into its log, then try again."
                )
            if not self._pause(POLL_SECONDS):
                return None
        return self._greet(self._launch.connection_file, HELLO_TIMEOUT)

    def _greet(self, path: Path, timeout: float) -> Client | None:
        """A greeted client of the service that a connection file names. None when the artist stops it.

        Raises ConnectionFileError, and what `Client.receive` raises when no service of ours answers in `timeout`
        seconds.
        """
        client = Client(read_connection(path), self._client_name, timeout)
        try:
            while client.welcome is None and not self._stopping:
                self._obey()
                client.receive(POLL_SECONDS)
        except BaseException:
            client.close()
            raise
        if self._stopping:
            client.close()
            return None
        self._connection_file = path
        return client

    def _use(self, client: Client) -> Client | None:
        """Talk to the service until the artist stops it, or through a lost connection to the next one.

        Returns the next client, or None at the end.
        """
        try:
            self._talk(client)
            self._leave(client)
        except _MAY_COME_BACK as error:
            client.close()
            return self._reconnect(error)
        except BaseException:
            client.close()
            raise
        client.close(LINGER)
        return None

    def _talk(self, client: Client) -> None:
        """Pass on commands and messages until the artist stops it. Raises what `Client.receive` raises."""
        welcome = client.wait_welcome()  # it has come
        self.events.put(BackendReady(welcome, Path(client.connection.log_path), self._own))
        try:
            self._jobs.connect(Connected(client.send, welcome.models))
            while self._obey():
                received = client.receive(POLL_SECONDS)
                if received is not None:
                    self._jobs.handle(*received)
                elif self._process:
                    self._process.check()
        finally:
            self._jobs.disconnect()

    def _leave(self, client: Client) -> None:
        """End a service that this Blender started. Another one goes on."""
        if not self._own:
            return
        with contextlib.suppress(ProtocolError):  # it is gone already: nothing is left to ask
            client.request(Shutdown(), timeout=STOP_TIMEOUT)
            if self._process:
                self._process.wait(STOP_TIMEOUT)

    def _reconnect(self, error: ProtocolError) -> Client | None:
        """The next connection to the same service. None when the artist stops it.

        Raises `error` when no job waits: then the artist decides what comes next. Raises BackendEndedError when the
        process that this Blender started has ended.
        """
        if self._process and self._process.wait(END_TIMEOUT):
            raise self._process.ended()
        if self._connection_file is None or not self._jobs:
            raise error
        self.events.put(BackendLost())
        backoff = Backoff()
        while self._jobs:
            if not self._pause(backoff.next_delay()):
                return None
            if self._process:
                self._process.check()
            with contextlib.suppress(*_MAY_COME_BACK):
                return self._greet(self._connection_file, ATTACH_TIMEOUT)
        raise error

    # ------------------------------------------------------------------------------------------------------- commands

    def _obey(self) -> bool:
        """Carry out the commands that wait. Returns whether this thread goes on."""
        with contextlib.suppress(queue.Empty):
            while True:
                match self._commands.get_nowait():
                    case SubmitJob(job_id, submission):
                        self._jobs.submit(PendingJob(job_id, submission))
                    case CancelJob(job_id):
                        self._jobs.cancel(job_id)
                    case StopService():
                        self._stopping = True
        return not self._stopping

    def _pause(self, seconds: float) -> bool:
        """Wait, but for commands. Returns whether this thread goes on."""
        deadline = time.monotonic() + seconds
        while self._obey() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return not self._stopping

    # ------------------------------------------------------------------------------------------------------- problems

    def _explain(self, error: AddonError | ProtocolError | OSError) -> Problem:
        """The error in the panel's words. A process that has ended is the reason for everything else."""
        if self._process is None:
            return problem_of(error)
        details = self._process.log_tail()
        if not isinstance(error, BackendEndedError) and self._process.wait(END_TIMEOUT):
            error = self._process.ended()
        problem = problem_of(error)
        if isinstance(error, BackendEndedError) and self._connection_file is None:
            return Problem("backend_start", f"The backend could not be started. {problem.message}", "", details)
        if isinstance(error, BackendEndedError) and self._jobs:
            hint = "Restart it: it is asked for the unfinished generations again."
            return dataclasses.replace(problem, hint=hint, details=details)
        return dataclasses.replace(problem, details=details)
