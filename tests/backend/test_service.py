"""The life of jobs in a real service: they wait, stop, fail, and can be asked for again."""

from __future__ import annotations

import pytest
from support.cameras import parting_cameras

from protocol.client import Client
from protocol.errors import RequestFailedError
from protocol.messages import Cancel, Cancelled, Done, Failed, FetchResult, JobProgress, StatusRequest, ViewFrames
from protocol.payloads import pack_submit

from .conftest import (
    FRAMES,
    HEIGHT,
    LONG,
    WIDTH,
    RunningService,
    denoising,
    generate,
    job_info,
    make_job,
    next_message,
    outcome,
    submit,
    until,
)

# ---------------------------------------------------------------------------------------------------------- waiting


def test_jobs_wait_their_turn(client: Client) -> None:
    jobs = [make_job(num_inference_steps=12), make_job(), make_job()]
    accepted = [client.request(*job)[0] for job in jobs]
    assert [message.position for message in accepted] == [0, 1, 2]
    until(client, denoising)
    status, _ = client.request(StatusRequest())
    assert (status.worker, status.running, status.queued) == ("busy", (jobs[0][0].job_id,), 2)

    done: list[str] = []
    while len(done) < 3:
        message, _ = next_message(client)
        if isinstance(message, Done):
            done.append(message.job_id)
    assert done == [job[0].job_id for job in jobs]


def test_two_clients_hear_of_their_own_jobs_only(service: RunningService, client: Client) -> None:
    with service.client("other") as other:
        mine, others = make_job(seed=1), make_job(seed=2)
        submit(client, mine)
        submit(other, others)
        for listener, job in ((client, mine), (other, others)):
            received = until(listener, lambda m: isinstance(m, Done))
            assert {message.job_id for message, _ in received} == {job[0].job_id}
        assert other.receive(0.2) is None


# ----------------------------------------------------------------------------------------------------------- stopping


def test_a_running_job_stops_within_a_step(client: Client) -> None:
    job_id = submit(client, make_job(num_inference_steps=LONG))
    *_, (progress, _) = until(client, lambda m: denoising(m) and m.step >= 3)
    cancel = Cancel(job_id=job_id)
    client.send(cancel)
    received = until(client, lambda m: isinstance(m, Cancelled) and m.reply_to == cancel.id)
    assert any(isinstance(m, Cancelled) and m.reply_to != cancel.id for m, _ in received), "the submitter is told too"
    steps = [message.step for message, _ in received if denoising(message)]
    assert max(steps, default=progress.step) - progress.step < 20, "of 500; those under way while the wish travels"
    assert job_info(client, job_id).state == "cancelled"


def test_a_cancelled_queued_job_never_starts(client: Client, service: RunningService) -> None:
    running, queued = submit(client, make_job(num_inference_steps=LONG)), submit(client, make_job())
    cancelled, _ = client.request(Cancel(job_id=queued))
    assert cancelled == Cancelled(job_id=queued, reply_to=cancelled.reply_to, id=cancelled.id)
    client.request(Cancel(job_id=running))
    assert len(generate(client, make_job())) == 2
    info = job_info(client, queued)
    assert (info.state, info.started) == ("cancelled", None)
    record = next(service.connection_file.with_name("jobs").glob(f"*-{queued}/job.json"))
    assert '"cancelled"' in record.read_text()


def test_cancelling_names_a_job_that_is_there(client: Client) -> None:
    with pytest.raises(RequestFailedError) as error:
        client.request(Cancel(job_id="nobody"))
    assert error.value.code == "unknown_job"
    job_id = submit(client, make_job())
    outcome(client, job_id)
    with pytest.raises(RequestFailedError, match="done") as error:
        client.request(Cancel(job_id=job_id))
    assert error.value.code == "job_finished"


# -------------------------------------------------------------------------------------------------------- coming back


def test_a_submission_that_is_sent_again_runs_once(client: Client) -> None:
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


def test_an_id_cannot_be_used_for_something_else(client: Client) -> None:
    submit(client, make_job("taken"))
    outcome(client, "taken")
    for other in (make_job("taken", seed=9), make_job("taken", frames=FRAMES - 1)):
        with pytest.raises(RequestFailedError) as error:
            client.request(*other)
        assert error.value.code == "duplicate_job"


def test_a_client_that_was_cut_off_gets_its_result(service: RunningService, client: Client) -> None:
    with service.client("cut off") as lost:
        job_id = submit(lost, make_job(num_inference_steps=15))
        until(lost, denoising)
    fetch = FetchResult(job_id=job_id)
    client.request(fetch)
    received = until(client, lambda m: isinstance(m, Done))
    assert {message.reply_to for message, _ in received} == {fetch.id}
    assert any(isinstance(message, JobProgress) for message, _ in received), "it hears of the rest of the job"
    assert sum(isinstance(message, ViewFrames) for message, _ in received) == 2
    with pytest.raises(RequestFailedError) as error:
        client.request(FetchResult(job_id="nobody"))
    assert error.value.code == "unknown_job"


# ------------------------------------------------------------------------------------------------------------ failing


def mirrored() -> tuple:
    c2w, K = parting_cameras(2, FRAMES, WIDTH, HEIGHT)
    c2w[0, 0, 0, 0] = -1.0
    return pack_submit(make_job()[0].request, c2w, K)


@pytest.mark.parametrize(
    ("job", "code"),
    [(make_job(model="nobody"), "request"), (make_job(model="damaged"), "checkpoint"), (mirrored(), "camera")],
    ids=["unknown model", "damaged model", "mirrored camera"],
)
def test_a_bad_job_fails_with_a_reason_and_the_next_one_works(client: Client, job: tuple, code: str) -> None:
    job_id = submit(client, job)
    last, _ = outcome(client, job_id)
    assert isinstance(last, Failed)
    assert (last.error.code, last.job_id, last.reply_to) == (code, job_id, job[0].id)
    assert last.error.message
    assert last.error.hint
    info = job_info(client, job_id)
    assert (info.state, info.error, info.made) == ("failed", last.error, None)
    generate(client, make_job())
