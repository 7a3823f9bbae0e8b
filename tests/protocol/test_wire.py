"""The wire format: whatever is sent comes back the same, and whatever arrives is refused unless it is a message."""

import contextlib
import json
import struct
import zlib
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from msgspec import inspect

from protocol import wire
from protocol.errors import MalformedMessageError, MessageTooLargeError, ProtocolError, WrongVersionError
from protocol.messages import (
    PROTOCOL_VERSION,
    ClientMessage,
    GenerateRequest,
    Message,
    Ping,
    ServiceMessage,
    Submit,
    ViewFrames,
    Welcome,
)
from protocol.payloads import pack_submit, pack_view, unpack_cameras, unpack_view
from protocol.settings import SamplingSettings

ANY_MESSAGE = ClientMessage | ServiceMessage
REQUEST = GenerateRequest(prompt="a red cube", view_names=("left", "right"), width=64, height=48)


def values(info: inspect.Type) -> st.SearchStrategy[Any]:
    """All values of a field's type that the protocol allows."""
    match info:
        case inspect.StrType(pattern=str()):
            # of identifiers and of models' names, which start with a letter or a digit
            rest = st.text("0123456789abcdefghijklmnopqrstuvwxyz_-", max_size=info.max_length - 1)
            return st.builds(str.__add__, st.sampled_from("09az"), rest)
        case inspect.StrType():
            return st.text(min_size=info.min_length or 0, max_size=min(info.max_length or 40, 40))
        case inspect.IntType():
            step = info.multiple_of or 1
            low, high = info.ge if info.ge is not None else -(2**63), info.le if info.le is not None else 2**63 - 1
            return st.integers(-(-low // step), high // step).map(lambda n: n * step)
        case inspect.FloatType():
            low = info.ge if info.gt is None else info.gt
            return st.floats(low, info.le, allow_nan=False, allow_infinity=False, exclude_min=info.gt is not None)
        case inspect.LiteralType():
            return st.sampled_from(info.values)
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.UnionType():
            return st.one_of([values(part) for part in info.types])
        case inspect.VarTupleType():
            low, high = info.min_length or 0, min(info.max_length or 4, 4)
            return st.lists(values(info.item_type), min_size=low, max_size=high).map(tuple)
        case inspect.StructType():
            fields = {
                field.name: values(field.type) for field in info.fields if field.name not in ("buffers", "version")
            }
            return st.builds(info.cls, **fields)
        case inspect.Metadata():
            return values(info.type)
    raise AssertionError(f"A field of a kind that no strategy is known for: {info}")


arrays = hnp.arrays(
    dtype=st.sampled_from([np.float32, np.float64, np.uint8, np.int64, ">f8", ">i8"]),
    shape=hnp.array_shapes(min_dims=0, max_dims=4, max_side=5),
)
messages = st.sampled_from(get_args(ANY_MESSAGE)).flatmap(lambda cls: values(inspect.type_info(cls)))


@given(messages, st.lists(arrays, max_size=3))
def test_every_message_comes_back_as_it_was_sent(message: Message, payload: list[np.ndarray]) -> None:
    described = [wire.describe_array(array) for array in payload]
    message = msgspec.structs.replace(message, buffers=tuple(description for description, _ in described))

    frames = wire.encode(message, [data for _, data in described])
    received, buffers = wire.decode([bytes(frame) for frame in frames], ANY_MESSAGE)

    assert received == message
    for array, description, data in zip(payload, received.buffers, buffers, strict=True):
        copy = wire.read_array(description, data)
        np.testing.assert_array_equal(copy, array)
        assert copy.dtype.byteorder in "=|<"
        assert not copy.flags.writeable


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_arbitrary_bytes_are_refused_with_a_reason(frames: list[bytes]) -> None:
    with pytest.raises(MalformedMessageError) as error:
        wire.decode(frames, ANY_MESSAGE)
    assert error.value.info().message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=10), children, max_size=3),
    max_leaves=8,
)
FIELD_NAMES = sorted({field.name for cls in get_args(ANY_MESSAGE) for field in msgspec.structs.fields(cls)} | {"type"})


@pytest.mark.slow
@settings(max_examples=300)
@given(
    messages,
    st.sampled_from(FIELD_NAMES).flatmap(lambda name: st.tuples(st.just(name), json_values)),
    st.integers(0, 2),
)
def test_a_damaged_message_is_read_or_refused_and_nothing_else(
    message: Message, damage: tuple[str, Any], cut: int
) -> None:
    header = json.loads(msgspec.json.encode(message)) | dict([damage])
    data = json.dumps(header).encode()
    with contextlib.suppress(ProtocolError):
        received, _ = wire.decode([data[: len(data) - cut]], ANY_MESSAGE)
        assert isinstance(received, get_args(ANY_MESSAGE))


def header(**fields: Any) -> bytes:
    return json.dumps({"version": PROTOCOL_VERSION, "id": "a"} | fields).encode()


def request_of(**fields: Any) -> dict[str, Any]:
    return msgspec.to_builtins(REQUEST) | fields


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (header(type="unknown"), "unknown"),
        (header(), "type"),
        (header(type="ping", id="../../etc"), "id"),
        (header(type="ping", id="ends-in-a-line-break\n"), "id"),
        (header(type="cancel"), "job_id"),
        (header(type="cancel", job_id=7), "job_id"),
        (header(type="submit", job_id="a", request=request_of(model="/etc")), "model"),
        (header(type="submit", job_id="a", request=request_of(model="..")), "model"),
        (
            header(type="submit", job_id="a", request=request_of(settings={"num_inference_steps": 0})),
            "num_inference_steps",
        ),
        (header(type="hello", client="x" * 257), "client"),
        (header(type="ping", buffers=[{"encoding": "pickle", "dtype": "uint8", "shape": [1]}]), "encoding"),
        (header(type="ping", buffers=[{"encoding": "raw", "dtype": "uint8", "shape": [0]}]), "shape"),
        (header(type="ping", buffers=[{"encoding": "raw", "dtype": "object", "shape": [1]}]), "dtype"),
        (b'{"version": 2, "id": "a", "type": "ping", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
        (b'{"version": true}', "version"),
        (b"[]", "object"),
        (b"\xff\xfe", "malformed"),
    ],
)
def test_the_reason_names_what_is_wrong(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessageError, match=reason):
        wire.decode([data], ANY_MESSAGE)


def test_a_message_of_the_future_is_a_version_error_whatever_it_holds() -> None:
    data = json.dumps({"version": PROTOCOL_VERSION + 1, "id": "abc", "type": "hologram", "beam": 7}).encode()
    with pytest.raises(WrongVersionError, match=str(PROTOCOL_VERSION + 1)) as error:
        wire.decode([data, b"a buffer of the future"], ANY_MESSAGE)
    assert error.value.version == PROTOCOL_VERSION + 1
    assert error.value.reply_to == "abc"


def test_a_field_of_a_later_release_is_passed_over() -> None:
    message, _ = wire.decode([header(type="ping", mood="fine")], ANY_MESSAGE)
    assert message == Ping(id="a")


def test_a_message_for_the_other_side_is_refused() -> None:
    with pytest.raises(MalformedMessageError, match="welcome") as error:
        wire.decode([header(type="welcome")], ClientMessage)
    assert error.value.reply_to == "a"


@pytest.mark.parametrize(
    "frames",
    [
        [b" " * (wire.MAX_HEADER_BYTES + 1)],
        [header(type="ping"), bytes(wire.MAX_BUFFER_BYTES + 1)],
        [header(type="ping"), *[b""] * (wire.MAX_BUFFERS + 1)],
    ],
    ids=["header", "buffer", "number of buffers"],
)
def test_what_is_too_large_is_refused_unread(frames: list[bytes]) -> None:
    with pytest.raises(MessageTooLargeError, match="at most"):
        wire.decode(frames, ANY_MESSAGE)


def test_what_is_just_small_enough_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    message, buffers = pack_submit(REQUEST, np.tile(np.eye(4), (2, 3, 1, 1)), np.tile(np.eye(3), (2, 3, 1, 1)))
    frames = wire.encode(message, buffers)
    monkeypatch.setattr(wire, "MAX_HEADER_BYTES", len(frames[0]))
    monkeypatch.setattr(wire, "MAX_BUFFER_BYTES", max(len(frame) for frame in frames[1:]))
    monkeypatch.setattr(wire, "MAX_BUFFERS", 2)
    monkeypatch.setattr(wire, "MAX_MESSAGE_BYTES", sum(map(len, frames)))
    assert wire.decode(frames, ANY_MESSAGE)[0] == message
    for limit in ("MAX_HEADER_BYTES", "MAX_BUFFER_BYTES", "MAX_BUFFERS", "MAX_MESSAGE_BYTES"):
        with monkeypatch.context() as smaller:
            smaller.setattr(wire, limit, getattr(wire, limit) - 1)
            with pytest.raises(MessageTooLargeError):
                wire.decode(frames, ANY_MESSAGE)


def test_the_sum_of_all_buffers_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_MESSAGE_BYTES", 1000)
    with pytest.raises(MessageTooLargeError, match="at most 1000"):
        wire.decode([header(type="ping"), bytes(500), bytes(500)], ANY_MESSAGE)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b""])
def test_buffers_must_have_the_size_that_their_shape_needs(change: Any) -> None:
    message, buffers = pack_submit(REQUEST, np.zeros((2, 3, 4, 4)), np.zeros((2, 3, 3, 3)))
    data = msgspec.json.encode(message)
    with pytest.raises(MalformedMessageError, match="Buffer 1 has"):
        wire.decode([data, buffers[0], change(bytes(buffers[1]))], ClientMessage)
    with pytest.raises(MalformedMessageError, match="describes 2 buffers, 1 follow"):
        wire.decode([data, buffers[0]], ClientMessage)


def with_settings(**fields: object) -> GenerateRequest:
    return msgspec.structs.replace(REQUEST, settings=SamplingSettings(**fields))


def test_the_sender_is_told_of_its_own_mistakes() -> None:
    with pytest.raises(MalformedMessageError, match="width"):
        wire.encode(Submit(job_id="a", request=msgspec.structs.replace(REQUEST, width=65)))
    for number in (float("nan"), float("inf")):
        with pytest.raises(MalformedMessageError, match="not finite"):
            wire.encode(Submit(job_id="a", request=with_settings(guidance_scale=number)))
    with pytest.raises(MalformedMessageError, match="guidance_scale"):
        wire.encode(Submit(job_id="a", request=with_settings(guidance_scale=-1.0)))
    with pytest.raises(MalformedMessageError, match="complex128"):
        wire.describe_array(np.zeros(2, complex))


def test_cameras_survive_the_wire_exactly() -> None:
    rng = np.random.default_rng(0)
    c2w, K = rng.normal(size=(2, 5, 4, 4)), rng.normal(size=(2, 5, 3, 3))
    message, buffers = wire.decode(wire.encode(*pack_submit(REQUEST, c2w, K, "my-job")), ClientMessage)
    assert message.job_id == "my-job"
    received = unpack_cameras(message, buffers)
    np.testing.assert_array_equal(received[0], c2w)
    np.testing.assert_array_equal(received[1], K)


@pytest.mark.parametrize(
    ("c2w", "K"),
    [
        ((3, 5, 4, 4), (3, 5, 3, 3)),  # three cameras for two names
        ((2, 5, 4, 4), (2, 4, 3, 3)),
        ((2, 5, 3, 4), (2, 5, 3, 3)),
        ((2, 129, 4, 4), (2, 129, 3, 3)),
        ((5, 4, 4), (5, 3, 3)),
    ],
)
def test_cameras_of_a_wrong_shape_are_refused_on_both_sides(c2w: tuple[int, ...], K: tuple[int, ...]) -> None:
    with pytest.raises(MalformedMessageError, match="cameras"):
        pack_submit(REQUEST, np.zeros(c2w), np.zeros(K))
    described = [wire.describe_array(np.zeros(shape)) for shape in (c2w, K)]
    message = Submit(job_id="a", request=REQUEST, buffers=tuple(description for description, _ in described))
    with pytest.raises(MalformedMessageError, match="cameras"):
        unpack_cameras(message, [data for _, data in described])


def png(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG file of one colour, made by hand."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    rows = (b"\0" + bytes(width * samples * depth // 8)) * height
    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


LATENTS = np.arange(4 * 2 * 3 * 5, dtype=np.float32).reshape(4, 2, 3, 5)


def test_images_are_described_by_what_they_are() -> None:
    message, buffers = pack_view("a", 1, [png(6, 4), png(6, 4, colour=6)], LATENTS)
    assert [buffer.shape for buffer in message.buffers] == [(4, 6, 3), (4, 6, 4), (4, 2, 3, 5)]
    assert wire.decode(wire.encode(message, buffers), ServiceMessage) == (message, buffers)


def test_a_view_survives_the_wire_exactly() -> None:
    sent = [png(6, 4), png(6, 4)]
    message, buffers = wire.decode(wire.encode(*pack_view("a", 1, sent, LATENTS)), ServiceMessage)
    images, latents = unpack_view(message, buffers)
    assert images == sent
    np.testing.assert_array_equal(latents, LATENTS)


@pytest.mark.parametrize(
    "buffers",
    [
        [],
        [wire.describe_array(LATENTS)],
        [wire.describe_png(png(6, 4)), wire.describe_png(png(6, 4))],
        [wire.describe_png(png(6, 4)), wire.describe_array(LATENTS[0])],
        [wire.describe_png(png(6, 4)), wire.describe_array(LATENTS.astype(np.float64))],
        [wire.describe_png(png(6, 4)), wire.describe_array(LATENTS), wire.describe_array(LATENTS)],
    ],
    ids=["nothing", "no frame", "no latents", "three axes", "float64", "two latents"],
)
def test_a_view_of_other_buffers_is_refused(buffers: list[tuple[wire.Buffer, wire.Bytes]]) -> None:
    message = ViewFrames(job_id="a", view=0, buffers=tuple(description for description, _ in buffers))
    with pytest.raises(MalformedMessageError, match=r"view|array"):
        unpack_view(message, [data for _, data in buffers])


@pytest.mark.parametrize("data", [b"", b"GIF89a", png(6, 4)[:20], png(6, 4, depth=16), png(6, 4, colour=3), png(4, 6)])
def test_an_image_that_is_not_what_the_header_says_is_refused(data: bytes) -> None:
    message, buffers = pack_view("a", 0, [png(6, 4)], LATENTS)
    with pytest.raises(MalformedMessageError):
        wire.decode([msgspec.json.encode(message), data, buffers[1]], ViewFrames | Welcome)
