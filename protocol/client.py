"""A synchronous client of the service: for a command that waits, and for a thread that looks for messages at times.

One `Client` is one connection and belongs to one thread. It greets the service when it is made. It only blocks in
`receive`, `wait_welcome` and `request`, for at most the time that they are given.

It does not reconnect. The first call that meets the end of the connection raises the error, once. Then read the
connection file again, because a restarted service has a new address and new keys. Make a new `Client`, and ask for
unfinished jobs with `FetchResult`.

    with connect("my tool") as client:
        accepted, _ = client.request(*pack_submit(request, c2w, K))
        while (received := client.receive(timeout=1.0)) is None or not isinstance(received[0], Done):
            ...
"""

from __future__ import annotations

import collections
import math
import time
from collections.abc import Sequence
from pathlib import Path

import zmq
from zmq.utils.monitor import recv_monitor_message

from .connection import Connection, connection_path, read_connection
from .errors import RequestFailedError, ServiceLostError, ServiceUnreachableError, WrongKeyError, WrongVersionError
from .heartbeat import Heartbeat
from .messages import Failed, Hello, Message, Ping, Pong, ServiceMessage, Welcome
from .wire import MAX_BUFFER_BYTES, Bytes, decode, encode

HELLO_TIMEOUT = 10.0
# To the service a new connection is a new client, so ZeroMQ must not make one by itself. Its own value for "never"
# would drop messages that have arrived and were not read yet. This is as many milliseconds as fit.
NEVER = 2**31 - 1

Received = tuple[ServiceMessage, list[Bytes]]

_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_GONE = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
_RESTART_HINT = "Start the service again; its log tells why it ended."


class Client:
    """A connection to the service that `connection` describes.

    welcome: the service's answer to the greeting, None until it came.
    """

    def __init__(self, connection: Connection, name: str, hello_timeout: float = HELLO_TIMEOUT) -> None:
        """name: what the service's log calls this client. hello_timeout: seconds the service has for its answer."""
        self.connection = connection
        self.welcome: Welcome | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.curve_serverkey = connection.server_public_key.encode()
        self._socket.curve_publickey = connection.client_public_key.encode()
        self._socket.curve_secretkey = connection.client_secret_key.encode()
        self._socket.maxmsgsize = MAX_BUFFER_BYTES
        self._socket.reconnect_ivl = NEVER
        self._socket.linger = 0
        self._monitor = self._socket.get_monitor_socket(_REFUSED | _GONE)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._waiting: collections.deque[Received] = collections.deque()
        self._hello = Hello(client=name)
        self._hello_deadline = time.monotonic() + hello_timeout
        self._heartbeat = Heartbeat(time.monotonic())
        self._socket.connect(connection.endpoint)
        self.send(self._hello)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self, linger: float = 0.0) -> None:
        """End the connection. The last messages have `linger` seconds to leave."""
        self._socket.disable_monitor()
        self._context.destroy(linger=round(linger * 1000))

    def send(self, message: Message, buffers: Sequence[Bytes] = ()) -> None:
        """Queue a message. Raises WireError when it is not valid, ServiceLostError when the queue is full."""
        frames = encode(message, buffers)
        try:
            self._socket.send_multipart(frames, flags=zmq.NOBLOCK)
        except zmq.Again:
            raise ServiceLostError("The service takes no more messages.", _RESTART_HINT) from None

    def receive(self, timeout: float = 0.0) -> Received | None:
        """The next message and its buffers, or None when none came within `timeout` seconds. 0 does not wait.

        It sends the heartbeat, so call it about every second at least. It does not return `Pong`.

        Raises WrongKeyError, WrongVersionError, ServiceUnreachableError, ServiceLostError or MalformedMessageError:
        after any of them, make a new client. Raises RequestFailedError when the service refused the greeting.
        """
        return self._waiting.popleft() if self._waiting else self._receive(time.monotonic() + timeout)

    def wait_welcome(self) -> Welcome:
        """Wait until the service has answered the greeting. Raises what `receive` raises."""
        while self.welcome is None:
            received = self._receive(self._hello_deadline)
            if received is not None and not isinstance(received[0], Welcome):
                self._waiting.append(received)
        return self.welcome

    def request(self, message: Message, buffers: Sequence[Bytes] = (), timeout: float = 10.0) -> Received:
        """Send a message and wait for its first answer. Other messages that arrive meanwhile wait for `receive`.

        Raises RequestFailedError when the service refuses, ServiceLostError after `timeout` seconds without an answer,
        and what `receive` raises.
        """
        self.send(message, buffers)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            received = self._receive(deadline)
            if received is None:
                continue
            answer = received[0]
            if answer.reply_to != message.id:
                self._waiting.append(received)
            elif isinstance(answer, Failed):
                raise RequestFailedError(answer.error)
            else:
                return received
        raise ServiceLostError(f"The service did not answer within {timeout:g} seconds.", _RESTART_HINT)

    def _receive(self, deadline: float) -> Received | None:
        """The next message that is no `Pong`, or None at `deadline`. Messages come before the end of the connection."""
        while True:
            now = time.monotonic()
            due_in = self._keep_alive(now)
            ready = dict(self._poller.poll(math.ceil(1000 * max(0.0, min(deadline - now, due_in)))))
            if self._socket.poll(0):
                received = self._take()
                if not isinstance(received[0], Pong):
                    return received
            elif self._monitor in ready:
                self._raise_event(recv_monitor_message(self._monitor)["event"])
            elif time.monotonic() >= deadline:
                return None

    def _take(self) -> Received:
        message: ServiceMessage
        message, buffers = decode(self._socket.recv_multipart(), ServiceMessage)
        self._heartbeat.traffic(time.monotonic())
        if isinstance(message, Welcome):
            self.welcome = message
        elif isinstance(message, Failed) and message.reply_to == self._hello.id:
            if message.error.code == WrongVersionError.code:
                raise WrongVersionError(message.error.message, message.error.hint)
            raise RequestFailedError(message.error)
        return message, buffers

    def _keep_alive(self, now: float) -> float:
        """Send a ping when one is due. Returns the seconds until the next call of this.

        Raises when the service has not answered for too long.
        """
        if self.welcome is None:
            if now >= self._hello_deadline:
                raise ServiceUnreachableError(f"Nothing answers at {self.connection.endpoint}.", _RESTART_HINT)
            return self._hello_deadline - now
        beat = self._heartbeat.beat(now)
        if beat == "ping":
            self.send(Ping())
        elif beat == "lost":
            raise ServiceLostError("The service no longer answers.", _RESTART_HINT)
        return self._heartbeat.due_in(now)

    def _raise_event(self, event: int) -> None:
        if event & _REFUSED:
            raise WrongKeyError(
                f"The service at {self.connection.endpoint} refused this client's keys.",
                "The connection file belongs to another start of the service: start the service again.",
            )
        if self.welcome is None:
            raise ServiceUnreachableError(f"No service is running at {self.connection.endpoint}.", _RESTART_HINT)
        raise ServiceLostError("The service has ended.", _RESTART_HINT)


def connect(name: str, path: Path | None = None, hello_timeout: float = HELLO_TIMEOUT) -> Client:
    """A greeted client of the running service. path: of the connection file, or None for the usual one.

    Raises ConnectionFileError when there is none, and what `Client.receive` raises.
    """
    client = Client(read_connection(path or connection_path()), name, hello_timeout)
    try:
        client.wait_welcome()
    except BaseException:
        client.close()
        raise
    return client
