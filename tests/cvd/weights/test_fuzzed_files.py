"""Readers of users' files: for any content, the result is cameras or prompts, or an error for people."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cvd import Cameras
from cvd.cameras.files import cameras_from_realestate, read_colmap, read_transforms
from cvd.cameras.patterns import pattern_cameras
from cvd.commands.prompts import read_prompts
from cvd.errors import CameraError, CVDError, RequestError
from cvd.takes.takes import read_take
from protocol.geometry import PATTERNS

quick = settings(max_examples=150, deadline=None)

POSE = ["1", "0", "0", "0", "0", "1", "0", "0", "0", "0", "1", "0"]
WORD = st.one_of(
    st.sampled_from(
        ["0", "1", "-1", "0.5", "nan", "inf", "1e400", "1e200", "-1e-320", "#", "x", "PINHOLE", "\x00", "٣"]
    ),
    st.floats().map(repr),
    st.integers().map(str),
    st.text(max_size=4),
)
TEXT = st.lists(st.lists(WORD, max_size=20).map(" ".join), max_size=6).map("\n".join)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


def read(reader: Any, text: str | bytes, name: str = "file") -> Any:
    """The reader's result; None if it raises an error for people."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        try:
            return reader(path)
        except (CameraError, RequestError) as error:
            message = str(error)
    assert "\n" not in message
    return None


def check(cameras: Cameras | None) -> None:
    if cameras is not None:
        for more in (cameras, cameras.resampled(3), cameras.resampled(cameras.frames + 3), cameras.cropped(64, 128)):
            assert np.isfinite(more.c2w).all()
            assert np.isfinite(np.linalg.inv(more.K)).all()


def realestate(path: Path) -> Cameras:
    return cameras_from_realestate([path, path], 64, 64, reverse=[1])


@quick
@given(st.binary(max_size=200))
def test_bytes(content: bytes) -> None:
    for reader in (realestate, read_transforms, read_prompts):
        read(reader, content)
    for name in ("cameras.txt", "images.txt"):
        read(lambda path: read_colmap(path.parent), content, name)
    read(lambda path: read_take(path.parent), content, "take.json")


@quick
@given(TEXT)
def test_lines_of_words(content: str) -> None:
    check(read(realestate, content))
    read(read_transforms, content)


@quick
@given(st.lists(WORD, min_size=19, max_size=19), st.sets(st.integers(0, 18)))
def test_realestate_lines_with_some_words_exchanged(words: list[str], exchanged: set[int]) -> None:
    good = ["0", "0.5", "0.9", "0.5", "0.5", "0", "0", *POSE]
    line = " ".join(words[index] if index in exchanged else good[index] for index in range(19))
    check(read(realestate, f"address\n{line}\n"))


@quick
@given(st.lists(WORD, min_size=18, max_size=18), st.sets(st.integers(0, 17)), TEXT)
def test_colmap_lines_with_some_words_exchanged(words: list[str], exchanged: set[int], rest: str) -> None:
    good = ["1", "PINHOLE", "64", "64", "50", "50", "32", "32", "1", "1", "0", "0", "0", "0", "0", "0", "1", "a.png"]
    both = [words[index] if index in exchanged else good[index] for index in range(18)]

    def reader(path: Path) -> Cameras:
        (path.parent / "cameras.txt").write_text(" ".join(both[:8]), encoding="utf-8", errors="replace")
        return read_colmap(path.parent)

    check(read(reader, " ".join(both[8:]) + "\n" + rest, "images.txt"))


@quick
@given(VALUE)
def test_any_json(value: Any) -> None:
    for reader in (read_transforms, read_prompts):
        read(reader, json.dumps(value))
    read(read_transforms, json.dumps({"frames": value}))
    read(read_prompts, json.dumps({"prompts": value, "seeds": value}))
    read(lambda path: read_take(path.parent), json.dumps({"scale": value}), "take.json")


@quick
@given(
    st.sampled_from(["transform_matrix", "fl_x", "cx", "w", "h", "view", "k1", "camera_model", "frames", "other"]),
    VALUE,
)
def test_transforms_with_an_entry_exchanged(name: str, value: Any) -> None:
    frame = {"transform_matrix": np.eye(4).tolist(), "fl_x": 50, "fl_y": 50, "cx": 32, "cy": 32, "w": 64, "h": 64}
    check(read(read_transforms, json.dumps({"frames": [frame, frame | {name: value}]})))
    check(read(read_transforms, json.dumps({"frames": [frame]} | {name: value})))


@quick
@given(st.lists(st.floats(), min_size=25, max_size=25), st.sets(st.integers(0, 24)))
def test_arrays(numbers: list[float], exchanged: set[int]) -> None:
    good = [*np.eye(4).ravel(), *np.array([[60.0, 0, 32], [0, 60, 32], [0, 0, 1]]).ravel()]
    values = [numbers[index] if index in exchanged else good[index] for index in range(25)]
    try:
        cameras = Cameras(np.reshape(values[:16], (1, 1, 4, 4)), np.reshape(values[16:], (3, 3)), 64, 64)
    except CVDError:
        return
    check(cameras)


@quick
@given(st.sampled_from(PATTERNS), st.integers(-2, 9) | st.integers(), st.integers(-2, 20) | st.integers(), st.floats())
def test_patterns(pattern: Any, views: int, frames: int, distance: float) -> None:
    try:
        cameras = pattern_cameras(pattern, views, 64, 64, frames, distance)
    except CVDError:
        return
    check(cameras.window(0, 1))
