"""Messages over a pair of pipes: a JSON header, and raw buffers behind it.

A message is a count of frames (4 bytes), each frame's length (8 bytes), and then the frames. Numbers are little-endian.
The first frame is the header.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import IO, Any

import msgspec

from protocol.errors import MalformedMessageError, MessageTooLargeError
from protocol.wire import MAX_BUFFER_BYTES, MAX_BUFFERS, Bytes, check_sizes


def write_message(stream: IO[bytes], message: msgspec.Struct, buffers: Sequence[Bytes] = ()) -> None:
    """Write one message and flush it.

    Raises MessageTooLargeError before anything is written, or OSError when the other end is closed.
    """
    frames: list[Bytes] = [msgspec.json.encode(message), *buffers]
    check_sizes(frames)
    lengths = [memoryview(frame).nbytes for frame in frames]
    stream.write(struct.pack(f"<I{len(frames)}Q", len(frames), *lengths))
    for frame in frames:
        stream.write(frame)
    stream.flush()


def read_message(stream: IO[bytes], types: Any) -> tuple[Any, list[Bytes]] | None:
    """The next message and its buffers, or None when the other end is closed, even in the middle of a message.

    types: the struct, or the union of structs, that may arrive. After an error, do not read the stream any further.

    Raises:
        MessageTooLargeError: the numbers cannot be those of a message.
        MalformedMessageError: the header is none of `types`.
    """
    prefix = stream.read(4)
    if len(prefix) < 4:
        return None
    (count,) = struct.unpack("<I", prefix)
    if not 1 <= count <= MAX_BUFFERS + 1:
        raise MessageTooLargeError(f"A message of {count} frames came through the pipe.")
    table = stream.read(8 * count)
    if len(table) < 8 * count:
        return None
    lengths = struct.unpack(f"<{count}Q", table)
    if max(lengths) > MAX_BUFFER_BYTES:
        raise MessageTooLargeError(f"A frame of {max(lengths)} bytes came through the pipe.")
    frames: list[Bytes] = [stream.read(length) for length in lengths]
    if any(len(frame) != length for frame, length in zip(frames, lengths, strict=True)):
        return None
    header, *buffers = frames
    try:
        return msgspec.json.decode(header, type=types), buffers
    except msgspec.MsgspecError as error:
        raise MalformedMessageError(f"A message that is not valid came through the pipe: {error}.") from error
