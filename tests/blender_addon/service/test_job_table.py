"""What is asked of the service for each job, and what its answers become."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.addon_jobs import TINY, VIEWS, done_message, submission, view_message

from blender_addon.protocol.errors import ServiceLostError
from blender_addon.protocol.messages import (
    Accepted,
    Cancel,
    Cancelled,
    ErrorInfo,
    Failed,
    FetchResult,
    JobProgress,
    Message,
    Submit,
)
from blender_addon.protocol.takes import read_record
from blender_addon.protocol.wire import Bytes, encode
from blender_addon.service.events import JobEvent, TakeWritten
from blender_addon.service.job_table import Connected, JobTable
from blender_addon.service.pending import PendingJob


class Fixture:
    """A table, what it sends and what it reports."""

    def __init__(self, *jobs: PendingJob) -> None:
        self.sent: list[Message] = []
        self.events: list[JobEvent] = []
        self.table = JobTable(jobs, self.events.append)

    def send(self, message: Message, buffers: Sequence[Bytes]) -> None:
        encode(message, buffers)  # as the client does: what is not valid is an error
        self.sent.append(message)

    def connect(self) -> Fixture:
        self.sent.clear()
        self.table.connect(Connected(self.send, (TINY,)))
        return self

    def submit(self, *job_ids: str, folder: Path, **fields: object) -> Fixture:
        for job_id in job_ids:
            self.table.submit(PendingJob(job_id, submission(folder, **fields)))
        return self

    def said(self) -> list[tuple[type[Message], str]]:
        return [(type(message), message.job_id) for message in self.sent]


def test_jobs_wait_for_a_service_and_are_sent_in_order(tmp_path: Path) -> None:
    fixture = Fixture().submit("a", "b", folder=tmp_path)
    assert fixture.sent == []
    assert fixture.connect().said() == [(Submit, "a"), (Submit, "b")]
    assert fixture.submit("c", folder=tmp_path).said()[-1] == (Submit, "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take_0001", "take_0002", "take_0003"]


def test_each_job_fills_its_own_folder(tmp_path: Path) -> None:
    fixture = Fixture().connect().submit("a", "b", folder=tmp_path)
    for view in range(VIEWS):
        for job_id in "ab":
            fixture.table.handle(*view_message(job_id, view))
    for job_id in "ba":
        fixture.table.handle(done_message(job_id), ())
    assert fixture.events == [TakeWritten("b", tmp_path / "take_0002"), TakeWritten("a", tmp_path / "take_0001")]
    assert read_record(tmp_path / "take_0002").job_id == "b"
    assert not fixture.table


def test_messages_of_other_jobs_are_not_ours(tmp_path: Path) -> None:
    fixture = Fixture().connect().submit("ours", folder=tmp_path)
    error = ErrorInfo(code="checkpoint", message="broken")
    others: list[tuple[Message, Sequence[Bytes]]] = [
        (Accepted(job_id="other", position=3), ()),
        (JobProgress(job_id="other", stage="denoising", step=1, of=2), ()),
        view_message("other", 0),
        (done_message("other"), ()),
        (Failed(job_id="other", error=error), ()),
        (Failed(job_id="other", error=error, reply_to=fixture.sent[0].id), ()),
        (Failed(error=error, reply_to="another-message"), ()),
        (Failed(error=error), ()),
        (Cancelled(job_id="other"), ()),
    ]
    for message, buffers in others:
        fixture.table.handle(message, buffers)
    assert fixture.events == []
    assert [path.name for path in tmp_path.rglob("*")] == ["take_0001"]
    assert len(fixture.table.unfinished()) == 1


def test_accepted_jobs_are_fetched_and_the_others_sent_again_after_a_lost_connection(tmp_path: Path) -> None:
    fixture = Fixture().connect().submit("a", "b", folder=tmp_path)
    fixture.table.handle(Accepted(job_id="a", position=0), ())
    fixture.table.disconnect()
    assert fixture.connect().said() == [(FetchResult, "a"), (Submit, "b")]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_service_that_does_not_know_a_job_gets_the_whole_of_it(tmp_path: Path) -> None:
    fixture = Fixture().connect().submit("a", folder=tmp_path)
    fixture.table.handle(Accepted(job_id="a", position=0), ())
    fixture.table.disconnect()
    fixture.connect()
    unknown = Failed(reply_to=fixture.sent[0].id, error=ErrorInfo(code="unknown_job", message="It is not here."))
    fixture.table.handle(unknown, ())
    assert fixture.said() == [(FetchResult, "a"), (Submit, "a")]
    assert [type(event) for event in fixture.events] == [Accepted]


def test_unfinished_jobs_go_over_to_the_next_table(tmp_path: Path) -> None:
    first = Fixture().connect().submit("a", folder=tmp_path)
    first.table.handle(Accepted(job_id="a", position=0), ())
    second = Fixture(*first.table.unfinished())
    assert second.connect().said() == [(FetchResult, "a")]


def test_the_service_confirms_a_cancelled_job(tmp_path: Path) -> None:
    fixture = Fixture().connect().submit("a", "b", folder=tmp_path)
    fixture.table.cancel("a")
    assert fixture.said()[-1] == (Cancel, "a")
    assert fixture.events == []
    fixture.table.handle(Cancelled(job_id="a"), ())
    assert [event.job_id for event in fixture.events] == ["a"]
    assert [job.job_id for job in fixture.table.unfinished()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["take_0002"]


def test_a_job_that_was_never_sent_is_cancelled_at_once(tmp_path: Path) -> None:
    fixture = Fixture().submit("a", folder=tmp_path)
    fixture.table.cancel("a")
    assert fixture.events == [Cancelled(job_id="a", id=fixture.events[0].id)]
    assert fixture.connect().sent == []


def test_a_wish_to_cancel_outlives_the_connection(tmp_path: Path) -> None:
    fixture = Fixture().connect().submit("a", folder=tmp_path)
    fixture.table.handle(Accepted(job_id="a", position=0), ())
    fixture.table.disconnect()
    fixture.table.cancel("a")
    assert fixture.connect().said() == [(FetchResult, "a"), (Cancel, "a")]
    fixture.table.disconnect()
    fixture.table.abandon()
    assert [type(event) for event in fixture.events] == [Accepted, Cancelled]


def test_a_refused_request_fails_its_job_only(tmp_path: Path) -> None:
    fixture = Fixture().connect().submit("a", "b", folder=tmp_path)
    refused = Failed(reply_to=fixture.sent[0].id, error=ErrorInfo(code="malformed", message="No."))
    fixture.table.handle(refused, ())
    (event,) = fixture.events
    assert (event.job_id, event.error.message) == ("a", "No.")
    assert [path.name for path in tmp_path.iterdir()] == ["take_0002"]


def test_what_cannot_be_sent_fails_with_the_reason(tmp_path: Path) -> None:
    fixture = Fixture().connect()
    fixture.submit("a", folder=tmp_path, model="mine")
    fixture.submit("b", folder=tmp_path, prompt="x" * 9000)
    (tmp_path / "file").write_text("in the way")
    fixture.submit("c", folder=tmp_path / "file")
    assert [(event.job_id, event.error.code) for event in fixture.events] == [
        ("a", "settings"),
        ("b", "malformed"),
        ("c", "disk"),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_two_jobs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    fixture = Fixture().connect().submit("a", "b", folder=tmp_path, take_folder=tmp_path / "v001")
    (event,) = fixture.events
    assert (event.job_id, event.error.code) == ("b", "take_folder")
    assert fixture.said() == [(Submit, "a")]
    assert (tmp_path / "v001").is_dir()


def test_a_full_disk_cancels_the_job_and_is_told(tmp_path: Path) -> None:
    fixture = Fixture().connect().submit("a", folder=tmp_path)
    (tmp_path / "take_0001").rmdir()
    (tmp_path / "take_0001").write_text("no room")
    fixture.table.handle(*view_message("a", 0))
    (event,) = fixture.events
    assert (event.job_id, event.error.code) == ("a", "disk")
    assert "free space" in event.error.hint
    assert fixture.said()[-1] == (Cancel, "a")
    fixture.table.handle(*view_message("a", 1))
    fixture.table.handle(Cancelled(job_id="a"), ())
    assert len(fixture.events) == 1


def test_a_lost_connection_while_sending_keeps_the_job(tmp_path: Path) -> None:
    table = JobTable((), lambda event: None)

    def send(message: Message, buffers: Sequence[Bytes]) -> None:
        raise ServiceLostError("It takes no more messages.")

    table.connect(Connected(send, (TINY,)))
    with pytest.raises(ServiceLostError):
        table.submit(PendingJob("a", submission(tmp_path)))
    assert len(table.unfinished()) == 1
