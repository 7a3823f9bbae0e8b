"""The service in a thread of this process, with an executor of the test's choice."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

from backend.executors import Executor
from backend.server import Service
from backend.store import Store
from backend.translation import welcome_of
from protocol.client import Client
from protocol.connection import Connection, generate_keys
from protocol.messages import new_id

START_SECONDS = 90.0


class ServiceHere:
    """Serves from its construction until `stop`. Its jobs are in folder/jobs."""

    def __init__(self, make_executor: Callable[[], Executor], folder: Path) -> None:
        self.jobs_folder = folder / "jobs"
        self._make_executor, self._lock = make_executor, folder / "service.lock"
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="service", daemon=True)
        self._thread.start()
        assert self._ready.wait(START_SECONDS), "the service did not get ready"
        assert self._error is None, self._error

    def client(self, name: str = "test") -> Client:
        """A greeted client."""
        client = Client(self._connection, name)
        client.wait_welcome()
        return client

    def job_folder(self, job_id: str) -> Path:
        """The folder of a job's files."""
        (folder,) = self.jobs_folder.glob(f"*-{job_id}")
        return folder

    def stop(self) -> None:
        """End it. Raises its error, if it had one."""
        self._loop.call_soon_threadsafe(self._service.stop)
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def _serve(self) -> None:
        # On Windows the default loop cannot wait for ZeroMQ's sockets.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            try:
                runner.run(self._run())
            except BaseException as error:
                self._error = error
            finally:
                self._ready.set()

    async def _run(self) -> None:
        executor = self._make_executor()
        try:
            welcome = welcome_of(await executor.start(), session=new_id())
            keys = generate_keys()
            self._loop = asyncio.get_running_loop()
            self._service = Service(executor, Store(self.jobs_folder, self._lock), welcome, keys)
            self._connection = Connection(
                endpoint=self._service.bind("tcp://127.0.0.1:*"),
                server_public_key=keys.server_public_key,
                client_public_key=keys.client_public_key,
                client_secret_key=keys.client_secret_key,
                pid=os.getpid(),
                session=welcome.session,
                log_path="",
            )
            self._ready.set()
            await self._service.run()
        finally:
            await executor.stop()
