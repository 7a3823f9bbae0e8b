"""The socket thread against services that a test plays. The real service: test_real_service.py."""

from __future__ import annotations

import os
import queue
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.addon_jobs import TINY, VIEWS, done_message, submission, view_message
from support.scripted_service import ScriptedService

from blender_addon.protocol.connection import Installation, write_installation
from blender_addon.protocol.heartbeat import Backoff
from blender_addon.protocol.messages import (
    Accepted,
    Cancel,
    ErrorInfo,
    Failed,
    FetchResult,
    JobProgress,
    Shutdown,
    Submit,
)
from blender_addon.service.backend_process import Launch
from blender_addon.service.commands import CancelJob, StopService, SubmitJob
from blender_addon.service.events import BackendLost, BackendReady, BackendStarting, BackendStopped, TakeWritten
from blender_addon.service.service_link import ServiceLink

SECONDS = 20.0


class Harness:
    """A link of this process, a place for the user's own service, and the events so far."""

    def __init__(self, tmp_path: Path) -> None:
        self.connection_file = tmp_path / "home" / "connection.json"
        self.takes = tmp_path / "takes"
        self.launch = Launch(folder=tmp_path / "own", parent_pid=os.getpid())
        self.links: list[ServiceLink] = []

    def service(self) -> ScriptedService:
        """A service that runs already."""
        return ScriptedService(self.connection_file, [TINY])

    def start(self, *jobs: Any) -> ServiceLink:
        link = ServiceLink(self.launch, "test", jobs)
        link.start()
        self.links.append(link)
        return link

    def submit(self, link: ServiceLink, job_id: str) -> None:
        link.tell(SubmitJob(job_id, submission(self.takes)))


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    monkeypatch.setenv("CVD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Backoff, "FIRST", 0.1)
    harness = Harness(tmp_path)
    yield harness
    for link in harness.links:
        link.tell(StopService())
        link.join(SECONDS)


def next_event(link: ServiceLink, kind: type, service: ScriptedService | None = None) -> Any:
    """The next event, which has to be of this kind. service: answers greetings and pings meanwhile."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            event = link.events.get_nowait()
        except queue.Empty:
            if service:
                assert service.serve(0.05) == []
            else:
                time.sleep(0.02)
        else:
            assert isinstance(event, kind), event
            return event
    raise TimeoutError(f"No {kind.__name__} came.")


def finish(service: ScriptedService, job_id: str) -> None:
    for view in range(VIEWS):
        service.say(*view_message(job_id, view))
    service.say(done_message(job_id))


def test_it_uses_a_service_that_runs_already_and_leaves_it_running(harness: Harness) -> None:
    with harness.service() as service:
        link = harness.start()
        ready = next_event(link, BackendReady, service)
        assert (ready.own, ready.welcome.models, ready.log_path) == (False, (TINY,), Path("service.log"))
        harness.submit(link, "job")
        message, _ = service.take()
        assert isinstance(message, Submit)
        service.say(Accepted(job_id="job", position=0))
        next_event(link, Accepted, service)
        link.tell(StopService())
        stopped = next_event(link, BackendStopped, service)
        assert stopped.problem is None
        assert [job.job_id for job in stopped.unfinished] == ["job"]
        assert not [said for said in service.serve(0.3) if isinstance(said, Shutdown)]


def test_it_prefers_the_users_own_service_to_what_an_earlier_link_left(harness: Harness) -> None:
    with ScriptedService(harness.launch.connection_file, [TINY]) as left:
        link = harness.start()
        assert next_event(link, BackendReady, left).own
        link.tell(StopService())
        assert isinstance(left.take()[0], Shutdown)
        with harness.service() as service:
            second = harness.start()
            assert not next_event(second, BackendReady, service).own


def test_messages_of_other_jobs_are_ignored(harness: Harness) -> None:
    with harness.service() as service:
        link = harness.start()
        next_event(link, BackendReady, service)
        harness.submit(link, "ours")
        service.take()
        for job_id in ("other", "ours"):
            service.say(Accepted(job_id=job_id, position=0))
            service.say(JobProgress(job_id=job_id, stage="denoising", step=1, of=1))
            finish(service, job_id)
        assert next_event(link, Accepted, service).job_id == "ours"
        assert next_event(link, JobProgress, service).job_id == "ours"
        assert next_event(link, TakeWritten, service) == TakeWritten("ours", harness.takes / "take_0001")
        assert len(list(harness.takes.iterdir())) == 1


def test_a_lost_connection_is_made_anew_and_jobs_are_asked_for_again(harness: Harness) -> None:
    with harness.service() as first:
        link = harness.start()
        next_event(link, BackendReady, first)
        for job_id in ("a", "b"):
            harness.submit(link, job_id)
            first.take()
        first.say(Accepted(job_id="a", position=0))
        next_event(link, Accepted, first)
    next_event(link, BackendLost)
    time.sleep(0.5)  # attempts in vain
    with harness.service() as second:  # with another address and other keys
        asked = [second.take()[0] for _ in range(2)]
        assert [(type(message), message.job_id) for message in asked] == [(FetchResult, "a"), (Submit, "b")]
        assert not next_event(link, BackendReady, second).own
        finish(second, "a")
        finish(second, "b")
        assert [next_event(link, TakeWritten, second).job_id for _ in range(2)] == ["a", "b"]


def test_without_jobs_a_lost_service_is_told_at_once(harness: Harness) -> None:
    with harness.service() as service:
        link = harness.start()
        next_event(link, BackendReady, service)
    stopped = next_event(link, BackendStopped)
    assert (stopped.problem.code, stopped.unfinished) == ("lost", ())


def test_the_artist_ends_the_wait_for_a_lost_service_and_the_next_start_goes_on(harness: Harness) -> None:
    with harness.service() as service:
        link = harness.start()
        next_event(link, BackendReady, service)
        harness.submit(link, "job")
        service.take()
    next_event(link, BackendLost)
    link.tell(StopService())
    stopped = next_event(link, BackendStopped)
    assert stopped.problem is None
    with harness.service() as service:
        second = harness.start(*stopped.unfinished)
        assert service.take()[0].job_id == "job"
        next_event(second, BackendReady, service)
        second.tell(CancelJob("job"))
        assert isinstance(service.take()[0], Cancel)


def test_a_service_that_forgot_a_job_gets_it_again(harness: Harness) -> None:
    with harness.service() as first:
        link = harness.start()
        next_event(link, BackendReady, first)
        harness.submit(link, "job")
        first.take()
        first.say(Accepted(job_id="job", position=0))
        next_event(link, Accepted, first)
    next_event(link, BackendLost)
    with harness.service() as second:
        fetch, _ = second.take()
        second.say(Failed(reply_to=fetch.id, error=ErrorInfo(code="unknown_job", message="There is no such job.")))
        submit, buffers = second.take()
        assert (type(submit), submit.job_id, len(buffers)) == (Submit, "job", 2)


def broken_file(harness: Harness) -> None:
    harness.connection_file.parent.mkdir()
    harness.connection_file.write_text("{}")


def stale_file(harness: Harness) -> None:
    harness.service().close()


def shared_file(harness: Harness) -> None:
    stale_file(harness)
    harness.connection_file.chmod(0o644)


@pytest.mark.parametrize("leave", [broken_file, stale_file, shared_file, lambda harness: None])
def test_where_nothing_answers_it_starts_its_own_service(
    harness: Harness, tmp_path: Path, leave: Callable[[Harness], None]
) -> None:
    """The service here ends at once, and says why."""
    leave(harness)
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "__main__.py").write_text("raise SystemExit('no room for the model')")
    write_installation(Installation(python=sys.executable, project=str(tmp_path), version="test"))
    link = harness.start()
    harness.submit(link, "job")
    assert next_event(link, BackendStarting).log_path == harness.launch.log_path
    stopped = next_event(link, BackendStopped)
    assert (stopped.problem.code, stopped.problem.details) == ("backend_start", "no room for the model")
    assert stopped.unfinished == (), "a job that was never sent fails with the backend"
