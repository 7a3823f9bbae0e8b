"""`python -m cvd cameras`, and the options for the cameras."""

import argparse
import json
import re
import shlex
from pathlib import Path

import imageio.v3 as iio
import msgspec
import numpy as np
import pytest
from support.records import example_record

from cvd import Cameras
from cvd.cameras.files import read_colmap, read_transforms, write_colmap, write_realestate, write_transforms
from cvd.cameras.patterns import pattern_cameras
from cvd.commands.camera_options import add_camera_options, camera_arguments, load_cameras
from cvd.commands.cli import main
from cvd.errors import CVDError
from cvd.request import Output
from cvd.takes.takes import FinishedTake
from cvd.weights.model_info import OFFICIAL_INFO
from protocol.models import ModelInfo, SizeRule


def model(native_size: int = 256, size_multiple: int = 8) -> ModelInfo:
    sizes = SizeRule(native=native_size, multiple=size_multiple)
    return msgspec.structs.replace(OFFICIAL_INFO, name="any", sizes=sizes)


def finished(cameras: Cameras, scale: float = 1.0) -> FinishedTake:
    return FinishedTake(Output(np.zeros(0), np.zeros(0)), cameras, example_record(cameras, scale=scale))


def options(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_camera_options(parser)
    return parser.parse_args([str(word) for word in words])


def load(*words: object, **context: object) -> Cameras:
    return load_cameras(options(*words), **context).cameras


def run(*words: object) -> int:
    return main(["cameras", *map(str, words)])


@pytest.fixture
def shot(tmp_path: Path) -> tuple[Path, Cameras]:
    """Three views of five wide frames, as a transforms.json and a COLMAP model. They start apart and zoom."""
    cameras = pattern_cameras("circle", 3, 64, 120, frames=5)
    c2w, K = cameras.c2w.copy(), cameras.K.copy()
    c2w[..., 0, 3] += np.array([0, 2, 4])[:, None]
    K[..., 0, 0] *= np.linspace(1, 2, 5)
    cameras = Cameras(c2w, K, 64, 120)
    write_transforms(tmp_path / "transforms.json", cameras)
    write_colmap(tmp_path / "colmap", cameras)
    return tmp_path, cameras


def assert_same(ours: Cameras, theirs: Cameras) -> None:
    assert (ours.height, ours.width) == (theirs.height, theirs.width)
    np.testing.assert_allclose(ours.c2w, theirs.c2w, atol=1e-9)
    np.testing.assert_allclose(ours.K, theirs.K, atol=1e-9)


@pytest.mark.parametrize("source", ["--transforms", "--colmap"])
def test_wide_files_are_not_squashed(shot: tuple[Path, Cameras], source: str) -> None:
    folder, cameras = shot
    path = folder / ("colmap" if source == "--colmap" else "transforms.json")
    chosen = load_cameras(options(source, path, "--frames", 5), model(64))
    made = chosen.cameras
    assert (made.height, made.width) == (48, 88)
    assert_same(made, cameras.cropped(48, 88))
    np.testing.assert_allclose(made.K[..., 0, 0] / made.K[..., 1, 1], cameras.K[..., 0, 0] / cameras.K[..., 1, 1])
    assert any(
        "120 x 64 pixels become 88 x 48: scaled by 0.75, and 2.2% cropped" in remark for remark in chosen.remarks
    )
    assert_same(
        load(source, path, "--size", "64x64", model=model(64)).window(0, 1), cameras.cropped(64, 64).window(0, 1)
    )


def test_files_of_any_size_are_converted_only_as_they_are(tmp_path: Path) -> None:
    frame = {
        "transform_matrix": np.eye(4).tolist(),
        "fl_x": 900,
        "fl_y": 900,
        "cx": 648,
        "cy": 419,
        "w": 1297,
        "h": 837,
    }
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": [frame]}))
    with pytest.raises(CVDError, match=r"1297 x 837 pixels, not multiples of 8\. Use --size 1296x840"):
        load("--transforms", tmp_path / "transforms.json")
    assert load("--transforms", tmp_path / "transforms.json", "--size", "1296x832").width == 1296
    assert load("--transforms", tmp_path / "transforms.json", model=model()).width == 320


def test_frames_are_the_files_own_for_conversion_and_sixteen_for_videos(shot: tuple[Path, Cameras]) -> None:
    path = shot[0] / "transforms.json"
    assert load("--transforms", path).frames == 5
    assert load("--transforms", path, model=model()).frames == 16
    assert load("--transforms", path, "--frames", 3).frames == 3
    assert load("--pattern", "circle").frames == 16


def test_text_files_in_one_world_and_of_a_given_source(tmp_path: Path, shot: tuple[Path, Cameras]) -> None:
    _, cameras = shot
    paths = write_realestate(tmp_path, cameras)
    assert_same(load("--cameras", *paths, "--common-world", "--source-aspect", "120x64"), cameras)
    apart = load("--cameras", *paths, "--source-aspect", "120x64")
    np.testing.assert_allclose(apart.c2w[:, 0], np.tile(np.eye(4), (3, 1, 1)), atol=1e-12)
    for proportions in ((), ("--source-aspect", "16x9")):
        whole = load("--cameras", *paths, *proportions)
        assert (whole.height, whole.width) == (720, 1280)
    assert load("--cameras", *paths, model=model()).width == 256


def test_every_format_says_what_reads_it_back_exactly(
    shot: tuple[Path, Cameras], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, cameras = shot
    out = tmp_path / "out"
    everything = ("--to", "realestate", "transforms", "colmap", "--out", out)
    assert run("--transforms", folder / "transforms.json", *everything) == 0
    printed = capsys.readouterr().out
    words = shlex.split(re.search(r"read them back with (.*)", printed)[1])
    assert_same(load(*words), cameras)
    assert_same(load(*words, model=model()), cameras)
    assert_same(read_transforms(out / "transforms.json"), cameras)
    assert_same(read_colmap(out / "colmap"), cameras)
    assert iio.imread(out / "trajectories.png").ndim == 3


def test_measures_and_a_picture_without_a_folder(
    tmp_path: Path, shot: tuple[Path, Cameras], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--colmap", shot[0] / "colmap", "--plot", tmp_path / "new" / "paths.png") == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if "120 x 64" in line]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert [row[1] for row in rows] == ["5", "5", "5"]
    assert [row[5] for row in rows] == ["0.5", "0.5", "0.5"]
    assert rows[0][6:] == ["56.4", "to", "94.1°", "coincides", "100%"]
    assert rows[1][-4:-1] == ["2", "units,", "0.0°"]
    assert iio.imread(tmp_path / "new" / "paths.png").ndim == 3
    assert not (tmp_path / "trajectories.png").exists()


def test_overlap_is_the_share_of_a_view_that_view_0_sees_in_the_worst_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    c2w = np.tile(np.eye(4), (3, 3, 1, 1))
    c2w[1, :, 0, 3] = [0, 0.5, 0.1]
    K = np.tile(np.array([[80.0, 0, 40], [0, 80, 20], [0, 0, 1]]), (3, 3, 1, 1))
    K[2, :, :2, :2] *= 2
    write_transforms(tmp_path / "transforms.json", Cameras(c2w, K, 40, 80))
    assert run("--transforms", tmp_path / "transforms.json") == 0
    printed = capsys.readouterr().out
    # The axes are parallel. Views are 0.5, 1 and 2 wide at the distances 0.5, 1 and 2: 0, 1/2 and 3/4 overlap.
    assert [line.split()[-1] for line in printed.splitlines() if "80 x 40" in line] == ["100%", "42%", "100%"]
    assert "at depths around 1 units" in printed


def test_a_takes_cameras_are_not_written_over(shot: tuple[Path, Cameras], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = shot
    (folder / "take.json").write_text("{}")
    before = (folder / "transforms.json").read_bytes()
    assert run("--transforms", folder / "transforms.json", "--frames", 2, "--to", "transforms", "--out", folder) == 1
    assert "holds a take" in capsys.readouterr().err
    assert (folder / "transforms.json").read_bytes() == before


def test_scale_is_told_and_kept_for_more_views(shot: tuple[Path, Cameras]) -> None:
    path = shot[0] / "transforms.json"
    given = options("--transforms", path, "--scale", 2, "--frames", 5)
    chosen = load_cameras(given, model(64))
    assert chosen.cameras.largest_motion() == pytest.approx(2)
    assert any("move at most 0.5" in remark for remark in chosen.remarks)
    # The same file again: the new views have the poses, size, frames and units of the finished ones.
    take = finished(chosen.cameras, chosen.scale)
    again = load_cameras(options("--transforms", path), model(256, 64), take)
    assert again.scale == chosen.scale == pytest.approx(4)
    assert_same(again.cameras, chosen.cameras)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--scale", "1"), "--scale does not go with --anchor"),
        (("--size", "64x64"), "finished views have 120x64 pixels. Leave --size out"),
        (("--frames", "9"), "finished views have 5 frames. Leave --frames out"),
    ],
)
def test_what_a_finished_take_decides(shot: tuple[Path, Cameras], words: tuple[str, ...], message: str) -> None:
    take = finished(shot[1])
    with pytest.raises(CVDError, match=message):
        load("--pattern", "circle", *words, model=model(), anchor=take)
    fitting = ("--size", "120x64", "--frames", "5")
    assert load("--pattern", "circle", *fitting, model=model(), anchor=take).width == 120


def test_arguments_are_recorded_as_given(shot: tuple[Path, Cameras]) -> None:
    given = options("--pattern", "circle", "--camera-dist", 0.25, "--views", 3)
    assert camera_arguments(given) == {"pattern": "circle", "camera_dist": 0.25, "views": 3}
    assert load_cameras(given).cameras.largest_motion() == pytest.approx(0.25)
    assert camera_arguments(options("--pattern", "circle", "--camera-dist", 0))["camera_dist"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pattern", "circle", "--source-aspect", "16x9"), "--source-aspect goes with --cameras"),
        (("--pattern", "circle", "--common-world"), "--common-world goes with --cameras"),
        (("--colmap", "x", "--camera-dist", "1"), "--camera-dist go with --pattern"),
        (("--pattern", "circle", "--camera-dist", "nan"), "camera distance is nan"),
        (("--pattern", "circle", "--scale", "nan"), "cannot be scaled"),
        (("--pattern", "circle", "--scale", "inf"), "cannot be scaled"),
        (("--pattern", "circle", "--camera-dist", "0", "--scale", "1"), "cannot be scaled"),
        (("--pattern", "circle", "--frames", "999999999999"), "too many"),
        (("--pattern", "circle", "--size", "99999999999x8"), "not of the form WxH"),
        (("--pattern", "circle", "--size", "0x8"), "not of the form WxH"),
        (("--pattern", "circle", "--to", "colmap"), "Add --out DIR"),
        (("--pattern", "circle", "--plot", "a.txt"), "not the name of a PNG file"),
        (("--pattern", "circle", "--out", "/proc/nothing"), "/proc/nothing cannot be written"),
        (("--pattern", "circle", "--plot", "/proc/nothing/a.png"), "cannot be written"),
        (("--cameras", "/"), "is a folder"),
        (("--transforms", "/"), "is a folder"),
        (("--cameras", "a.txt", "--source-aspect", "wide"), '--source-aspect "wide" is not of the form WxH'),
        (("--cameras", "a.txt", "--reverse", "1"), "beyond the 1 there are"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert run(*words) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
