"""Messages over a pair of pipes, in the frames they would have on a socket.

A message is a count of frames (4 bytes), each frame's length (8 bytes, all little-endian), then the frames.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import IO

from protocol.errors import MessageTooLargeError
from protocol.wire import MAX_BUFFER_BYTES, MAX_BUFFERS, Bytes


def write_frames(stream: IO[bytes], frames: Sequence[Bytes]) -> None:
    """Write one message and flush it. Raises OSError when the other end is closed."""
    lengths = [memoryview(frame).nbytes for frame in frames]
    stream.write(struct.pack(f"<I{len(frames)}Q", len(frames), *lengths))
    for frame in frames:
        stream.write(frame)
    stream.flush()


def read_frames(stream: IO[bytes]) -> list[Bytes] | None:
    """The frames of the next message, or None when the other end is closed, be it in the middle of a message.

    Raises MessageTooLargeError for numbers that cannot be a message's: then the stream is not to be read any further.
    """
    prefix = stream.read(4)
    if len(prefix) < 4:
        return None
    (count,) = struct.unpack("<I", prefix)
    if count > MAX_BUFFERS + 1:
        raise MessageTooLargeError(f"A message of {count} frames came through the pipe.")
    table = stream.read(8 * count)
    if len(table) < 8 * count:
        return None
    lengths = struct.unpack(f"<{count}Q", table)
    if max(lengths, default=0) > MAX_BUFFER_BYTES:
        raise MessageTooLargeError(f"A frame of {max(lengths)} bytes came through the pipe.")
    frames: list[Bytes] = [stream.read(length) for length in lengths]
    return frames if all(len(frame) == length for frame, length in zip(frames, lengths, strict=True)) else None
