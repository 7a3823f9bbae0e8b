"""When a job runs again and when it fails, with an executor that says what the test wrote down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest
from support.cameras import parting_cameras
from support.fake_executor import MADE, FakeExecutor

from backend.executors.events import Ended, Event, Lost, Progressed, Received, RunJob, Saved, ViewFinished, Warned
from backend.run import Run
from backend.store import Store
from protocol.messages import ErrorInfo, GenerateRequest, JobInfo, JobProgress, Message, ViewFrames
from protocol.takes import TAKE_FILE
from protocol.wire import Bytes, describe_array

FRAMES = 3
REQUEST = GenerateRequest(prompt="", view_names=("a", "b"), width=16, height=8, model="tiny")
JOB = JobInfo(job_id="a", state="running", request=REQUEST, submitted=1.0, started=2.0)
LOST = Lost(job_id="a", error=ErrorInfo(code="worker_died", message="It died."))
SAVED = Saved(job_id="a")
STEP = Progressed(job_id="a", stage="denoising", step=1, of=2)
DONE = Ended(job_id="a", state="done", made=MADE)


class ScriptedExecutor:
    """Says one list of events in each run. on_event: called with each event after the service has followed it."""

    def __init__(self, *runs: list[Event]) -> None:
        self.runs = list(runs)
        self.commands: list[RunJob] = []
        self.cancelled: list[str] = []
        self.on_event = lambda event: None

    async def run(self, job: RunJob, buffers: list[Bytes]) -> AsyncGenerator[Received, None]:
        self.commands.append(job)
        for event in self.runs.pop(0):
            images: list[Bytes] = []
            if isinstance(event, ViewFinished):
                files, latents = FakeExecutor.view(0, event.view, FRAMES, 16, 8)
                images = [*files, describe_array(latents)[1]]
            yield event, images
            self.on_event(event)

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)


def view(number: int) -> ViewFinished:
    latents = FakeExecutor.view(0, number, FRAMES, 16, 8)[1]
    return ViewFinished(job_id="a", view=number, latents=describe_array(latents)[0])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "jobs", tmp_path / "lock")
    store.load(0.0)
    store.create(JOB, *parting_cameras(2, FRAMES, 16, 8))
    return store


def carry_out(store: Store, executor: ScriptedExecutor, cancel_after: Event | None = None) -> tuple[JobInfo, list]:
    """The job as it ended, and what its listeners heard."""
    heard: list[Message] = []

    async def tell(message: Message, buffers: Sequence[Bytes]) -> None:
        heard.append(message)

    run = Run(JOB, executor, store, tell)
    if cancel_after is not None:
        executor.on_event = lambda event: run.cancel() if event == cancel_after else None
    return asyncio.run(run.carry_out()), heard


def test_a_job_that_is_done_is_kept_as_a_take(store: Store) -> None:
    job, heard = carry_out(store, ScriptedExecutor([STEP, view(0), view(1), DONE]))
    assert (job.state, job.made, job.error) == ("done", MADE, None)
    assert [type(message) for message in heard] == [JobProgress, ViewFrames, ViewFrames]
    assert (store.state_file("a").parent / TAKE_FILE).is_file()
    assert len(list(store.views("a"))) == 2


def test_a_job_runs_again_after_a_loss_and_is_heard_of_once(store: Store) -> None:
    warned = Warned(job_id="a", warning="too long")
    executor = ScriptedExecutor([warned, STEP, view(0), LOST], [warned, STEP, view(0), view(1), DONE])
    job, heard = carry_out(store, executor)
    assert job.state == "done"
    assert executor.commands[0] == executor.commands[1]
    assert executor.commands[0].state_file == str(store.state_file("a"))
    assert [m.view for m in heard if isinstance(m, ViewFrames)] == [0, 1]
    assert [m.warning for m in heard if isinstance(m, JobProgress)].count("too long") == 1


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        ([[LOST], [LOST]], "failed"),
        ([[SAVED, LOST], [STEP, LOST]], "failed"),
        ([[SAVED, LOST], [SAVED, LOST], [SAVED, LOST], [LOST]], "failed"),
        ([[LOST], [SAVED, LOST], [view(0), view(1), DONE]], "done"),
        ([[SAVED, LOST], [SAVED, LOST], [SAVED, LOST], [view(0), view(1), DONE]], "done"),
    ],
)
def test_two_deaths_without_a_saved_step_between_end_a_job(store: Store, runs: list[list[Event]], state: str) -> None:
    executor = ScriptedExecutor(*runs)
    job, _ = carry_out(store, executor)
    assert job.state == state
    assert job.error == (LOST.error if state == "failed" else None)
    assert executor.runs == []


def test_a_job_that_is_cancelled_does_not_run_again(store: Store) -> None:
    executor = ScriptedExecutor([STEP, LOST], [DONE])
    job, _ = carry_out(store, executor, cancel_after=STEP)
    assert job.state == "cancelled"
    assert executor.cancelled == ["a"]
    assert len(executor.commands) == 1


def test_a_view_that_the_disk_refuses_ends_the_job_but_is_sent(store: Store) -> None:
    (store.state_file("a").parent / "view_00").write_bytes(b"a file where a folder belongs")
    executor = ScriptedExecutor([view(0), Ended(job_id="a", state="cancelled")])
    job, heard = carry_out(store, executor)
    assert (job.state, job.error.code) == ("failed", "disk")
    assert executor.cancelled == ["a"]
    assert isinstance(heard[0], ViewFrames)


def test_a_take_that_the_disk_refuses_fails_the_job(store: Store) -> None:
    (store.state_file("a").parent / TAKE_FILE).mkdir()
    job, heard = carry_out(store, ScriptedExecutor([view(0), view(1), DONE]))
    assert (job.state, job.error.code, job.made) == ("failed", "disk", None)
    assert len(heard) == 2


def test_the_state_is_gone_when_the_job_is_over(store: Store) -> None:
    for name in ("sampler.safetensors", ".sampler.safetensors-0123"):
        (store.state_file("a").parent / name).write_bytes(b"state")
    carry_out(store, ScriptedExecutor([LOST], [LOST]))
    assert not list(store.state_file("a").parent.glob("*sampler*"))
