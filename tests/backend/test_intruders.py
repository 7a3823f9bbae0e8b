"""Who is not let in, and what is not understood."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import psutil
import pytest
import zmq

from protocol.client import Client
from protocol.connection import generate_keys, read_connection
from protocol.errors import MessageTooLargeError, WrongKeyError
from protocol.messages import Failed, Hello, Ping, Pong, Welcome
from protocol.wire import MAX_BUFFER_BYTES

from .conftest import RunningService


def raw_socket(context: zmq.Context, service: RunningService, **keys: str) -> zmq.Socket:
    """A DEALER with this service's keys, or others, that sends what no client of ours would."""
    connection = msgspec.structs.replace(read_connection(service.connection_file), **keys)
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    dealer.curve_serverkey = connection.server_public_key.encode()
    dealer.curve_publickey = connection.client_public_key.encode()
    dealer.curve_secretkey = connection.client_secret_key.encode()
    dealer.connect(connection.endpoint)
    return dealer


def test_bad_messages_are_answered_and_do_no_harm(service: RunningService, client: Client) -> None:
    with zmq.Context() as context, raw_socket(context, service) as dealer:
        for frames, code, reply_to in (
            ([b"\x80\x04pickle"], "malformed", None),
            ([b'{"version": 1, "id": "a", "type": "hello"}'], "version", "a"),
            ([b'{"version": 2, "id": "b", "type": "dance"}'], "malformed", "b"),
            ([b'{"version": 2, "id": "c", "type": "submit", "job_id": "j"}', b"", b""], "malformed", "c"),
            ([b'{"version": 2, "id": "d", "type": "ping"}', *[b""] * 300], "too_large", None),
        ):
            dealer.send_multipart(frames)
            assert dealer.poll(5000)
            answer = msgspec.json.decode(dealer.recv_multipart()[0], type=Failed)
            assert (answer.error.code, answer.reply_to) == (code, reply_to)
            assert answer.error.message
    assert isinstance(client.request(Hello(client="still there"))[0], Welcome)


def test_a_frame_over_the_limit_ends_the_connection_that_sent_it(service: RunningService, client: Client) -> None:
    with pytest.raises(MessageTooLargeError):
        client.send(Ping(), [bytes(MAX_BUFFER_BYTES + 1)])
    with zmq.Context() as context, raw_socket(context, service) as dealer:
        dealer.send_multipart([b'{"version": 2, "id": "a", "type": "ping"}', bytes(MAX_BUFFER_BYTES + 1)])
        assert not dealer.poll(1000), "there is no answer to it"
    assert isinstance(client.request(Hello(client="still there"))[0], Welcome)


def test_only_the_keys_of_the_connection_file_open_the_door(service: RunningService) -> None:
    connection, others = read_connection(service.connection_file), generate_keys()
    strangers = (
        msgspec.structs.replace(
            connection, client_public_key=others.client_public_key, client_secret_key=others.client_secret_key
        ),
        msgspec.structs.replace(connection, server_public_key=others.server_public_key),
    )
    for stranger in strangers:
        with Client(stranger, "stranger") as client, pytest.raises(WrongKeyError) as error:
            client.wait_welcome()
        assert "connection file" in error.value.hint
    with zmq.Context() as context, context.socket(zmq.DEALER) as plain:
        plain.linger = 0
        plain.connect(connection.endpoint)
        plain.send(b'{"version": 2, "id": "a", "type": "ping"}')
        assert not plain.poll(500)


def test_the_service_tells_who_it_is_and_hides_from_others(service: RunningService, client: Client) -> None:
    connection = read_connection(service.connection_file)
    assert connection.endpoint.startswith("tcp://127.0.0.1:")
    assert connection.pid == service.process.pid
    assert connection.session == client.wait_welcome().session
    assert client.wait_welcome().device == "cpu"
    log = Path(connection.log_path)
    assert log.parent == service.connection_file.parent
    assert "Listening at" in log.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(service.connection_file.stat().st_mode) == 0o600
    (listening,) = [c for c in psutil.Process(service.process.pid).net_connections("tcp") if c.status == "LISTEN"]
    assert listening.laddr.ip == "127.0.0.1"


def test_a_ping_is_answered(service: RunningService) -> None:
    with zmq.Context() as context, raw_socket(context, service) as dealer:
        dealer.send(msgspec.json.encode(Ping(id="p")))
        assert dealer.poll(5000)
        assert msgspec.json.decode(dealer.recv(), type=Pong).reply_to == "p"
