"""The session: what scripts wait for, and how finished takes are imported. The socket thread is played."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.addon_jobs import submission

from blender_addon.problem import AddonError, Problem
from blender_addon.protocol.messages import Accepted, Cancelled, ErrorInfo, Failed, Welcome
from blender_addon.service import session as session_module
from blender_addon.service.backend_process import Launch
from blender_addon.service.commands import CancelJob, Command, StopService, SubmitJob
from blender_addon.service.events import BackendReady, BackendStopped, Event, TakeWritten
from blender_addon.service.pending import PendingJob
from blender_addon.service.session import BusyError, GenerationFailedError, Session

READY = BackendReady(Welcome(session="s", service_version="1", device="cpu", models=()), Path("log"), own=False)


class PlayedLink:
    """A link without a thread: tests put its events in and read its commands."""

    made: PlayedLink

    def __init__(self, launch: Launch, client_name: str, jobs: Iterable[PendingJob] = ()) -> None:
        self.jobs = tuple(jobs)
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.told: list[Command] = []
        PlayedLink.made = self

    def start(self) -> None:
        self.events.put(READY)

    def tell(self, command: Command) -> None:
        self.told.append(command)

    def join(self, timeout: float) -> None:
        pass


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session whose backend is ready."""
    monkeypatch.setattr(session_module, "ServiceLink", PlayedLink)
    session = Session()
    start(session)
    return session


def start(session: Session) -> PlayedLink:
    session.start_backend(Launch(Path("service"), os.getpid()), "test")
    session.tick()
    return PlayedLink.made


class Imports:
    """Counts the steps of imports, by the folder's name."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def __call__(self, folder: Path) -> Iterator[None]:
        for _ in range(2):
            self.steps.append(folder.name)
            yield


def generate(session: Session, import_take: Any = lambda folder: iter(())) -> str:
    return session.generate(submission(Path("takes")), import_take)


def test_each_job_is_waited_for_by_its_id(session: Session) -> None:
    imports = Imports()
    first, second = generate(session, imports), generate(session, imports)
    link = PlayedLink.made
    assert [command.job_id for command in link.told if isinstance(command, SubmitJob)] == [first, second]
    link.events.put(Accepted(job_id=first, position=0))
    link.events.put(TakeWritten(second, Path("two")))
    link.events.put(TakeWritten(first, Path("one")))
    assert session.last_job == second
    assert session.wait(timeout=5) == Path("two")
    assert session.wait(timeout=5, job_id=first) == Path("one")
    assert imports.steps == ["two", "two", "one", "one"]


def test_the_outcome_decides_and_no_message_does(session: Session) -> None:
    failed, cancelled, done = generate(session), generate(session), generate(session)
    link = PlayedLink.made
    link.events.put(Failed(job_id=failed, error=ErrorInfo(code="checkpoint", message="It is broken.")))
    link.events.put(Cancelled(job_id=cancelled))
    link.events.put(TakeWritten(done, Path("take")))
    assert session.wait(timeout=5) == Path("take")
    assert session.state.problem
    assert session.state.notice
    with pytest.raises(GenerationFailedError, match="broken"):
        session.wait(timeout=5, job_id=failed)
    with pytest.raises(GenerationFailedError, match="cancelled"):
        session.wait(timeout=5, job_id=cancelled)


def eager(folder: Path) -> Iterator[None]:
    raise AddonError("The scene is closed.", "Open it.")


def later(folder: Path) -> Iterator[None]:
    yield
    raise ZeroDivisionError("a mistake")


@pytest.mark.parametrize(("import_take", "message"), [(eager, "scene is closed"), (later, "could not be shown")])
def test_an_import_that_fails_is_told_and_stops_nothing(session: Session, import_take: Any, message: str) -> None:
    spoilt, fine = generate(session, import_take), generate(session)
    for job_id in (spoilt, fine):
        PlayedLink.made.events.put(TakeWritten(job_id, Path(job_id)))
    assert session.wait(timeout=5, job_id=fine) == Path(fine)
    with pytest.raises(GenerationFailedError, match=message):
        session.wait(timeout=5, job_id=spoilt)
    assert session.state.takes[spoilt] == Path(spoilt)


def test_a_job_whose_backend_is_gone_ends_the_wait_and_is_asked_for_by_the_next_start(session: Session) -> None:
    job_id = generate(session)
    pending = PendingJob(job_id, submission(Path("takes")))
    PlayedLink.made.events.put(BackendStopped(Problem("backend_ended", "It died."), (pending,)))
    with pytest.raises(GenerationFailedError, match="It died"):
        session.wait(timeout=5)
    link = start(session)
    assert link.jobs == (pending,)
    link.events.put(TakeWritten(job_id, Path("take")))
    assert session.wait(timeout=5) == Path("take")


def test_leaving_a_service_that_goes_on_says_how_to_get_the_take(session: Session) -> None:
    job_id = generate(session)
    session.stop_backend()
    assert PlayedLink.made.told[-1] == StopService()
    PlayedLink.made.events.put(BackendStopped(None, (PendingJob(job_id, submission(Path("takes"))),)))
    with pytest.raises(GenerationFailedError, match="goes on"):
        session.wait(timeout=5)
    assert session.state.problem is None


def test_cancel_names_one_job_or_all(session: Session) -> None:
    first, second, third = (generate(session) for _ in range(3))
    session.cancel(second)
    assert PlayedLink.made.told[-1] == CancelJob(second)
    session.cancel()
    cancelled = [command.job_id for command in PlayedLink.made.told if isinstance(command, CancelJob)]
    assert cancelled == [second, first, second, third]
    assert all(job.cancelling for job in session.state.jobs.values())


def test_a_job_that_waits_for_a_backend_can_be_dropped(session: Session) -> None:
    job_id = generate(session)
    PlayedLink.made.events.put(BackendStopped(None, (PendingJob(job_id, submission(Path("takes"))),)))
    session.tick()
    session.cancel(job_id)
    assert session.state.jobs == {}
    assert start(session).jobs == ()


def test_without_a_backend_nothing_is_generated(session: Session) -> None:
    PlayedLink.made.events.put(BackendStopped())
    session.tick()
    with pytest.raises(BusyError, match="not running"):
        generate(session)
    with pytest.raises(GenerationFailedError, match="No generation"):
        session.wait(timeout=5)


def test_a_wait_ends_in_time(session: Session) -> None:
    generate(session)
    with pytest.raises(TimeoutError):
        session.wait(timeout=0.1)


def test_close_leaves_a_session_as_new(session: Session) -> None:
    generate(session)
    session.close()
    assert PlayedLink.made.told[-1] == StopService()
    assert (session.active, session.backend_started, session.state.jobs, session.last_job) == (False, False, {}, None)
