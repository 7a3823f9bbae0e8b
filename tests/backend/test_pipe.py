"""Messages through pipes."""

import io
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.executors.events import CancelJob, Command, JobEvent, Progressed, Saved
from backend.pipe import read_message, write_message
from protocol.errors import MalformedMessageError, MessageTooLargeError
from protocol.wire import MAX_BUFFER_BYTES

steps = st.builds(
    Progressed,
    job_id=st.text(),
    stage=st.sampled_from(["loading", "denoising"]),
    step=st.integers(0, 2**40),
    of=st.integers(0, 2**40),
    seconds_left=st.none() | st.floats(0, 1e9),
)
messages = st.tuples(steps | st.builds(Saved, job_id=st.text()), st.lists(st.binary(max_size=50), max_size=5))


@given(st.lists(messages, max_size=4))
def test_messages_arrive_in_order_and_whole(sent: list[tuple[JobEvent, list[bytes]]]) -> None:
    stream = io.BytesIO()
    for message, buffers in sent:
        write_message(stream, message, buffers)
    stream.seek(0)
    received = []
    while (message := read_message(stream, JobEvent)) is not None:
        received.append(message)
    assert received == sent


@given(messages, st.data())
def test_a_message_cut_short_is_the_end(message: tuple[JobEvent, list[bytes]], data: st.DataObject) -> None:
    stream = io.BytesIO()
    write_message(stream, *message)
    whole = stream.getvalue()
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert read_message(io.BytesIO(whole[:cut]), JobEvent) is None


@pytest.mark.parametrize("start", [struct.pack("<I", 10_000), struct.pack("<I", 0), struct.pack("<IQ", 1, 2**40)])
def test_absurd_sizes_are_refused_before_memory_is_taken(start: bytes) -> None:
    with pytest.raises(MessageTooLargeError):
        read_message(io.BytesIO(start + b"printed by a library"), JobEvent)


def test_what_is_too_large_is_refused_before_anything_is_written() -> None:
    stream = io.BytesIO()
    with pytest.raises(MessageTooLargeError):
        write_message(stream, Saved(job_id="a"), [bytes(MAX_BUFFER_BYTES + 1)])
    assert stream.getvalue() == b""


@pytest.mark.parametrize(
    "header", [b"printed by a library", b"{}", b'{"type": "saved"}', b'{"type": "cancel", "job_id": 1}']
)
def test_another_header_is_refused(header: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        read_message(io.BytesIO(struct.pack("<IQ", 1, len(header)) + header), JobEvent | Command)


NOISY_CHILD = """
import os
from backend.executors.events import CancelJob
from backend.pipe import write_message
from backend.worker import take_standard_streams
source, output = take_standard_streams()
print("a library that prints")
os.system("echo a program that prints")
write_message(output, CancelJob(job_id="a"), [source.read()])
"""


def test_what_libraries_print_does_not_reach_the_pipe() -> None:
    result = subprocess.run(
        [sys.executable, "-c", NOISY_CHILD],
        input=b"echo",
        capture_output=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    stream = io.BytesIO(result.stdout)
    assert read_message(stream, Command) == (CancelJob(job_id="a"), [b"echo"])
    assert stream.read() == b""
    assert set(result.stderr.splitlines()) == {b"a program that prints", b"a library that prints"}
