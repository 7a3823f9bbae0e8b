"""What every executor does: the one with a worker process, and the one of the tests."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import imageio.v3 as iio
import psutil
import pytest
from support.fake_executor import FakeExecutor

from backend.executors import Executor
from backend.executors.events import Ended, Event, Lost, Progressed, Ready, Received, RunJob, ViewFinished
from backend.executors.local import LocalExecutor, WorkerStartError
from backend.translation import run_job, view_parts
from protocol.messages import JobInfo
from protocol.payloads import unpack_cameras

from .conftest import FRAMES, HEIGHT, LONG, WIDTH, make_job


@dataclasses.dataclass(frozen=True)
class Driven:
    """An executor that is started, and the loop that it lives in."""

    executor: Executor
    ready: Ready
    run: Callable[[Awaitable], object]
    folder: Path

    def command(self, **fields: object) -> tuple[RunJob, list[bytes]]:
        """A job for the executor; fields as `make_job` has them."""
        submit, buffers = make_job(**fields)
        job = JobInfo(job_id=submit.job_id, state="running", request=submit.request, submitted=0.0)
        return run_job(job, *unpack_cameras(submit, buffers), state_file=str(self.folder / f"{job.job_id}.safetensors"))

    async def follow(self, command: tuple[RunJob, list[bytes]], on_event: Callable[[Event], None]) -> list[Received]:
        """All that the executor says of a job."""
        received = []
        async for event, buffers in self.executor.run(*command):
            received.append((event, buffers))
            on_event(event)
        return received

    def events(self, on_event: Callable[[Event], None] = lambda event: None, **fields: object) -> list[Event]:
        """What happens in a job."""
        return [event for event, _ in self.run(self.follow(self.command(**fields), on_event))]


def driven(make_executor: Callable[[], Executor], folder: Path) -> Iterator[Driven]:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        executor = make_executor()
        ready = runner.run(executor.start())
        yield Driven(executor, ready, runner.run, folder)
        runner.run(executor.stop())


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[Driven]:
    folder = tmp_path_factory.mktemp("local")
    yield from driven(lambda: LocalExecutor("cpu", models_folder, folder / "log"), folder)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    yield from driven(FakeExecutor, tmp_path_factory.mktemp("fake"))


@pytest.fixture(params=["local", "fake"])
def executor(request: pytest.FixtureRequest) -> Driven:
    return request.getfixturevalue(request.param)


def test_it_says_what_it_can_do(executor: Driven) -> None:
    assert executor.ready.device == "cpu"
    assert "tiny" in [model.name for model in executor.ready.models]
    assert executor.executor.capacity >= 1
    assert executor.executor.state == "idle"


def test_a_job_ends_once_with_all_its_views(executor: Driven) -> None:
    command = executor.command()
    received = executor.run(executor.follow(command, lambda event: None))
    events = [event for event, _ in received]
    assert {event.job_id for event in events} == {command[0].job_id}
    assert isinstance(events[0], Progressed)
    assert [type(event) for event in events].count(Ended) == 1
    last = events[-1]
    assert (last.state, last.error, last.made.model.name) == ("done", None, "tiny")
    assert last.made.settings.num_inference_steps == 3

    views = [(event, buffers) for event, buffers in received if isinstance(event, ViewFinished)]
    assert [event.view for event, _ in views] == [0, 1]
    for event, buffers in views:
        images, latents = view_parts(event, buffers)
        assert [iio.imread(bytes(image)).shape for image in images] == [(HEIGHT, WIDTH, 3)] * FRAMES
        assert latents.shape == (4, FRAMES, HEIGHT // 8, WIDTH // 8)


def test_it_runs_as_many_jobs_at_once_as_it_says(executor: Driven) -> None:
    seen: list[str] = []

    async def run_all() -> list[list[Received]]:
        commands = [executor.command(num_inference_steps=10) for _ in range(executor.executor.capacity)]
        return await asyncio.gather(
            *(executor.follow(each, lambda event: seen.append(event.job_id)) for each in commands)
        )

    results = executor.run(run_all())
    assert [events[-1][0].state for events in results] == ["done"] * executor.executor.capacity
    firsts = [seen.index(job_id) for job_id in dict.fromkeys(seen)]
    assert max(firsts) < executor.executor.capacity, "none waits for another"


def test_a_cancelled_job_ends_as_cancelled_and_the_next_one_is_done(executor: Driven) -> None:
    events = executor.events(lambda event: executor.executor.cancel(event.job_id), num_inference_steps=LONG)
    assert events[-1] == Ended(job_id=events[-1].job_id, state="cancelled")
    assert len(events) < LONG
    assert executor.events()[-1].state == "done"


def test_cancelling_a_job_that_does_not_run_is_nothing(executor: Driven) -> None:
    executor.executor.cancel("nobody")
    assert executor.events()[-1].state == "done"


def test_a_job_that_cannot_be_done_fails_with_a_reason(executor: Driven) -> None:
    last = executor.events(model="nobody")[-1]
    assert (last.state, last.error.code, last.made) == ("failed", "request", None)
    assert last.error.message
    assert last.error.hint
    assert executor.events()[-1].state == "done"


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_a_dead_worker_is_told_and_replaced(local: Driven) -> None:
    (worker,) = (child for child in psutil.Process().children() if "backend.worker" in child.cmdline())
    kill = iter([worker.kill])
    events = local.events(lambda event: next(kill, int)(), num_inference_steps=LONG)
    assert isinstance(events[-1], Lost)
    assert events[-1].error.code == "worker_died"
    assert "SIGKILL" in events[-1].error.message
    assert "smaller" in events[-1].error.hint
    assert local.executor.state == "starting"
    assert local.events()[-1].state == "done"


def test_stopping_ends_what_runs_as_cancelled(executor: Driven) -> None:
    """The last test with these executors."""

    async def stop_in_a_job() -> Event:
        stopping: list[asyncio.Future[None]] = []

        def stop(event: Event) -> None:
            if not stopping:
                stopping.append(asyncio.ensure_future(executor.executor.stop()))

        received = await executor.follow(executor.command(num_inference_steps=LONG), stop)
        await stopping[0]
        return received[-1][0]

    assert executor.run(stop_in_a_job()).state == "cancelled"


def test_a_worker_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")

    async def start() -> None:
        await LocalExecutor("cpu", tmp_path, tmp_path / "the log").start()

    with pytest.raises(WorkerStartError, match="exit code 1") as error:
        asyncio.run(start())
    assert "the log" in error.value.hint
