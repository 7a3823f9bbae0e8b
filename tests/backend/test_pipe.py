"""Messages through pipes."""

import io
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.pipe import read_frames, write_frames
from protocol.errors import MessageTooLargeError

messages = st.lists(st.binary(max_size=50), min_size=1, max_size=5)


@given(st.lists(messages, max_size=4))
def test_messages_arrive_in_order_and_whole(sent: list[list[bytes]]) -> None:
    stream = io.BytesIO()
    for frames in sent:
        write_frames(stream, frames)
    stream.seek(0)
    received = []
    while (frames := read_frames(stream)) is not None:
        received.append(frames)
    assert received == sent


@given(messages, st.data())
def test_a_message_cut_short_is_the_end(frames: list[bytes], data: st.DataObject) -> None:
    stream = io.BytesIO()
    write_frames(stream, frames)
    whole = stream.getvalue()
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert read_frames(io.BytesIO(whole[:cut])) is None


@pytest.mark.parametrize("start", [struct.pack("<I", 10_000), struct.pack("<IQ", 1, 2**40)])
def test_absurd_sizes_are_refused_before_memory_is_taken(start: bytes) -> None:
    with pytest.raises(MessageTooLargeError):
        read_frames(io.BytesIO(start + b"printed by a library"))


NOISY_CHILD = """
import os
from backend.pipe import write_frames
from backend.worker import take_standard_streams
source, output = take_standard_streams()
print("a library that prints")
os.system("echo a program that prints")
write_frames(output, [source.read()])
"""


def test_what_libraries_print_does_not_reach_the_pipe() -> None:
    result = subprocess.run(
        [sys.executable, "-c", NOISY_CHILD],
        input=b"echo",
        capture_output=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert read_frames(io.BytesIO(result.stdout)) == [b"echo"]
    assert len(result.stdout) == 4 + 8 + 4
    assert set(result.stderr.splitlines()) == {b"a program that prints", b"a library that prints"}
