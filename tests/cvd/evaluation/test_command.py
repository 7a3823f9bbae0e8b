"""`python -m cvd evaluate` on takes in the layout that `generate` writes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clip_files import write_tiny_clip
from support.records import example_record
from support.rendered import Room

from cvd.cameras import Cameras
from cvd.cameras.files import write_transforms
from cvd.commands.cli import main
from cvd.request import Output
from cvd.starter.render import render
from cvd.starter.world import Ground, Scene, Solid, intrinsics
from cvd.takes.export import write_frames
from cvd.takes.takes import write_take
from protocol.geometry import look_at, path_to
from protocol.takes import view_folder, write_record


def evaluate(*arguments: str | Path) -> int:
    return main(["evaluate", *map(str, arguments), "--matcher", "sift"])


def write_folder(folder: Path, videos: np.ndarray, cameras: Cameras, **fields: str) -> Path:
    for view, video in enumerate(videos):
        write_frames(view_folder(folder, view), video)
    write_record(folder, example_record(cameras, **fields))
    return folder


@pytest.fixture
def room_take(room: Room, tmp_path: Path) -> Path:
    return write_folder(tmp_path / "room", room.videos, room.cameras, prompt="a room")


def test_a_generation_gets_a_table_json_and_a_picture(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(room.videos.astype(np.float32) / 255, np.zeros((2, 4, 3, 16, 16), np.float32))
    write_take(tmp_path, output, example_record(room.cameras, "official"))
    assert evaluate(tmp_path) == 0
    printed = capsys.readouterr().out
    for name in ("precision", "median distance", "rotation error", "translation error", "matches by sift"):
        assert name in printed
    document = json.loads((tmp_path / "evaluation.json").read_text())
    assert document["consistency"]["precision"] > 0.9
    assert document["consistency"]["median_distance"] < 0.5
    assert document["camera_fidelity"]["median_rotation"] < 0.5
    assert document["camera_fidelity"]["poses"] == 4
    assert document["identical_mse"] is None
    assert "starter" not in document
    (take,) = document["per_take"]
    assert [frame["frame"] for frame in take["consistency"]["frames"]] == [0, 1, 2]
    assert len(take["camera_fidelity"]["poses"]) == 4
    with Image.open(tmp_path / "evaluation.png") as picture:
        assert picture.width > 800
        assert len(picture.convert("RGB").resize((200, 200)).getcolors(40_000)) > 500


def test_the_picture_shows_the_worst_of_several_takes(room: Room, tmp_path: Path) -> None:
    write_folder(tmp_path / "takes" / "good", room.videos, room.cameras, prompt="a room")
    bad = write_folder(tmp_path / "takes" / "bad", room.other, room.cameras, prompt="two rooms")
    assert evaluate(tmp_path / "takes", "--json", tmp_path / "all.json", "--picture", tmp_path / "all.png") == 0
    assert evaluate(bad, "--picture", tmp_path / "bad.png") == 0
    document = json.loads((tmp_path / "all.json").read_text())
    assert document["takes"] == 2
    precisions = {Path(take["name"]).name: take["consistency"]["precision"] for take in document["per_take"]}
    assert precisions["good"] > 0.9
    assert precisions["bad"] < 0.3
    assert document["consistency"]["precision"] == pytest.approx(np.mean(list(precisions.values())))
    assert (tmp_path / "all.png").read_bytes() == (tmp_path / "bad.png").read_bytes()
    assert not (tmp_path / "takes" / "evaluation.json").exists()


def test_identical_cameras_and_fewer_frames(room: Room, tmp_path: Path) -> None:
    cameras = Cameras(room.cameras.c2w[[0, 0]], room.cameras.K, room.cameras.height, room.cameras.width)
    videos = room.videos[[0, 0]].copy()
    videos[1, -1] = 255 - videos[1, -1]
    expected = np.square((videos[0, -1] / 255.0) - (videos[1, -1] / 255.0)).mean() / 2
    folder = write_folder(tmp_path, videos, cameras)
    assert evaluate(folder, "--frames", "2") == 0
    document = json.loads((folder / "evaluation.json").read_text())
    assert document["identical_mse"] == pytest.approx(expected)
    assert document["per_take"][0]["frame_numbers"] == [1, 3]
    assert document["camera_fidelity"]["poses"] == 2


def test_the_starters_world_has_measures_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ends = np.array([[0.3, 0.1, 0.0], [-0.3, -0.1, 0.0]])
    c2w = np.stack([path_to(end, look_at(end), 3) for end in ends])
    ball = Solid("sphere", "red", x=0.0, z=1.1, size=0.34)
    scenes = [Scene((ball,), Ground("white", "checkered"))] * 6
    videos = render(scenes, c2w.reshape(-1, 4, 4)).reshape(2, 3, 128, 128, 3)
    cameras = Cameras(c2w, intrinsics(128, 128), 128, 128)
    folder = write_folder(tmp_path, videos, cameras, prompt="a red sphere on a white checkered floor", model="starter")
    assert evaluate(folder) == 0
    assert "score S" in capsys.readouterr().out
    document = json.loads((folder / "evaluation.json").read_text())
    assert document["starter"]["score"] > 0.95
    assert document["starter"]["colours_right"] == 1
    assert document["starter"]["camera_fidelity"]["median_rotation"] < 1
    assert document["per_take"][0]["starter"]["colours"] == {"objects": ["red"], "found": ["red"]}
    assert evaluate(folder, "--model", "another") == 0
    assert "starter" not in json.loads((folder / "evaluation.json").read_text())


def test_clip_and_a_reference(room_take: Path, room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_clip(tmp_path / "clip")
    write_folder(tmp_path / "reference", room.videos, room.cameras)
    assert evaluate(room_take, "--clip", tmp_path / "clip", "--reference", tmp_path / "reference") == 0
    printed = capsys.readouterr().out
    assert "CLIP-T" in printed
    assert "KID" in printed
    document = json.loads((room_take / "evaluation.json").read_text())
    assert -1 <= document["clip"]["text"] <= 1
    assert document["clip"]["frame"] > 0.5
    assert document["distribution"]["fid"] == pytest.approx(0, abs=1e-6)
    assert document["distribution"]["images"] == document["distribution"]["reference_images"] == 6


def test_a_single_view_has_cameras_but_no_consistency(room: Room, tmp_path: Path) -> None:
    cameras = Cameras(room.cameras.c2w[:1], room.cameras.K[:1], room.cameras.height, room.cameras.width)
    assert evaluate(write_folder(tmp_path, room.videos[:1], cameras)) == 0
    document = json.loads((tmp_path / "evaluation.json").read_text())
    assert document["consistency"]["precision"] is None
    assert document["camera_fidelity"]["poses"] == 2
    assert not (tmp_path / "evaluation.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("/nowhere",), "/nowhere holds no take"),
        (("TAKE", "--reference", "/nowhere"), "--reference needs features"),
        (("TAKE", "--clip", "/nowhere"), "/nowhere is not a CLIP model"),
        (("TAKE", "--frames", "0"), "0 frames make no video"),
    ],
)
def test_bad_input_is_one_line_and_a_failure(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    K = room.cameras.K * [[1.5], [1.5], [1]]
    take = write_folder(tmp_path, room.videos, Cameras(room.cameras.c2w, K, room.cameras.height, room.cameras.width))
    assert evaluate(*(take if argument == "TAKE" else argument for argument in arguments)) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_cameras_that_do_not_belong_to_the_frames(
    room: Room, room_take: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(room_take, example_record(room.cameras.window(0, 2)))
    assert evaluate(room_take) == 1
    assert "2 views of 3 frames, but cameras for 2 views of 2" in capsys.readouterr().err


def test_frames_from_elsewhere_with_a_transforms_file(room: Room, room_take: Path) -> None:
    (room_take / "take.json").unlink()
    write_transforms(room_take / "transforms.json", room.cameras)
    assert evaluate(room_take) == 0
    document = json.loads((room_take / "evaluation.json").read_text())
    assert document["consistency"]["precision"] > 0.9
