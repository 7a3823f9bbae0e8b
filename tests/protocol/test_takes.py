"""The record of a take, and where its files lie."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from protocol.messages import GenerateRequest, MadeWith
from protocol.models import ModelReference
from protocol.settings import SamplingSettings
from protocol.takes import (
    TAKE_FILE,
    SceneSpan,
    TakeError,
    TakeRecord,
    encode_record,
    frame_files,
    frame_path,
    latents_path,
    read_record,
    record_of,
    take_files,
    view_folder,
    view_folders,
    write_record,
)

CAMERAS = np.random.default_rng(0).normal(size=(2, 3, 4, 4)), np.random.default_rng(1).normal(size=(2, 3, 3, 3))
REQUEST = GenerateRequest(
    prompt="a cube", negative_prompt="fog", view_names=("left", "right"), width=48, height=32, scale=0.25
)
MADE = MadeWith(
    settings=SamplingSettings(seed=4, num_inference_steps=7),
    model=ModelReference(name="tiny", family="cvd", sha256="0" * 64),
    software="0.1.0",
    warnings=("too long",),
)


def record(**fields: object) -> TakeRecord:
    made = record_of(
        REQUEST,
        *CAMERAS,
        made=MADE,
        created=1.5,
        seconds=2.5,
        job_id="a",
        files=("view_00/0001.png",),
        scene=SceneSpan(name="Scene", frame_start=1, frame_end=9, aspect=2.0),
        shown=(48.0, 24.0),
    )
    return msgspec.structs.replace(made, **fields)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_record(tmp_path, record())
    read = read_record(tmp_path)
    assert read == record()
    assert (read.views, read.frame_count) == (2, 3)
    for kept, given in zip((read.c2w, read.K), CAMERAS, strict=True):
        np.testing.assert_array_equal(np.array(kept), given)


def test_everything_of_the_request_and_of_its_making_is_in_it() -> None:
    made = record()
    for field in ("prompt", "negative_prompt", "view_names", "width", "height", "scale"):
        assert getattr(made, field) == getattr(REQUEST, field), field
    for field in ("settings", "model", "software", "warnings"):
        assert getattr(made, field) == getattr(MADE, field), field


def test_people_can_read_it() -> None:
    lines = encode_record(record()).decode().splitlines()
    assert ' "prompt": "a cube",' in lines
    assert max(len(line) for line in lines) < 2000, "a line for the cameras of each view"


def damaged(**fields: object) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(record()) | fields)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "broken"),
        (b"[]", "broken"),
        (b"\xff", "broken"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "broken"),
        (b"{}", "another program"),
        (damaged(format="my take"), "another program"),
        (damaged(version=2), "version 2"),
        (damaged(width="wide"), "broken.*width"),
        (damaged(view_names=["left"]), "do not fit"),
        (damaged(view_names=[]), "do not fit"),
        (damaged(K=[]), "do not fit"),
        (damaged(c2w=[[[[1.0]]]] * 2), "do not fit"),
    ],
)
def test_a_record_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / TAKE_FILE).write_bytes(content)
    with pytest.raises(TakeError, match=reason) as error:
        read_record(tmp_path)
    assert error.value.hint


def test_a_folder_without_a_record_is_no_take(tmp_path: Path) -> None:
    with pytest.raises(TakeError, match="holds no take"):
        read_record(tmp_path)
    (tmp_path / TAKE_FILE).mkdir()
    with pytest.raises(TakeError, match="cannot be read"):
        read_record(tmp_path)


def test_views_and_frames_are_found_in_order_and_all_of_them(tmp_path: Path) -> None:
    views, frames = 102, 11
    for view in range(views):
        view_folder(tmp_path, view).mkdir()
    for frame in reversed(range(frames)):
        frame_path(tmp_path, 101, frame).touch()
    latents_path(tmp_path, 101).touch()
    for stranger in ("view_1", "view_a0", "view_000.png", "views"):
        (tmp_path / stranger).mkdir()
    (tmp_path / "view_200").touch()
    (view_folder(tmp_path, 101) / "0001.jpg").touch()

    assert [view for view, _ in view_folders(tmp_path)] == list(range(views))
    assert frame_files(view_folder(tmp_path, 101)) == [frame_path(tmp_path, 101, frame) for frame in range(frames)]
    assert take_files(tmp_path) == (*(f"view_101/{n:04d}.png" for n in range(1, 12)), "view_101/latents.npy")
    assert frame_path(tmp_path, 0, 0) == tmp_path / "view_00" / "0001.png", "Blender counts from 1"
