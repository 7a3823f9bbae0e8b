"""A real service in a process of its own, with the real pipeline and a tiny model."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from protocol.client import Client, Received, connect
from protocol.messages import Cancelled, Done, Failed, Frames, GenerateRequest, Message, Submit
from protocol.payloads import pack_submit

PROJECT = Path(__file__).parents[2]
START_SECONDS = 90.0
JOB_SECONDS = 60.0
FRAMES = 4


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
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The service that most tests share. It ends as users end it, which is a test as well."""
    service = RunningService(tmp_path_factory.mktemp("service") / "connection.json")
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


@pytest.fixture(scope="session")
def make_job(tiny_model_folder: Path) -> Callable[..., tuple[Submit, list[bytes]]]:
    """make_job(**fields of the request): a job for two cameras that move apart, ready to be sent."""

    def make(job_id: str | None = None, frames: int = FRAMES, **fields: object) -> tuple[Submit, list[bytes]]:
        request = GenerateRequest(
            prompt="a red cube",
            view_names=("left", "right"),
            width=64,
            height=64,
            model=str(tiny_model_folder),
            num_inference_steps=3,
        )
        return pack_submit(msgspec.structs.replace(request, **fields), *cameras(frames), job_id)

    return make


def cameras(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """c2w (2, frames, 4, 4) and K (2, frames, 3, 3): from one pose to the left and to the right."""
    c2w = np.tile(np.eye(4), (2, frames, 1, 1))
    c2w[0, :, 0, 3] = np.linspace(0, -0.5, frames)
    c2w[1, :, 0, 3] = np.linspace(0, 0.5, frames)
    K = np.tile(np.array([[60.0, 0, 32], [0, 60, 32], [0, 0, 1]]), (2, frames, 1, 1))
    return c2w, K


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


def outcome(client: Client, job_id: str) -> tuple[Message, dict[int, list[bytes]]]:
    """A job's last message, and its frames by view."""
    received = until(client, lambda m: isinstance(m, Done | Failed | Cancelled) and m.job_id == job_id)
    frames = {m.view: [bytes(b) for b in buffers] for m, buffers in received if isinstance(m, Frames)}
    return received[-1][0], frames
