"""The socket thread against the real service, `python -m backend serve`, with a tiny model."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import msgspec
import numpy as np
import pytest
from support.addon_jobs import FRAMES, VIEWS, submission
from support.proxy import Proxy

from blender_addon.protocol.client import Client, connect
from blender_addon.protocol.connection import (
    Installation,
    connection_path,
    read_connection,
    write_connection,
    write_installation,
)
from blender_addon.protocol.heartbeat import Backoff
from blender_addon.protocol.messages import Accepted, Cancelled, Failed, JobProgress, Jobs, JobsRequest
from blender_addon.protocol.payloads import pack_submit
from blender_addon.protocol.settings import SamplingSettings
from blender_addon.protocol.takes import latents_path, read_record
from blender_addon.service.backend_process import Launch
from blender_addon.service.commands import CancelJob, StopService, SubmitJob
from blender_addon.service.events import BackendLost, BackendReady, BackendStarting, BackendStopped, TakeWritten
from blender_addon.service.service_link import ServiceLink

PROJECT = Path(__file__).parents[3]
SECONDS = 120.0
LONG = SamplingSettings(num_inference_steps=500)
"""Of a job that runs until it is stopped."""

WIDTH, HEIGHT = 48, 32


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Iterator[Path]:
    """The user's folder, where the model "tiny" is installed."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(tiny_model_folder, folder / "models" / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVD_HOME", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(Backoff, "FIRST", 0.2)
        write_installation(Installation(python=sys.executable, project=str(PROJECT), version="test"))
        yield folder


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The user's own service, which runs already."""
    log = open(home / "printed.log", "wb")  # noqa: SIM115 - the process writes to it
    process = subprocess.Popen([sys.executable, "-m", "backend", "serve"], cwd=PROJECT, stdout=log, stderr=log)
    deadline = time.monotonic() + SECONDS
    while not connection_path().exists():
        assert process.poll() is None, (home / "printed.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()
    connection_path().unlink(missing_ok=True)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ServiceLink]]:
    """Starts links; all of them end with the test."""
    links = []

    def start(*jobs: Any) -> ServiceLink:
        link = ServiceLink(Launch(folder=tmp_path / "own", parent_pid=os.getpid()), "test", jobs)
        link.start()
        links.append(link)
        return link

    yield start
    for link in links:
        link.tell(StopService())
        link.join(SECONDS)


def submit(link: ServiceLink, job_id: str, folder: Path, **fields: Any) -> None:
    link.tell(SubmitJob(job_id, submission(folder, size=(HEIGHT, WIDTH), **fields)))


def until(link: ServiceLink, wanted: Callable[[Any], bool]) -> Any:
    """The first event that `wanted` picks. A failure that nobody wants ends the test."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            event = link.events.get(timeout=1.0)
        except queue.Empty:
            continue
        if wanted(event):
            return event
        assert not isinstance(event, Failed | BackendStopped), event
    raise TimeoutError


def of(kind: type, job_id: str) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, kind) and event.job_id == job_id


def denoising(job_id: str) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, JobProgress) and event.job_id == job_id and event.stage == "denoising"


def is_a(kind: type) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, kind)


def state_of(client: Client, job_id: str) -> str:
    answer, _ = client.request(JobsRequest())
    assert isinstance(answer, Jobs)
    return next(job.state for job in answer.jobs if job.job_id == job_id)


def frames_of(take: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(take.glob("view_*/*.png"))]


@pytest.mark.slow
def test_two_jobs_one_of_them_cancelled(service: Any, start: Any, tmp_path: Path) -> None:
    """Beside another client's job, of which this one hears nothing."""
    link = start()
    ready = until(link, is_a(BackendReady))
    assert not ready.own
    assert "tiny" in [model.name for model in ready.welcome.models]
    with connect("other") as other:
        asked = submission(tmp_path, size=(HEIGHT, WIDTH))
        request = asked.request(ready.welcome.models)
        submit(link, "two-a", tmp_path, settings=LONG)
        until(link, of(Accepted, "two-a"))
        other.request(*pack_submit(request, asked.cameras.c2w, asked.K_at((HEIGHT, WIDTH)), "others"))
        submit(link, "two-b", tmp_path, prompt="a green ball")
        until(link, of(Accepted, "two-b"))
        link.tell(CancelJob("two-a"))
        heard = []
        until(link, lambda event: heard.append(event) or of(TakeWritten, "two-b")(event))
        assert {event.job_id for event in heard} == {"two-a", "two-b"}
        assert [event.job_id for event in heard if isinstance(event, Cancelled)] == ["two-a"]
        assert (state_of(other, "two-a"), state_of(other, "two-b")) == ("cancelled", "done")
    (take,) = tmp_path.glob("take_*")
    record = read_record(take)
    assert (record.prompt, record.job_id, record.model.name) == ("a green ball", "two-b", "tiny")
    assert (record.width, record.height, record.settings.guidance_scale) == (WIDTH, HEIGHT, 5.0)
    assert len(frames_of(take)) == VIEWS * FRAMES
    assert iio.imread(take / "view_01" / "0001.png").shape == (HEIGHT, WIDTH, 3)
    assert np.load(latents_path(take, 1)).shape == (4, FRAMES, HEIGHT // 8, WIDTH // 8)


@pytest.mark.slow
def test_a_connection_that_is_cut_costs_nothing(service: Any, start: Any, tmp_path: Path) -> None:
    """The same frames as without a cut: what was finished before it is fetched, the rest is heard of."""
    real = read_connection(connection_path())
    proxy = Proxy(int(real.endpoint.rpartition(":")[2]))
    write_connection(msgspec.structs.replace(real, endpoint=f"tcp://127.0.0.1:{proxy.port}"), connection_path())
    try:
        link = start()
        until(link, is_a(BackendReady))
        settings = SamplingSettings(seed=9, num_inference_steps=40)
        submit(link, "cut-a", tmp_path, settings=settings)
        submit(link, "cut-b", tmp_path, settings=settings)
        until(link, denoising("cut-a"))
        proxy.cut()
        until(link, is_a(BackendLost))
        takes = [until(link, of(TakeWritten, job_id)).folder for job_id in ("cut-a", "cut-b")]
    finally:
        write_connection(real, connection_path())
        proxy.close()
    assert frames_of(takes[0]) == frames_of(takes[1]) != []
    assert read_record(takes[0]).job_id == "cut-a"


def test_a_service_that_others_started_goes_on_without_this_blender(service: Any, start: Any, tmp_path: Path) -> None:
    link = start()
    submit(link, "left", tmp_path, settings=SamplingSettings(num_inference_steps=40))
    until(link, denoising("left"))
    link.tell(StopService())
    unfinished = until(link, is_a(BackendStopped)).unfinished
    with connect("other") as other:
        deadline = time.monotonic() + SECONDS
        while state_of(other, "left") != "done":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    again = start(*unfinished)
    assert until(again, of(TakeWritten, "left")).folder == tmp_path / "take_0001"


def test_a_full_disk_is_told_and_stops_the_job(service: Any, start: Any, tmp_path: Path) -> None:
    link = start()
    submit(link, "full", tmp_path, settings=SamplingSettings(num_inference_steps=20))
    until(link, denoising("full"))
    (tmp_path / "take_0001").rmdir()
    (tmp_path / "take_0001").write_text("no room")
    failed = until(link, of(Failed, "full"))
    assert failed.error.code == "disk"
    assert "free space" in failed.error.hint
    submit(link, "next", tmp_path)
    assert until(link, of(TakeWritten, "next")).folder == tmp_path / "take_0002"


def test_a_model_that_is_not_offered_is_refused_with_those_that_are(service: Any, start: Any, tmp_path: Path) -> None:
    link = start()
    submit(link, "strange", tmp_path, model="mine")
    failed = until(link, of(Failed, "strange"))
    assert failed.error.code == "settings"
    assert "starter, tiny" in failed.error.hint
    assert not list(tmp_path.glob("take_*"))


@pytest.mark.slow
def test_its_own_service_that_was_killed_is_asked_again_after_its_restart(
    home: Path, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVD_HOME", str(tmp_path / "home"))  # no service runs there
    shutil.copytree(home / "models", tmp_path / "home" / "models")
    shutil.copy(home / "installation.json", tmp_path / "home")
    link = start()
    submit(link, "killed", tmp_path, settings=LONG)
    until(link, is_a(BackendStarting))
    assert until(link, is_a(BackendReady)).own
    until(link, denoising("killed"))
    os.kill(read_connection(tmp_path / "own" / f"connection-{os.getpid()}.json").pid, signal.SIGKILL)
    stopped = until(link, is_a(BackendStopped))
    assert stopped.problem.code == "backend_ended"
    assert "-9" in stopped.problem.message
    assert [job.job_id for job in stopped.unfinished] == ["killed"]
    again = start(*stopped.unfinished)
    assert until(again, of(Failed, "killed")).error.code == "interrupted"
    pid = read_connection(tmp_path / "own" / f"connection-{os.getpid()}.json").pid
    again.tell(StopService())
    assert until(again, is_a(BackendStopped)).problem is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
