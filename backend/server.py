"""The service's side of the sockets: who is connected, who wants to hear of which job, and what each message does.

Everything runs in one event loop. Nothing in it blocks for longer than a few files take to read or write, because the
executor runs the models. Only clients that know the key of this start can send a message (CURVE, with ZAP).
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Sequence

import msgspec
import numpy as np
import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from protocol.connection import ServerKeys
from protocol.errors import ProtocolError, WireError
from protocol.messages import (
    Accepted,
    Bye,
    Cancel,
    Cancelled,
    ClientMessage,
    Failed,
    FetchResult,
    Hello,
    JobInfo,
    Jobs,
    JobsRequest,
    Message,
    Ping,
    Pong,
    Shutdown,
    Status,
    StatusRequest,
    Submit,
    Welcome,
)
from protocol.payloads import pack_view, unpack_cameras
from protocol.wire import MAX_BUFFER_BYTES, Bytes, decode, encode

from .executors import Executor
from .executors.events import Ready
from .jobs import FINISHED, DuplicateJobError, JobFinishedError, JobQueue
from .run import Run, internal_error, keep_end
from .store import Store, StoreError
from .translation import last_message

ZAP_DOMAIN = "cvd"
SILENT_SECONDS = 5.0  # a client that is alive says something every second
LINGER_SECONDS = 1.0
PEER_CHECK_SECONDS, PEER_GONE_SECONDS = 10.0, 60.0

log = logging.getLogger(__name__)


class _OneKey:
    """Lets in the one client key of this start; the interface is pyzmq's."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def callback(self, domain: str, key: bytes) -> bool:
        return key == self._key


class Service:
    """Takes jobs from clients, lets the executor run as many at a time as it can, and tells the clients of them.

    A *route* is ZeroMQ's name for one connection of one client.
    """

    def __init__(self, executor: Executor, store: Store, welcome: Welcome, keys: ServerKeys) -> None:
        """welcome: the greeting for clients; its device is empty until the executor is ready."""
        self._executor, self._store, self._welcome = executor, store, welcome
        self._queue = JobQueue(store.load(time.time()), executor.capacity)
        self._runs: dict[str, Run] = {}
        self._started = time.monotonic()
        self._heard: dict[bytes, float] = {}
        self._listeners: dict[str, dict[bytes, str]] = {}  # job -> route -> id of the message that asked for the job
        self._cancels: dict[str, list[tuple[bytes, str]]] = {}  # job -> routes and ids of the wishes to cancel it
        self._work_waits = asyncio.Event()
        self._stopping = asyncio.Event()
        self._context = zmq.asyncio.Context()
        self._authenticator = AsyncioAuthenticator(self._context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(ZAP_DOMAIN, _OneKey(keys.client_public_key))
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.curve_server = True
        self._socket.curve_secretkey = keys.server_secret_key.encode()
        self._socket.zap_domain = ZAP_DOMAIN.encode()
        self._socket.router_mandatory = True  # a message to a client that has gone is an error, not nothing
        self._socket.maxmsgsize = MAX_BUFFER_BYTES
        self._socket.sndhwm = 0  # a client that is slow to read, as a busy Blender is, still gets every message
        self._socket.heartbeat_ivl = round(1000 * PEER_CHECK_SECONDS)  # finds clients whose machine is gone
        self._socket.heartbeat_timeout = round(1000 * PEER_GONE_SECONDS)

    def bind(self, address: str) -> str:
        """Listen at `address`, such as "tcp://127.0.0.1:*". Returns the endpoint with its port. Raises zmq.ZMQError."""
        self._socket.bind(address)
        return self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    async def run(self) -> None:
        """Serve until `stop` or a client's `Shutdown`, then end all jobs as cancelled."""
        receiving, working = asyncio.create_task(self._receive()), asyncio.create_task(self._work())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({receiving, working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            self._work_waits.set()
            await self._executor.stop()
            await working  # raises what went wrong in it, as the next line does
            if receiving.done():
                receiving.result()
        finally:
            receiving.cancel()
            self._authenticator.stop()
            self._context.destroy(linger=round(LINGER_SECONDS * 1000))

    def ready(self, ready: Ready) -> None:
        """The executor takes jobs. Clients that greet from now on are told its device."""
        self._welcome = msgspec.structs.replace(self._welcome, device=ready.device, models=ready.models)
        log.info("Ready on %s", ready.device)

    def stop(self) -> None:
        """Make `run` end."""
        self._stopping.set()

    def has_clients(self) -> bool:
        """Whether a client has sent anything in the last seconds."""
        oldest = time.monotonic() - SILENT_SECONDS
        self._heard = {route: heard for route, heard in self._heard.items() if heard > oldest}
        return bool(self._heard)

    # ------------------------------------------------------------------------------------------- messages of clients

    async def _receive(self) -> None:
        while True:
            await asyncio.sleep(0)  # lets the other tasks run, which receiving a message that is there already does not
            route, *frames = await self._socket.recv_multipart()
            self._heard[route] = time.monotonic()
            try:
                await self._take(route, frames)
            except Exception as error:  # what nobody thought of: the service and its jobs go on
                log.exception("A message could not be answered")
                await self._send(route, Failed(error=internal_error(error)))

    async def _take(self, route: bytes, frames: list[bytes]) -> None:
        """Answer one message, also one that cannot be understood."""
        try:
            message: ClientMessage
            message, buffers = decode(frames, ClientMessage)
        except WireError as error:
            log.warning("A message was refused: %s", error)
            await self._send(route, Failed(reply_to=error.reply_to, error=error.info()))
            return
        try:
            await self._answer(route, message, buffers)
        except ProtocolError as error:
            await self._send(route, Failed(reply_to=message.id, error=error.info()))
        except Exception as error:
            log.exception("Message %s could not be answered", message.id)
            await self._send(route, Failed(reply_to=message.id, error=internal_error(error)))

    async def _answer(self, route: bytes, message: ClientMessage, buffers: list[Bytes]) -> None:
        """Do what a message asks for. Raises ProtocolError when that is not possible."""
        match message:
            case Hello():
                log.info("Client %r connected", message.client)
                await self._send(route, msgspec.structs.replace(self._welcome, reply_to=message.id))
            case Ping():
                await self._send(route, Pong(reply_to=message.id))
            case StatusRequest():
                await self._send(route, msgspec.structs.replace(self._status(), reply_to=message.id))
            case JobsRequest():
                await self._send(route, Jobs(reply_to=message.id, jobs=self._queue.newest(message.limit)))
            case Submit():
                await self._submit(route, message, buffers)
            case FetchResult():
                await self._tell(route, message.id, self._queue[message.job_id])
            case Cancel():
                await self._cancel(route, message)
            case Shutdown():
                log.info("A client asked the service to end")
                await self._send(route, Bye(reply_to=message.id))
                self.stop()

    def _status(self) -> Status:
        return Status(
            session=self._welcome.session,
            device=self._welcome.device,
            worker=self._executor.state,
            running=tuple(self._queue.running),
            queued=len(self._queue.waiting),
            uptime=time.monotonic() - self._started,
        )

    async def _submit(self, route: bytes, message: Submit, buffers: list[Bytes]) -> None:
        c2w, K = unpack_cameras(message, buffers)
        job = JobInfo(job_id=message.job_id, state="queued", request=message.request, submitted=time.time())
        if job.job_id not in self._queue:
            self._store.create(job, c2w, K)
            self._queue.submit(job)
            self._work_waits.set()
            log.info("Job %s: %d views of %d frames", job.job_id, *c2w.shape[:2])
        elif not self._is_same(message, c2w, K):
            raise DuplicateJobError(job.job_id)
        await self._tell(route, message.id, self._queue[job.job_id])

    def _is_same(self, message: Submit, c2w: np.ndarray, K: np.ndarray) -> bool:
        """Whether the job of this id asks for exactly the same."""
        known = self._store.cameras(message.job_id)
        same_cameras = np.array_equal(known[0], c2w) and np.array_equal(known[1], K)
        return same_cameras and self._queue[message.job_id].request == message.request

    async def _tell(self, route: bytes, reply_to: str, job: JobInfo) -> None:
        """Tell a client what there is of a job. When the job is not over, the client will hear the rest."""
        if job.state not in FINISHED:
            self._listeners.setdefault(job.job_id, {})[route] = reply_to
        position = self._queue.position(job.job_id)
        await self._send(route, Accepted(job_id=job.job_id, position=position, reply_to=reply_to))
        try:
            await self._send_views(route, reply_to, job)
        except ProtocolError as error:  # after `Accepted`, to this client the job has failed
            self._listeners.get(job.job_id, {}).pop(route, None)
            await self._send(route, Failed(job_id=job.job_id, reply_to=reply_to, error=error.info()))
            return
        if job.state in FINISHED:
            await self._send(route, msgspec.structs.replace(last_message(job), reply_to=reply_to))

    async def _send_views(self, route: bytes, reply_to: str, job: JobInfo) -> None:
        """Send the views that are finished. Raises ProtocolError, also when a job that is done lacks one."""
        views = 0
        for view, images, latents in self._store.views(job.job_id):
            await self._send(route, *pack_view(job.job_id, view, images, latents, reply_to))
            views += 1
        if job.state == "done" and views < len(job.request.view_names):
            raise StoreError(f"The frames of job {job.job_id} are no longer on the disk.", "Generate again.")

    async def _cancel(self, route: bytes, message: Cancel) -> None:
        job_id = message.job_id
        wish = (route, message.id)
        if job_id in self._runs:
            self._cancels.setdefault(job_id, []).append(wish)
            self._runs[job_id].cancel()
        else:
            job = self._queue.cancel(job_id, time.time())
            self._cancels[job_id] = [wish]
            keep_end(self._store, job)
            await self._tell_end(job)

    # ---------------------------------------------------------------------------------------------------------- jobs

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not self._stopping.is_set():
                while (job := self._queue.start_next(time.time())) is not None:
                    tell = functools.partial(self._pass_on, job.job_id)
                    self._runs[job.job_id] = Run(job, self._executor, self._store, tell)
                    tasks.create_task(self._run(job.job_id))
                self._work_waits.clear()
                await self._work_waits.wait()
        for job_id in self._queue.waiting:
            job = self._queue.cancel(job_id, time.time())
            keep_end(self._store, job)
            await self._tell_end(job)

    async def _run(self, job_id: str) -> None:
        log.info("Job %s starts", job_id)
        job = await self._runs[job_id].carry_out()
        del self._runs[job_id]
        self._queue.end(job)
        self._work_waits.set()
        await self._tell_end(job)

    async def _pass_on(self, job_id: str, message: Message, buffers: Sequence[Bytes]) -> None:
        """Send a message of a job to all who listen to the job."""
        for route, reply_to in list(self._listeners.get(job_id, {}).items()):
            await self._send(route, msgspec.structs.replace(message, reply_to=reply_to), buffers)

    async def _tell_end(self, job: JobInfo) -> None:
        """Tell a job's end to all who listen to the job and to all who wanted it cancelled."""
        log.info("Job %s: %s%s", job.job_id, job.state, f" ({job.error.message})" if job.error else "")
        last = last_message(job)
        for route, reply_to in self._listeners.pop(job.job_id, {}).items():
            await self._send(route, msgspec.structs.replace(last, reply_to=reply_to))
        for route, reply_to in self._cancels.pop(job.job_id, []):
            over = Failed(reply_to=reply_to, error=JobFinishedError(job).info())
            cancelled = Cancelled(job_id=job.job_id, reply_to=reply_to)
            await self._send(route, cancelled if job.state == "cancelled" else over)

    # ------------------------------------------------------------------------------------------------------- sending

    async def _send(self, route: bytes, message: Message, buffers: Sequence[Bytes] = ()) -> None:
        """Send to one client. One that has gone is forgotten: when it comes back, it asks again."""
        try:
            frames = encode(message, buffers)
        except WireError as error:
            log.error("An answer could not be sent: %s", error)
            frames = encode(Failed(reply_to=message.reply_to, error=error.info()))
        try:
            await self._socket.send_multipart([route, *frames], flags=zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._forget(route)

    def _forget(self, route: bytes) -> None:
        self._heard.pop(route, None)
        for listeners in self._listeners.values():
            listeners.pop(route, None)
