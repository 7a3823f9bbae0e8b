"""A service that sends what a test wants: a plain ROUTER socket with CURVE, and its connection file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import zmq

from blender_addon.protocol.connection import Connection, generate_keys, write_connection
from blender_addon.protocol.messages import ClientMessage, Hello, Message, Ping, Pong, Welcome, new_id
from blender_addon.protocol.models import ModelInfo
from blender_addon.protocol.wire import Bytes, decode, encode

SECONDS = 10.0


class ScriptedService:
    """It answers only greetings and pings by itself. route: route of the last client that sent a message."""

    def __init__(self, connection_file: Path, models: Sequence[ModelInfo] = ()) -> None:
        keys = generate_keys()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.curve_server = True
        self._socket.curve_secretkey = keys.server_secret_key.encode()
        self._models = tuple(models)
        self.session = new_id()
        self.route = b""
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.connection = Connection(
            endpoint=f"tcp://127.0.0.1:{port}",
            server_public_key=keys.server_public_key,
            client_public_key=keys.client_public_key,
            client_secret_key=keys.client_secret_key,
            pid=1,
            session=self.session,
            log_path="service.log",
        )
        write_connection(self.connection, connection_file)

    def __enter__(self) -> ScriptedService:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Disappear like a service that was killed."""
        self._context.destroy(linger=100)

    def take(self, seconds: float = SECONDS) -> tuple[Message, list[Bytes]]:
        """The next message that is neither a greeting nor a ping. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while True:
            if not self._socket.poll(max(0.0, 1000 * (deadline - time.monotonic()))):
                raise TimeoutError("The client said nothing.")
            self.route, *frames = self._socket.recv_multipart()
            message: ClientMessage
            message, buffers = decode(frames, ClientMessage)
            if isinstance(message, Hello):
                models = self._models
                self.say(Welcome(session=self.session, service_version="1", device="cpu", models=models))
            elif isinstance(message, Ping):
                self.say(Pong(reply_to=message.id))
            else:
                return message, buffers

    def serve(self, seconds: float) -> list[Message]:
        """All messages of the client in this time."""
        messages = []
        deadline = time.monotonic() + seconds
        try:
            while True:
                messages.append(self.take(deadline - time.monotonic())[0])
        except TimeoutError:
            return messages

    def say(self, message: Message, buffers: Sequence[Bytes] = ()) -> None:
        """Send a message to the last client that sent one."""
        self._socket.send_multipart([self.route, *encode(message, buffers)])
