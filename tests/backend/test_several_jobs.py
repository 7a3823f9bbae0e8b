"""The service with an executor that runs two jobs at a time: who hears what, what is kept, what the disk refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.fake_executor import MADE, FakeExecutor
from support.service_here import ServiceHere

from protocol.client import Client
from protocol.errors import RequestFailedError
from protocol.messages import Cancel, Cancelled, Done, Failed, FetchResult, StatusRequest, ViewFrames
from protocol.payloads import unpack_view
from protocol.takes import frame_path, latents_path

from .conftest import (
    FRAMES,
    HEIGHT,
    LONG,
    WIDTH,
    denoising,
    generate,
    job_info,
    make_job,
    outcome,
    submit,
    until,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceHere]:
    service = ServiceHere(FakeExecutor, tmp_path_factory.mktemp("two jobs"))
    yield service
    service.stop()


@pytest.fixture
def client(service: ServiceHere) -> Iterator[Client]:
    with service.client() as client:
        yield client


def test_two_jobs_run_at_once_and_the_third_waits(client: Client) -> None:
    jobs = [make_job(num_inference_steps=LONG), make_job(num_inference_steps=LONG), make_job()]
    ids = [submit(client, job) for job in jobs]
    for job_id in ids[:2]:
        until(client, lambda m, job_id=job_id: denoising(m) and m.job_id == job_id)
    status, _ = client.request(StatusRequest())
    assert (status.running, status.queued, status.worker) == (tuple(ids[:2]), 1, "busy")
    assert [job_info(client, job_id).state for job_id in ids] == ["running", "running", "queued"]

    accepted, _ = client.request(FetchResult(job_id=ids[2]))
    assert accepted.position == 1
    client.send(Cancel(job_id=ids[1]))
    last, views = outcome(client, ids[2])
    assert isinstance(last, Done), "it takes the place of the one that was stopped"
    assert len(views) == 2
    assert client.request(StatusRequest())[0].running == (ids[0],)
    client.send(Cancel(job_id=ids[0]))
    assert isinstance(outcome(client, ids[0])[0], Cancelled)


def test_clients_hear_of_their_own_jobs_only(service: ServiceHere, client: Client) -> None:
    """Both jobs run at the same time."""
    with service.client("other") as other:
        jobs = {client: make_job(seed=1, num_inference_steps=20), other: make_job(seed=2, num_inference_steps=20)}
        for listener, job in jobs.items():
            submit(listener, job)
        for listener, (message, _) in jobs.items():
            received = until(listener, lambda m: isinstance(m, Done))
            assert {(part.job_id, part.reply_to) for part, _ in received} == {(message.job_id, message.id)}
            images = [unpack_view(part, data)[0] for part, data in received if isinstance(part, ViewFrames)]
            seed = message.request.settings.seed
            assert images == [FakeExecutor.view(seed, view, FRAMES, WIDTH, HEIGHT)[0] for view in range(2)]
        assert other.receive(0.2) is None


def test_all_of_many_views_are_given_back(client: Client) -> None:
    job = make_job(view_names=tuple(f"camera {n}" for n in range(11)), width=8, height=8)
    views = generate(client, job)
    client.send(FetchResult(job_id=job[0].job_id))
    done, again = outcome(client, job[0].job_id)
    assert isinstance(done, Done)
    assert done.made == MADE
    assert again == views
    assert sorted(views) == list(range(11))
    for view, (*images, latents) in views.items():
        expected_images, expected = FakeExecutor.view(0, view, FRAMES, 8, 8)
        assert images == expected_images
        np.testing.assert_array_equal(np.frombuffer(latents, np.float32), expected.ravel())


@pytest.mark.parametrize("missing", ["frame", "latents", "view", "cameras"])
def test_a_result_with_a_missing_file_is_not_done(service: ServiceHere, client: Client, missing: str) -> None:
    job = make_job()
    job_id = submit(client, job)
    outcome(client, job_id)
    folder = service.job_folder(job_id)
    path = {
        "frame": frame_path(folder, 1, FRAMES - 1),
        "latents": latents_path(folder, 1),
        "view": folder / "view_01",
        "cameras": folder / "c2w.npy",
    }[missing]
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    fetch = FetchResult(job_id=job_id)
    client.request(fetch)
    last, views = outcome(client, job_id)
    assert isinstance(last, Failed)
    assert (last.error.code, last.job_id, last.reply_to) == ("disk", job_id, fetch.id)
    assert set(views) <= {0}


def test_an_unknown_job_is_no_failed_job(client: Client) -> None:
    with pytest.raises(RequestFailedError) as error:
        client.request(FetchResult(job_id="nobody"))
    assert error.value.code == "unknown_job"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own that holds little: a job, but not the views of one."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k,mode=0700", "tmpfs", folder]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk, where it is allowed to")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_told_and_the_frames_arrive_nevertheless(small_disk: Path, tmp_path: Path) -> None:
    service = ServiceHere(FakeExecutor, tmp_path)
    try:
        with service.client() as client:
            job = make_job()
            last, views = outcome(client, submit(client, job))
            assert isinstance(last, Failed)
            assert (last.error.code, last.job_id) == ("disk", job[0].job_id)
            assert "could not write the frames" in last.error.message
            assert "space" in last.error.message
            assert last.error.hint
            assert list(views[0]), "the view that did not find room"
            assert job_info(client, job[0].job_id).state == "failed"

            (small_disk / "filler").write_bytes(bytes(4096 * free_pages(small_disk)))
            with pytest.raises(RequestFailedError) as error:
                client.request(*make_job())
            assert error.value.code == "disk"
            assert len(list(small_disk.glob("[0-9]*"))) == 1, "nothing of the second job stays"
    finally:
        service.stop()


def free_pages(folder: Path) -> int:
    return os.statvfs(folder).f_bavail
