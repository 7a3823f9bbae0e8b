"""Messages to ZeroMQ multipart frames and back: `[header: UTF-8 JSON][buffer 0][buffer 1]...`.

A reader checks everything that arrives. It checks sizes before it parses anything, and the version before the type, so
that it can tell a message of a later version. Then it decodes the header into its typed struct, checks every range, and
compares each buffer with its description. The sender runs the same checks, so that a wrong message fails where it was
made.
"""

from __future__ import annotations

import functools
import math
import re
import struct
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from .errors import MalformedMessageError, MessageTooLargeError, WireError, WrongVersionError
from .messages import PROTOCOL_VERSION, Buffer, Message, Version, shortened

MAX_HEADER_BYTES = 4 * 2**20
MAX_BUFFER_BYTES = 64 * 2**20
MAX_MESSAGE_BYTES = 2**30
MAX_BUFFERS = 256

_DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "uint8": np.dtype("u1"),
    "int64": np.dtype("<i8"),
}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = struct.Struct(">8sI4sIIBB")  # signature, chunk length, "IHDR", width, height, bit depth, colour type
_PNG_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # colour type (without palettes) -> samples per pixel

Bytes = bytes | bytearray | memoryview
MessageType = TypeVar("MessageType", bound=Message)


class _Envelope(msgspec.Struct):
    """What the header of every version has. Everything else may change from version to version."""

    version: Version
    id: Any = None


def encode(message: Message, buffers: Sequence[Bytes] = ()) -> list[Bytes]:
    """The frames of `message`, whose `buffers` field describes `buffers`.

    Raises MalformedMessageError when a field is out of its range or a buffer is not what the message says it is, and
    MessageTooLargeError.
    """
    header = msgspec.json.encode(message)
    frames: list[Bytes] = [header, *buffers]
    check_sizes(frames)
    if _validate(header, type(message)) != message:  # JSON turns NaN and infinity into null in silence
        raise MalformedMessageError("The message would arrive as another one: a number in it is not finite.")
    _check_buffers(message.buffers, buffers)
    return frames


def decode(frames: Sequence[Bytes], types: type[MessageType] | Any) -> tuple[MessageType, list[Bytes]]:
    """The message in `frames` and its buffers, as they came.

    types: the struct, or union of structs, that may arrive here (`ClientMessage` or `ServiceMessage`).
    Raises MessageTooLargeError, WrongVersionError or MalformedMessageError. Its `reply_to` is the id of the message,
    when the message has one that can be read.
    """
    check_sizes(frames)
    envelope = _validate(frames[0], _Envelope)
    try:
        if envelope.version != PROTOCOL_VERSION:
            raise WrongVersionError(
                f"The other side speaks version {envelope.version} of the protocol, this side version "
                f"{PROTOCOL_VERSION}.",
                "Install the extension and the service from the same release: run `python install.py`, then restart "
                "Blender.",
                version=envelope.version,
            )
        message = _validate(frames[0], types)
        buffers = list(frames[1:])
        _check_buffers(message.buffers, buffers)
    except WireError as error:
        error.reply_to = _identifier(envelope.id)
        raise
    return message, buffers


def describe_array(array: np.ndarray) -> tuple[Buffer, bytes]:
    """An array as a "raw" buffer: C order, little-endian. Raises MalformedMessageError for dtypes not in `Buffer`."""
    name: Any = array.dtype.name
    if name not in _DTYPES:
        raise MalformedMessageError(f"Arrays of {name} cannot be sent.", f"Convert it to one of {', '.join(_DTYPES)}.")
    data = np.ascontiguousarray(array, dtype=_DTYPES[name]).tobytes()
    return Buffer(encoding="raw", dtype=name, shape=array.shape), data


def read_array(buffer: Buffer, data: Bytes) -> np.ndarray:
    """The array in a "raw" buffer: a read-only view of `data`."""
    if buffer.encoding != "raw":
        raise MalformedMessageError(f"A {buffer.encoding} buffer came where an array belongs.")
    _check_buffer(buffer, data, "The buffer")
    array = np.frombuffer(data, dtype=_DTYPES[buffer.dtype]).reshape(buffer.shape)
    array.flags.writeable = False
    return array


def describe_png(data: Bytes) -> tuple[Buffer, Bytes]:
    """A complete PNG file of 8 bits per sample, without palette, as a "png" buffer."""
    return Buffer(encoding="png", dtype="uint8", shape=_png_shape(data, "The image")), data


def check_sizes(frames: Sequence[Bytes]) -> None:
    """Raise MessageTooLargeError when a header and its buffers are over the limits."""
    if not frames:
        raise MalformedMessageError("A message without a header came.")
    _check_limit("The header has", len(frames[0]), MAX_HEADER_BYTES, "bytes")
    _check_limit("The message has", len(frames) - 1, MAX_BUFFERS, "buffers")
    sizes = [memoryview(frame).nbytes for frame in frames]
    _check_limit("A buffer has", max(sizes[1:], default=0), MAX_BUFFER_BYTES, "bytes")
    _check_limit("The message has", sum(sizes), MAX_MESSAGE_BYTES, "bytes")


def _check_limit(what: str, value: int, limit: int, unit: str) -> None:
    if value > limit:
        raise MessageTooLargeError(f"{what} {value} {unit}; at most {limit} are allowed.", "Send less at once.")


@functools.cache
def _decoder(types: Any) -> msgspec.json.Decoder:
    return msgspec.json.Decoder(types)


def _validate(header: Bytes, types: Any) -> Any:
    """The header as one of `types`. Raises MalformedMessageError with the reason and the field."""
    try:
        return _decoder(types).decode(header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessageError(f"The message is not valid: {shortened(str(error))}.") from error
    except RecursionError as error:
        raise MalformedMessageError("The message is not valid: its JSON is nested too deeply.") from error


def _identifier(value: Any) -> str | None:
    return value if isinstance(value, str) and re.fullmatch("[0-9a-z_-]{1,64}", value) else None


def _check_buffers(descriptions: Sequence[Buffer], buffers: Sequence[Bytes]) -> None:
    if len(descriptions) != len(buffers):
        raise MalformedMessageError(f"The header describes {len(descriptions)} buffers, {len(buffers)} follow it.")
    for index, (description, data) in enumerate(zip(descriptions, buffers, strict=True)):
        _check_buffer(description, data, f"Buffer {index}")


def _check_buffer(description: Buffer, data: Bytes, what: str) -> None:
    if description.encoding == "png":
        shape = _png_shape(data, what)
        if description.dtype != "uint8" or shape != description.shape:
            raise MalformedMessageError(
                f"{what} is an image of {shape} uint8, its description says {description.shape} {description.dtype}."
            )
        return
    expected = math.prod(description.shape) * _DTYPES[description.dtype].itemsize
    size = memoryview(data).nbytes
    if size != expected:
        raise MalformedMessageError(
            f"{what} has {size} bytes; {description.dtype} of shape {description.shape} needs {expected}."
        )


def _png_shape(data: Bytes, what: str) -> tuple[int, int, int]:
    """(height, width, channels) from a PNG file's first chunk (PNG specification, 11.2.1)."""
    start = bytes(memoryview(data)[: _PNG_HEADER.size])
    if len(start) < _PNG_HEADER.size or not start.startswith(_PNG_SIGNATURE):
        raise MalformedMessageError(f"{what} is not a PNG file.")
    _, _, name, width, height, depth, colour = _PNG_HEADER.unpack(start)
    if name != b"IHDR" or depth != 8 or colour not in _PNG_CHANNELS:
        raise MalformedMessageError(f"{what} is not a PNG file of 8 bits per sample without a palette.")
    return height, width, _PNG_CHANNELS[colour]
