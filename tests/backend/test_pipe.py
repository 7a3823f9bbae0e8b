"""Messages through pipes."""

import io
import struct

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
