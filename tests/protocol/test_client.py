"""The client against peers that are not the service, or not as it should be. The service itself: tests/backend."""

import socket
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
import zmq

from protocol import connection
from protocol.client import Client
from protocol.connection import Connection, ServerKeys
from protocol.errors import (
    RequestFailedError,
    ServiceLostError,
    ServiceUnreachableError,
    WrongKeyError,
    WrongVersionError,
)
from protocol.messages import (
    Accepted,
    Cancel,
    Cancelled,
    ErrorInfo,
    Failed,
    Hello,
    JobProgress,
    Message,
    Ping,
    Pong,
    Welcome,
)

Connect = Callable[[], Connection]


class Peer:
    """A bare ROUTER socket with CURVE that says what a test wants it to."""

    def __init__(self, context: zmq.Context, keys: ServerKeys) -> None:
        self.socket = context.socket(zmq.ROUTER)
        self.socket.curve_server = True
        self.socket.curve_secretkey = keys.server_secret_key.encode()
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.connection = Connection(
            endpoint=f"tcp://127.0.0.1:{port}",
            server_public_key=keys.server_public_key,
            client_public_key=keys.client_public_key,
            client_secret_key=keys.client_secret_key,
            pid=1,
            session="s",
            log_path="",
        )

    def take(self) -> tuple[bytes, dict]:
        """The next message: route and header."""
        assert self.socket.poll(5000), "the client said nothing"
        route, header = self.socket.recv_multipart()
        return route, msgspec.json.decode(header)

    def say(self, route: bytes, message: Message) -> None:
        self.socket.send_multipart([route, msgspec.json.encode(message)])


@pytest.fixture
def peer() -> Iterator[Peer]:
    context = zmq.Context()
    yield Peer(context, connection.generate_keys())
    context.destroy(linger=0)


def welcome(**fields: object) -> Welcome:
    return Welcome(session="s", service_version="1", device="cpu", models=(), **fields)


def greeted(peer: Peer) -> tuple[Client, bytes]:
    """A client that the peer has welcomed, and its route."""
    client = Client(peer.connection, "test")
    route, hello = peer.take()
    assert hello["type"] == "hello"
    peer.say(route, welcome(reply_to=hello["id"]))
    assert client.wait_welcome().session == "s"
    return client, route


def test_it_greets_at_once_and_never_waits_when_it_only_looks(peer: Peer) -> None:
    with Client(peer.connection, "test") as client:
        started = time.monotonic()
        assert client.receive() is None
        assert time.monotonic() - started < 0.1
        _, hello = peer.take()
        assert hello["client"] == "test"


def test_silence_after_the_greeting_is_an_unreachable_service(peer: Peer) -> None:
    with Client(peer.connection, "test", hello_timeout=0.3) as client, pytest.raises(ServiceUnreachableError):
        client.wait_welcome()


def test_nothing_at_the_address_is_known_at_once(peer: Peer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = msgspec.structs.replace(peer.connection, endpoint=f"tcp://127.0.0.1:{unused.getsockname()[1]}")
    started = time.monotonic()
    with Client(nowhere, "test") as client, pytest.raises(ServiceUnreachableError):
        client.wait_welcome()
    assert time.monotonic() - started < 2


def test_another_service_at_the_address_is_a_wrong_key(peer: Peer) -> None:
    other = msgspec.structs.replace(peer.connection, server_public_key=connection.generate_keys().server_public_key)
    with Client(other, "test") as client, pytest.raises(WrongKeyError) as error:
        client.wait_welcome()
    assert error.value.hint


def test_a_service_of_another_version_is_told_apart(peer: Peer) -> None:
    with Client(peer.connection, "test") as client:
        route, hello = peer.take()
        peer.say(route, welcome(version=99, reply_to=hello["id"]))
        with pytest.raises(WrongVersionError, match="99"):
            client.wait_welcome()


def test_answers_find_their_requests_and_the_rest_keeps_its_order(peer: Peer) -> None:
    client, route = greeted(peer)
    with client:
        first, second, question = Ping(), Ping(), Hello(client="again")
        client.send(first)
        _, received = peer.take()
        assert received["id"] == first.id
        news = [welcome(id=f"news{n}") for n in range(3)]
        for message in news:
            peer.say(route, message)
        peer.say(route, welcome(id="answer", reply_to=question.id))
        answer, _ = client.request(question)
        assert answer.id == "answer"
        assert [client.receive()[0].id for _ in news] == ["news0", "news1", "news2"]
        client.send(second)


def test_news_of_other_jobs_are_no_answer(peer: Peer) -> None:
    """Each message belongs to one request. What another one asked for is kept for `receive`."""
    client, route = greeted(peer)
    with client:
        first, second = Cancel(job_id="first"), Cancel(job_id="second")
        others = [
            JobProgress(job_id="first", stage="denoising", step=1, of=2, reply_to=first.id),
            Failed(error=ErrorInfo(code="x", message="of the first"), reply_to=first.id),
            Cancelled(job_id="second", reply_to=first.id),
            Accepted(job_id="second", position=0),
        ]
        for message in others:
            peer.say(route, message)
        peer.say(route, Cancelled(job_id="second", reply_to=second.id))
        answer, _ = client.request(second)
        assert answer.reply_to == second.id
        assert [client.receive(timeout=1)[0] for _ in others] == others


def test_a_refusal_and_silence_are_told_apart(peer: Peer) -> None:
    client, route = greeted(peer)
    with client:
        question = Cancel(job_id="a")
        peer.say(route, Failed(error=ErrorInfo(code="unknown_job", message="No such job."), reply_to=question.id))
        with pytest.raises(RequestFailedError, match="No such job") as error:
            client.request(question)
        assert error.value.code == "unknown_job"
        with pytest.raises(ServiceLostError, match="did not answer"):
            client.request(Cancel(job_id="a"), timeout=0.2)


def test_it_pings_a_silent_service_and_gives_it_up_after_three_misses(peer: Peer) -> None:
    client, route = greeted(peer)
    with client:
        started = time.monotonic()
        assert client.receive(timeout=1.2) is None
        _, ping = peer.take()
        assert ping["type"] == "ping"
        peer.say(route, Pong(reply_to=ping["id"]))
        assert client.receive(timeout=0.2) is None, "a pong is the client's own affair"
        with pytest.raises(ServiceLostError):
            client.receive(timeout=20)
        assert 4.5 < time.monotonic() - started < 8


def test_the_end_of_the_service_is_noticed_at_once(peer: Peer) -> None:
    client, route = greeted(peer)
    with client:
        peer.say(route, welcome(id="last-words"))
        time.sleep(0.1)
        peer.socket.close(linger=1000)
        started = time.monotonic()
        assert client.receive(timeout=5)[0].id == "last-words", "what was said before the end is still heard"
        with pytest.raises(ServiceLostError):
            client.receive(timeout=5)
        assert time.monotonic() - started < 1
