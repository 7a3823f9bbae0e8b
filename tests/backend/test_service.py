"""A real service over a real socket, with its worker and a tiny model."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import msgspec
import numpy as np
import psutil
import pytest
import zmq

from cvd import Cameras, CollaborativeVideoPipeline
from cvd.takes.export import to_uint8
from protocol.client import Client
from protocol.connection import generate_keys, read_connection
from protocol.errors import MessageTooLargeError, RequestFailedError, WrongKeyError
from protocol.messages import (
    Accepted,
    Cancel,
    Cancelled,
    Done,
    Failed,
    FetchResult,
    Frames,
    Hello,
    JobInfo,
    JobsRequest,
    Ping,
    Pong,
    Progress,
    StatusRequest,
    Submit,
    Welcome,
)
from protocol.payloads import pack_submit
from protocol.wire import MAX_BUFFER_BYTES

from .conftest import FRAMES, RunningService, cameras, next_message, outcome, until

MakeJob = Callable[..., tuple[Submit, list[bytes]]]
LONG = 500  # steps of a job that runs until it is stopped


def submit(client: Client, job: tuple[Submit, list[bytes]]) -> str:
    """Submit a job; its id, once it is accepted."""
    accepted, _ = client.request(*job)
    assert isinstance(accepted, Accepted)
    return job[0].job_id


def denoising(message: object) -> bool:
    return isinstance(message, Progress) and message.stage == "denoising"


def job_info(client: Client, job_id: str) -> JobInfo:
    jobs, _ = client.request(JobsRequest())
    return next(job for job in jobs.jobs if job.job_id == job_id)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# -------------------------------------------------------------------------------------------------------- generations


def test_a_generation_from_submission_to_frames(client: Client, make_job: MakeJob, tiny_model_folder: Path) -> None:
    job = make_job(seed=3)
    job_id = submit(client, job)
    received = until(client, lambda m: isinstance(m, Done | Failed))

    kinds = [type(message) for message, _ in received]
    assert kinds.count(Frames) == 2
    assert kinds[-1] is Done
    assert all(message.job_id == job_id and message.reply_to == job[0].id for message, _ in received)

    steps = [message for message, _ in received if isinstance(message, Progress)]
    stages = list(dict.fromkeys(message.stage for message in steps))
    assert [stage for stage in stages if stage != "loading"] == ["encoding", "denoising", "decoding", "saving"]
    calls = [message for message in steps if message.stage == "denoising"]
    assert [message.step for message in calls] == list(range(1, calls[0].of + 1))
    assert all(message.seconds_left is not None for message in calls)
    assert received[-1][0].seconds > 0

    c2w, K = cameras(FRAMES)
    pipe = CollaborativeVideoPipeline.from_pretrained(tiny_model_folder)
    expected = to_uint8(pipe("a red cube", Cameras(c2w, K, 64, 64), num_inference_steps=3, seed=3).videos)
    for message, buffers in received:
        if isinstance(message, Frames):
            frames = np.stack([iio.imread(bytes(buffer)) for buffer in buffers])
            difference = np.abs(frames.astype(int) - expected[message.view])
            assert difference.max() <= 1, "the service makes what the library makes"


def test_what_the_model_does_not_read_of_a_prompt_is_told_once(client: Client, make_job: MakeJob) -> None:
    submit(client, make_job(prompt="a red cube " * 40 + "and a zeppelin"))
    received = until(client, lambda m: isinstance(m, Done | Failed))
    [warning] = [message.warning for message, _ in received if isinstance(message, Progress) and message.warning]
    assert warning.endswith('zeppelin".')

    submit(client, make_job(prompt="a red cube"))
    received = until(client, lambda m: isinstance(m, Done | Failed))
    assert not any(message.warning for message, _ in received if isinstance(message, Progress))


def test_the_same_seed_gives_the_same_bytes(client: Client, make_job: MakeJob) -> None:
    results = []
    for seed in (5, 5, 6):
        last, frames = outcome(client, submit(client, make_job(seed=seed)))
        assert isinstance(last, Done)
        results.append(frames)
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_jobs_wait_their_turn(client: Client, make_job: MakeJob) -> None:
    jobs = [make_job(num_inference_steps=12), make_job(), make_job()]
    accepted = [client.request(*job)[0] for job in jobs]
    assert [message.position for message in accepted] == [0, 1, 2]
    until(client, denoising)
    status, _ = client.request(StatusRequest())
    assert (status.worker, status.running, status.queued) == ("busy", jobs[0][0].job_id, 2)

    done: list[str] = []
    while len(done) < 3:
        message, _ = next_message(client)
        if isinstance(message, Done):
            done.append(message.job_id)
    assert done == [job[0].job_id for job in jobs]


def test_two_clients_hear_of_their_own_jobs_only(service: RunningService, client: Client, make_job: MakeJob) -> None:
    with service.client("other") as other:
        mine, others = make_job(seed=1), make_job(seed=2)
        submit(client, mine)
        submit(other, others)
        for listener, job in ((client, mine), (other, others)):
            received = until(listener, lambda m: isinstance(m, Done))
            assert {message.job_id for message, _ in received} == {job[0].job_id}
        assert other.receive(0.2) is None


# ----------------------------------------------------------------------------------------------------------- stopping


def test_a_running_job_stops_within_a_step(client: Client, make_job: MakeJob) -> None:
    job_id = submit(client, make_job(num_inference_steps=LONG))
    *_, (progress, _) = until(client, lambda m: denoising(m) and m.step >= 3)
    cancel = Cancel(job_id=job_id)
    client.send(cancel)
    received = until(client, lambda m: isinstance(m, Cancelled) and m.reply_to == cancel.id)
    assert any(isinstance(m, Cancelled) and m.reply_to != cancel.id for m, _ in received), "the submitter is told too"
    steps = [message.step for message, _ in received if denoising(message)]
    assert max(steps, default=progress.step) - progress.step < 20, "of 500; those under way while the wish travels"
    assert job_info(client, job_id).state == "cancelled"


def test_a_cancelled_queued_job_never_starts(client: Client, make_job: MakeJob) -> None:
    running, queued = submit(client, make_job(num_inference_steps=LONG)), submit(client, make_job())
    cancelled, _ = client.request(Cancel(job_id=queued))
    assert cancelled == Cancelled(job_id=queued, reply_to=cancelled.reply_to, id=cancelled.id)
    client.request(Cancel(job_id=running))
    last, frames = outcome(client, submit(client, make_job()))
    assert isinstance(last, Done)
    assert len(frames) == 2
    info = job_info(client, queued)
    assert (info.state, info.started) == ("cancelled", None)


def test_cancelling_names_a_job_that_is_there(client: Client, make_job: MakeJob) -> None:
    with pytest.raises(RequestFailedError) as error:
        client.request(Cancel(job_id="nobody"))
    assert error.value.code == "unknown_job"
    job_id = submit(client, make_job())
    outcome(client, job_id)
    with pytest.raises(RequestFailedError, match="done") as error:
        client.request(Cancel(job_id=job_id))
    assert error.value.code == "job_finished"


# -------------------------------------------------------------------------------------------------------- coming back


def test_a_submission_that_is_sent_again_runs_once(client: Client, make_job: MakeJob) -> None:
    job = make_job("sent-twice", num_inference_steps=10)
    submit(client, job)
    until(client, denoising)
    submit(client, make_job("sent-twice", num_inference_steps=10))
    _, first = outcome(client, "sent-twice")
    info = job_info(client, "sent-twice")

    accepted, _ = client.request(*make_job("sent-twice", num_inference_steps=10))
    assert accepted.position == 0
    last, second = outcome(client, "sent-twice")
    assert isinstance(last, Done)
    assert first == second
    assert job_info(client, "sent-twice") == info, "nothing ran again"


def test_an_id_cannot_be_used_for_something_else(client: Client, make_job: MakeJob) -> None:
    submit(client, make_job("taken"))
    outcome(client, "taken")
    for other in (make_job("taken", seed=9), make_job("taken", frames=FRAMES - 1)):
        with pytest.raises(RequestFailedError) as error:
            client.request(*other)
        assert error.value.code == "duplicate_job"


def test_a_client_that_was_cut_off_gets_its_result(service: RunningService, client: Client, make_job: MakeJob) -> None:
    with service.client("cut off") as lost:
        job_id = submit(lost, make_job(num_inference_steps=15))
        until(lost, denoising)
    fetch = FetchResult(job_id=job_id)
    client.request(fetch)
    received = until(client, lambda m: isinstance(m, Done))
    assert {message.reply_to for message, _ in received} == {fetch.id}
    assert any(isinstance(message, Progress) for message, _ in received), "it hears of the rest of the job"
    assert sum(isinstance(message, Frames) for message, _ in received) == 2
    with pytest.raises(RequestFailedError) as error:
        client.request(FetchResult(job_id="nobody"))
    assert error.value.code == "unknown_job"


# ------------------------------------------------------------------------------------------------------------ failing


def failure(client: Client, job: tuple[Submit, list[bytes]]) -> Failed:
    last, _ = outcome(client, submit(client, job))
    assert isinstance(last, Failed)
    assert last.error.message
    assert last.error.hint
    return last


def test_every_bad_job_fails_with_a_reason_and_the_next_one_works(client: Client, make_job: MakeJob) -> None:
    assert failure(client, make_job(model="/nowhere/model")).error.code == "checkpoint"
    mirrored, K = cameras(FRAMES)
    mirrored[0, 0, 0, 0] = -1.0
    request = make_job()[0].request
    assert failure(client, pack_submit(request, mirrored, K)).error.code == "camera"
    last, _ = outcome(client, submit(client, make_job()))
    assert isinstance(last, Done)


def test_a_killed_worker_fails_its_job_and_the_next_one_works(
    service: RunningService, client: Client, make_job: MakeJob
) -> None:
    job_id = submit(client, make_job(num_inference_steps=LONG))
    until(client, denoising)
    service.worker().kill()
    last, _ = outcome(client, job_id)
    assert last.error.code == "worker_died"
    assert "SIGKILL" in last.error.message
    assert "again" in last.error.hint
    assert job_info(client, job_id).state == "failed"

    last, _ = outcome(client, submit(client, make_job()))
    assert isinstance(last, Done)


def test_a_worker_killed_while_idle_costs_no_job(service: RunningService, client: Client, make_job: MakeJob) -> None:
    worker = service.worker()
    worker.kill()
    wait_for(lambda: client.request(StatusRequest())[0].worker == "down", 5)
    last, _ = outcome(client, submit(client, make_job()))
    assert isinstance(last, Done)


# ----------------------------------------------------------------------------------------------------------- intruders


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
            ([b'{"version": 2, "id": "a", "type": "hello"}'], "version", "a"),
            ([b'{"version": 1, "id": "b", "type": "dance"}'], "malformed", "b"),
            ([b'{"version": 1, "id": "c", "type": "submit", "job_id": "j"}', b"", b""], "malformed", "c"),
            ([b'{"version": 1, "id": "d", "type": "ping"}', *[b""] * 300], "too_large", None),
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
        dealer.send_multipart([b'{"version": 1, "id": "a", "type": "ping"}', bytes(MAX_BUFFER_BYTES + 1)])
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
        plain.send(b'{"version": 1, "id": "a", "type": "ping"}')
        assert not plain.poll(500)


def test_the_service_tells_who_it_is_and_hides_from_others(service: RunningService, client: Client) -> None:
    connection = read_connection(service.connection_file)
    assert connection.endpoint.startswith("tcp://127.0.0.1:")
    assert connection.pid == service.process.pid
    assert connection.session == client.wait_welcome().session
    assert client.wait_welcome().device == "cpu"
    log = Path(connection.log_path)
    assert log.parent == service.connection_file.parent
    assert "Ready at" in log.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(service.connection_file.stat().st_mode) == 0o600
    (listening,) = [c for c in psutil.Process(service.process.pid).net_connections("tcp") if c.status == "LISTEN"]
    assert listening.laddr.ip == "127.0.0.1"


def test_a_ping_is_answered(service: RunningService) -> None:
    with zmq.Context() as context, raw_socket(context, service) as dealer:
        dealer.send(msgspec.json.encode(Ping(id="p")))
        assert dealer.poll(5000)
        assert msgspec.json.decode(dealer.recv(), type=Pong).reply_to == "p"
