"""What becomes of jobs whose worker dies. The service is in this process, the workers are real ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.service_here import ServiceHere

from backend.executors.local import LocalExecutor
from protocol.client import Client
from protocol.messages import Done, Failed, JobProgress, StatusRequest, ViewFrames

from .conftest import denoising, generate, job_info, make_job, submit, until, wait_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")

STEPS = 15


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[ServiceHere]:
    """Its worker saves after every step."""
    folder = tmp_path_factory.mktemp("replaced")
    service = ServiceHere(lambda: LocalExecutor("cpu", models_folder, folder / "log", save_seconds=0.0), folder)
    yield service
    service.stop()


@pytest.fixture
def client(service: ServiceHere) -> Iterator[Client]:
    with service.client() as client:
        yield client


def worker() -> psutil.Process:
    """The process that owns the model."""
    (child,) = (each for each in psutil.Process().children() if "backend.worker" in each.cmdline())
    return child


def kill_worker() -> None:
    """Nobody waits for it here: that is its executor's part."""
    os.kill(worker().pid, signal.SIGKILL)


def test_a_job_goes_on_after_its_worker_was_killed(service: ServiceHere, client: Client) -> None:
    fields = {"num_inference_steps": STEPS, "multistep": 2, "prompt": "a red cube " * 40}
    undisturbed = generate(client, make_job(**fields))
    job_id = submit(client, make_job(**fields))
    state = service.job_folder(job_id) / "sampler.safetensors"
    before = until(client, lambda m: denoising(m) and m.step > 5)
    assert state.exists()
    kill_worker()

    after = until(client, lambda m: isinstance(m, Done | Failed))
    assert isinstance(after[-1][0], Done)
    views = {m.view: [bytes(part) for part in buffers] for m, buffers in after if isinstance(m, ViewFrames)}
    assert views == undisturbed
    calls = [message for message, _ in before + after if denoising(message)]
    assert [call.step for call in calls].count(1) == 1, "it does not begin again"
    assert calls[-1].step == calls[-1].of
    warnings = [m.warning for m, _ in before + after if isinstance(m, JobProgress) and m.warning]
    assert len(warnings) == 1, "said once"
    assert after[-1][0].made.warnings == tuple(warnings), "and kept"
    assert not list(state.parent.glob("*sampler*")), "nothing is left of the state"
    assert job_info(client, job_id).state == "done"


def test_a_worker_killed_while_idle_costs_no_job(client: Client) -> None:
    kill_worker()
    wait_for(lambda: client.request(StatusRequest())[0].worker == "down", 5)
    generate(client, make_job())
