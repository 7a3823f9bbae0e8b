"""How the service starts and ends, and what stays."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.cli import main
from backend.lifetime import WatchedProcess
from protocol.client import Client
from protocol.messages import Done, FetchResult, JobsRequest, StatusRequest, Welcome

from .conftest import LONG, RunningService, Views, denoising, make_job, outcome, run_command, submit, until, wait_for


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_crash_loses_no_result_and_the_parents_end_ends_it(
    tmp_path: Path, models_folder: Path, parent: subprocess.Popen[bytes]
) -> None:
    """One story in two starts, because a start takes seconds."""
    connection_file = tmp_path / "connection.json"
    models = ("--models", str(models_folder))
    first = RunningService(connection_file, *models)
    try:
        with first.client() as client:
            finished = submit(client, make_job(seed=1))
            _, views = outcome(client, finished)
            broken_off = submit(client, make_job(num_inference_steps=LONG))
            until(client, denoising)
        worker = WatchedProcess(first.worker().pid)
        first.process.kill()
        wait_for(worker.is_gone, 5)  # no orphan keeps the GPU
    finally:
        first.end()

    connection_file.unlink()  # the crash left it behind
    second = RunningService(connection_file, *models, "--parent-pid", str(parent.pid))
    try:
        with second.client() as client:
            results_are_kept(client, finished, views, broken_off)
            # All this before the process that owns the model has started.
            assert isinstance(client.welcome, Welcome)
            assert [model.name for model in client.welcome.models] == ["starter", "damaged", "other", "tiny"]
            status, _ = client.request(StatusRequest())
            assert (status.worker, status.device) == ("starting", "")
            parent.kill()
            listen_for(client, seconds=2.5)
            unfinished = submit(client, make_job(num_inference_steps=LONG))  # a client's service stays
            until(client, denoising)
        assert second.process.wait(15) == 0
        assert not connection_file.exists()
        record = next(tmp_path.glob(f"jobs/*-{unfinished}/job.json"))
        assert '"cancelled"' in record.read_text()
    finally:
        second.end()


def results_are_kept(client: Client, finished: str, views: Views, broken_off: str) -> None:
    """What a service that crashed had finished is there to fetch; what it had not is failed with a reason."""
    client.send(FetchResult(job_id=finished))
    last, again = outcome(client, finished)
    assert isinstance(last, Done)
    assert again == views
    client.send(FetchResult(job_id=broken_off))
    last, _ = outcome(client, broken_off)
    assert last.error.code == "interrupted"
    jobs, _ = client.request(JobsRequest())
    assert [job.state for job in jobs.jobs] == ["done", "failed"]


def listen_for(client: Client, seconds: float) -> None:
    """Nothing but heartbeats."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert client.receive(timeout=0.2) is None


@pytest.mark.slow
def test_commands_against_a_running_service(service: RunningService) -> None:
    where = ("--connection-file", str(service.connection_file))
    status = run_command("status", *where)
    assert (status.returncode, status.stderr) == (0, "")
    assert "worker" in status.stdout
    assert str(service.connection_file.with_suffix(".log")) in status.stdout
    assert run_command("jobs", *where).returncode == 0

    second = run_command("serve", *where)
    assert second.returncode == 1
    assert "running already" in second.stderr
    assert second.stderr.count("\n") == 1
    assert run_command("status", *where).returncode == 0, "the first one is none the worse for it"


@pytest.mark.parametrize("command", ["status", "jobs", "stop"])
def test_commands_without_a_service_fail_in_one_line(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--connection-file", str(tmp_path / "connection.json")]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("error: There is no connection file")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(("--parent-pid", "999999999"), "no process 999999999"), (("--bind", "host:port"), "HOST")],
)
def test_wrong_arguments_are_told_at_once(tmp_path: Path, arguments: tuple[str, ...], reason: str) -> None:
    result = run_command("serve", "--connection-file", str(tmp_path / "connection.json"), *arguments)
    assert result.returncode != 0
    assert reason in result.stderr


def test_a_service_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    result = run_command("serve", "--connection-file", str(tmp_path / "connection.json"), "--device", "cuda")
    assert result.returncode == 1
    reason = result.stderr.splitlines()[-1]
    assert reason.startswith("error: ")
    assert "CUDA" in reason
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "connection.json").exists()
    log = (tmp_path / "connection.log").read_text()
    assert "CUDA" in log
    assert "Traceback" in log


@pytest.mark.parametrize("command", [(), ("serve",), ("status",), ("jobs",), ("stop",)])
def test_every_command_explains_itself(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    assert "usage: python -m backend" in capsys.readouterr().out
