"""A real service in a process of its own, with the real library and tiny models.

Sizes are not square, and the numbers of views, frames and sides are all different, so that none is taken for another.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
from support.cameras import parting_cameras

from protocol.client import Client, Received, connect
from protocol.messages import (
    Accepted,
    Cancelled,
    Done,
    Failed,
    GenerateRequest,
    JobInfo,
    JobProgress,
    JobsRequest,
    Message,
    Submit,
    ViewFrames,
)
from protocol.payloads import pack_submit
from protocol.settings import SamplingSettings

PROJECT = Path(__file__).parents[2]
START_SECONDS = 90.0
JOB_SECONDS = 60.0
WIDTH, HEIGHT, FRAMES = 48, 32, 5
LONG = 500
"""Steps of a job that runs until it is stopped."""

SETTING_NAMES = SamplingSettings.__struct_fields__

Job = tuple[Submit, list[bytes]]
MakeJob = Callable[..., Job]
Views = dict[int, list[bytes]]


class RunningService:
    """One `python -m backend serve`, ready when this is made."""

    def __init__(self, connection_file: Path, *arguments: str) -> None:
        self.connection_file = connection_file
        self.process = start_process("serve", "--connection-file", str(connection_file), *arguments)
        deadline = time.monotonic() + START_SECONDS
        while not connection_file.exists():
            assert self.process.poll() is None, "the service ended:\n" + self.process.stderr.read()
            assert time.monotonic() < deadline, "the service did not get ready"
            time.sleep(0.05)

    def client(self, name: str = "test") -> Client:
        """A greeted client."""
        return connect(name, self.connection_file)

    def worker(self) -> psutil.Process:
        """The process that owns the model."""
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def end(self) -> None:
        """Make sure that it is gone."""
        self.process.kill()
        self.process.communicate()


def start_process(*arguments: str) -> subprocess.Popen[str]:
    """`python -m backend` with these arguments, on one thread."""
    return subprocess.Popen(
        [sys.executable, "-m", "backend", *arguments],
        cwd=PROJECT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same, run to its end."""
    process = start_process(*arguments)
    output, errors = process.communicate(timeout=START_SECONDS)
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    """A folder of installed models: "tiny" and "other", which differ in their weights, and "damaged".

    "other" makes previews.
    """
    import torch
    from support.tiny_model import tiny_pipeline

    from cvd.weights.preview import LatentPreview

    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_model_folder, folder / "tiny")
    other = tiny_pipeline(folder / "other" / "tokenizer")
    with torch.no_grad():
        for parameter in other.unet.parameters():
            parameter.mul_(1.1)
    other.preview_map = LatentPreview(np.full((5, 3), 0.1))
    other.save_pretrained(folder / "other")
    shutil.copytree(folder / "tiny", folder / "damaged")
    (folder / "damaged" / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"half of it")
    return folder


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[RunningService]:
    """The service that most tests share. It ends as users end it, which is a test as well."""
    where = tmp_path_factory.mktemp("service") / "connection.json"
    service = RunningService(where, "--models", str(models_folder))
    yield service
    try:
        stopped = run_command("stop", "--connection-file", str(service.connection_file))
        assert (stopped.returncode, stopped.stderr) == (0, "")
        assert service.process.wait(5) == 0
        assert not service.connection_file.exists()
    finally:
        service.end()


@pytest.fixture
def client(service: RunningService) -> Iterator[Client]:
    with service.client() as client:
        yield client


def make_job(job_id: str | None = None, frames: int = FRAMES, **fields: object) -> Job:
    """A job of cameras that move apart, ready to be sent. fields: of the request or of its settings."""
    settings = {"num_inference_steps": 3} | {name: fields.pop(name) for name in SETTING_NAMES if name in fields}
    request = msgspec.structs.replace(
        GenerateRequest(
            prompt="a red cube",
            view_names=("left", "right"),
            width=WIDTH,
            height=HEIGHT,
            model="tiny",
            settings=SamplingSettings(**settings),
        ),
        **fields,
    )
    return pack_submit(
        request, *parting_cameras(len(request.view_names), frames, request.width, request.height), job_id
    )


def submit(client: Client, job: Job) -> str:
    """Submit a job; its id, once it is accepted."""
    accepted, _ = client.request(*job)
    assert isinstance(accepted, Accepted)
    return job[0].job_id


def generate(client: Client, job: Job) -> Views:
    """The views of a job that is done."""
    last, views = outcome(client, submit(client, job))
    assert isinstance(last, Done)
    return views


def next_message(client: Client) -> Received:
    """What the service says next."""
    received = client.receive(timeout=JOB_SECONDS)
    assert received is not None, "the service says nothing"
    return received


def until(client: Client, wanted: Callable[[Message], bool]) -> list[Received]:
    """Everything up to the first message that `wanted` picks, which is the last of the list."""
    received = [next_message(client)]
    while not wanted(received[-1][0]):
        assert not isinstance(received[-1][0], Failed), received[-1][0].error
        received.append(next_message(client))
    return received


def outcome(client: Client, job_id: str) -> tuple[Message, Views]:
    """A job's last message, and its views by number: the PNG files and the latents."""
    received = until(client, lambda m: isinstance(m, Done | Failed | Cancelled) and m.job_id == job_id)
    views = {
        m.view: [bytes(b) for b in buffers]
        for m, buffers in received
        if isinstance(m, ViewFrames) and m.job_id == job_id
    }
    return received[-1][0], views


def denoising(message: object) -> bool:
    return isinstance(message, JobProgress) and message.stage == "denoising"


def job_info(client: Client, job_id: str) -> JobInfo:
    jobs, _ = client.request(JobsRequest())
    return next(job for job in jobs.jobs if job.job_id == job_id)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
