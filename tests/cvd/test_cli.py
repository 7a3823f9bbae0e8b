"""`python -m cvd` as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import pytest

from cvd.cli import main

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def generate(tiny_model_folder: Path) -> tuple[str | Path, ...]:
    return ("generate", "--model", tiny_model_folder, "--size", "32x32", "--steps", "2", "--frames", "4")


def test_generate_writes_everything_and_the_same_bytes_for_a_seed(
    generate: tuple[str | Path, ...], tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        done = run(*generate, "--pattern", "circle", "--views", "3", "--prompt", "a cube", "--out", tmp_path / folder)
        assert done == 0
    out = tmp_path / "a"
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    frames = {f"view_{view:02d}/{frame:04d}.png" for view in range(3) for frame in range(1, 5)}
    videos = {f"view_{view:02d}.mp4" for view in range(3)}
    assert names == frames | videos | {"grid.mp4", "transforms.json", "trajectories.png", "take.json"}
    for name in frames:
        assert (out / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert iio.imread(out / "view_00" / "0001.png").shape == (32, 32, 3)
    assert len(iio.imread(out / "view_02.mp4")) == 4
    assert json.loads((out / "take.json").read_text())["prompt"] == "a cube"


def test_generated_cameras_can_be_used_again(generate: tuple[str | Path, ...], tmp_path: Path) -> None:
    assert run(*generate, "--pattern", "circle", "--out", tmp_path / "a") == 0
    assert run(*generate, "--transforms", tmp_path / "a" / "transforms.json", "--out", tmp_path / "b") == 0
    name = "view_01/0003.png"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pattern", "circle", "--model", "/nowhere"), "/nowhere/model.json does not exist"),
        (("--pattern", "circle", "--size", "30x32"), "not a multiple of 8"),
        (("--pattern", "circle", "--size", "big"), "not of the form WxH"),
        (("--cameras", "/nowhere.txt"), "/nowhere.txt does not exist"),
        (("--transforms", "/nowhere.json", "--views", "3"), "--views goes with --pattern"),
        (("--pattern", "circle", "--frames", "40"), "at most 16"),
    ],
)
def test_bad_input_is_one_line_and_a_failure(
    generate: tuple[str | Path, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert run(*generate, "--out", tmp_path / "out", *arguments) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert not (tmp_path / "out").exists()


def test_it_runs_as_a_module_and_says_what_it_can() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cvd", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "generate" in done.stdout
