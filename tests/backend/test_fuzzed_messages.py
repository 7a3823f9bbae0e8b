"""Thousands of broken messages from a client that is let in. None of them ends the service."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import zmq
from support import fake_executor
from support.fake_executor import FakeExecutor
from support.service_here import ServiceHere

from backend.server import Service
from protocol.client import Client
from protocol.connection import Connection
from protocol.messages import (
    MAX_TEXT,
    Cancel,
    ClientMessage,
    Done,
    Failed,
    FetchResult,
    Hello,
    JobsRequest,
    Ping,
    Pong,
    ServiceMessage,
    StatusRequest,
    error_info,
)
from protocol.takes import TakeRecord

from .conftest import make_job, outcome, submit

MESSAGES = 4000
HUGE = "9" * 4200
"""A number that Python still reads. The product of a few such numbers it does not write any more."""

PING = '{"version": 2, "id": "a", "type": "ping"%s}'
SUBMIT = (
    '{"version": 2, "id": "a", "type": "submit", "job_id": "j", "request": {"prompt": "", "view_names": ["A"], '
    '"width": 64, "height": 64}, "buffers": %s}'
)
BUFFER = '{"encoding": "raw", "dtype": "float64", "shape": [%s]}'
MONSTERS = [
    *(SUBMIT % f"[{BUFFER % ', '.join([number] * 8)}, {BUFFER % 1}]" for number in (HUGE, str(2**31), "-1", "1e300")),
    SUBMIT % f"[{', '.join([BUFFER % 1] * 20_000)}]",
    *(f'{{"version": {number}, "id": "a", "type": "ping"}}' for number in (HUGE, "-" + HUGE, "1e999", "2.5", "null")),
    *(f'{{"version": 2, "id": {value}, "type": "ping"}}' for value in (HUGE, f'"{HUGE}"', "[" * 50_000, '"\\ud800"')),
    f'{{"version": 2, "id": "a", "type": "{"x" * 100_000}"}}',
    PING % f', "{"x" * 100_000}": {HUGE}',
    PING % f', "buffers": {HUGE}',
    PING % f', "reply_to": "{"y" * 100_000}"',
    "[" * 100_000,
    HUGE,
    "null",
    "",
]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceHere]:
    monkeypatch.setattr(fake_executor, "STEP_SECONDS", 0.0)
    service = ServiceHere(FakeExecutor, tmp_path)
    yield service
    service.stop()


class RawClient:
    """Sends frames that no client of ours would."""

    def __init__(self, service: ServiceHere) -> None:
        connection: Connection = service._connection
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.curve_serverkey = connection.server_public_key.encode()
        self.socket.curve_publickey = connection.client_public_key.encode()
        self.socket.curve_secretkey = connection.client_secret_key.encode()
        self.socket.connect(connection.endpoint)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()

    def answer(self, milliseconds: int = 5000) -> Any:
        """What comes next, as a message of the service. None when nothing comes."""
        if not self.socket.poll(milliseconds):
            return None
        return msgspec.json.decode(self.socket.recv_multipart()[0], type=ServiceMessage)

    def drain(self) -> None:
        """Take what has come, and check that it is what the service may say."""
        while (answer := self.answer(0)) is not None:
            if isinstance(answer, Failed):
                assert len(answer.error.message) < MAX_TEXT


def still_works(client: Client) -> None:
    """Say what only a service that runs can do: a whole job."""
    last, views = outcome(client, submit(client, make_job()))
    assert isinstance(last, Done)
    assert len(views) == 2


def test_monsters_are_refused_one_by_one(service: ServiceHere) -> None:
    with RawClient(service) as raw:
        for monster in MONSTERS:
            raw.socket.send_multipart([monster.encode(), *[b""] * monster.count('"encoding"')][:200])
            answer = raw.answer()
            assert isinstance(answer, Failed | Pong), monster[:100]
            if isinstance(answer, Failed):
                assert answer.error.code in ("malformed", "version"), monster[:100]
                assert len(answer.error.message) < MAX_TEXT
    with service.client() as client:
        still_works(client)


def mutations(rng: random.Random) -> Iterator[list[bytes]]:
    """Valid messages, each with something broken: a value, a byte, a frame."""
    wrong: list[Any] = [None, True, -1, 0, 2**31, 2**64 - 1, 1e300, "", "x" * 9000, "\ud7ff\x00", [], {}, [[[1]]], HUGE]
    submitted, buffers = make_job()
    while True:
        message, data = rng.choice(
            [
                (Hello(client="fuzz"), []),
                (Ping(), []),
                (StatusRequest(), []),
                (JobsRequest(), []),
                (Cancel(job_id="j"), []),
                (FetchResult(job_id=submitted.job_id), []),
                (submitted, buffers),
            ]
        )
        header = msgspec.json.decode(msgspec.json.encode(message))
        place = header
        while isinstance(place, dict | list) and place:
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.3:
                place[key] = rng.choice(wrong)
                break
            place = place[key]
        content = bytearray(msgspec.json.encode(header))
        if rng.random() < 0.4:
            content[rng.randrange(len(content))] = rng.randrange(256)
        frames = [bytes(content).replace(f'"{HUGE}"'.encode(), HUGE.encode()), *map(bytes, data)]
        match rng.randrange(5):
            case 0:
                frames.append(rng.randbytes(rng.randrange(50)))
            case 1 if len(frames) > 1:
                frames.pop()
            case 2 if len(frames) > 1:
                frames[-1] = rng.randbytes(len(frames[-1]))
        yield frames


def test_thousands_of_mutations_leave_a_service_that_works(service: ServiceHere) -> None:
    source = mutations(random.Random(20))
    with RawClient(service) as raw:
        for number in range(MESSAGES):
            raw.socket.send_multipart(next(source))
            if number % 50 == 0:
                raw.drain()
        raw.drain()
    with service.client() as client:
        still_works(client)


def test_a_mistake_of_ours_is_answered_and_logged(
    service: ServiceHere, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with service.client() as client, monkeypatch.context() as patch:
        patch.setattr(Service, "_status", lambda self: 1 / 0)
        status = StatusRequest()
        client.send(status)
        answer, _ = client.receive(5.0)
        assert (answer.reply_to, answer.error.code) == (status.id, "internal")
        assert "ZeroDivisionError" in caplog.text
        patch.setattr("backend.server.decode", lambda *_: 1 / 0)
        client.send(Ping())
        answer, _ = client.receive(5.0)
        assert answer.error.code == "internal"
    with service.client() as client:
        still_works(client)


def test_a_mistake_in_a_job_ends_that_job(service: ServiceHere, monkeypatch: pytest.MonkeyPatch) -> None:
    with service.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr("backend.run.progress_message", lambda event: 1 / 0)
            last, _ = outcome_or_failure(client, submit(client, make_job()))
            assert last.error.code == "internal"
        still_works(client)


def outcome_or_failure(client: Client, job_id: str) -> Any:
    while (received := client.receive(5.0)) is not None:
        if isinstance(received[0], Done | Failed) and received[0].job_id == job_id:
            return received
    raise AssertionError("the job does not end")


def unbounded_integers(info: msgspec.inspect.Type, path: str, seen: set[type]) -> Iterator[str]:
    """Integers of a type that have no lower or no upper bound."""
    match info:
        case msgspec.inspect.IntType():
            if info.ge is None or info.le is None:
                yield path
        case msgspec.inspect.Metadata():
            yield from unbounded_integers(info.type, path, seen)
        case msgspec.inspect.UnionType():
            for part in info.types:
                yield from unbounded_integers(part, path, seen)
        case msgspec.inspect.VarTupleType() | msgspec.inspect.ListType():
            yield from unbounded_integers(info.item_type, f"{path}[]", seen)
        case msgspec.inspect.TupleType():
            for part in info.item_types:
                yield from unbounded_integers(part, f"{path}[]", seen)
        case msgspec.inspect.StructType() if info.cls not in seen:
            for field in info.fields:
                yield from unbounded_integers(field.type, f"{path}.{field.name}", seen | {info.cls})


@pytest.mark.parametrize("cls", [*get_args(ClientMessage), *get_args(ServiceMessage), Connection, TakeRecord])
def test_every_integer_of_the_protocol_is_bounded(cls: type) -> None:
    assert not list(unbounded_integers(msgspec.inspect.type_info(cls), cls.__name__, set()))


def test_texts_of_errors_are_cut_to_what_can_be_sent() -> None:
    info = error_info("disk", "x" * 100_000, "y" * 100_000)
    assert len(info.message) == len(info.hint) == 2000
    assert info.message.endswith("x...")
