"""`python -m cvd`, run as a user runs it."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import rich.progress

from cvd.cameras.files import read_transforms, write_transforms
from cvd.cameras.patterns import pattern_cameras
from cvd.commands.cli import main
from cvd.sampling.denoise import unet_calls
from protocol.settings import SamplingSettings
from protocol.takes import latents_path, read_record

ROOT = Path(__file__).parents[3]


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def generate(tiny_model_folder: Path) -> tuple[str | Path, ...]:
    return ("generate", "--model", tiny_model_folder, "--size", "32x32", "--steps", "2", "--frames", "4")


@pytest.mark.slow
def test_generate_writes_everything_and_the_same_bytes_for_a_seed(
    generate: tuple[str | Path, ...], tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        done = run(*generate, "--pattern", "circle", "--views", "3", "--prompt", "a cube", "--out", tmp_path / folder)
        assert done == 0
    out = tmp_path / "a"
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    frames = {f"view_{view:02d}/{frame:04d}.png" for view in range(3) for frame in range(1, 5)}
    latents = {f"view_{view:02d}/latents.npy" for view in range(3)}
    stems = ["grid", *(f"view_{view:02d}" for view in range(3))]
    videos = {f"{stem}.{suffix}" for stem in stems for suffix in ("mp4", "gif")}
    assert names == frames | videos | {"transforms.json", "trajectories.png", "take.json"} | latents
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
        (("--pattern", "circle", "--model", "/nowhere"), 'no model "/nowhere"; there are: starter'),
        (("--pattern", "circle", "--steps", "0"), "num_inference_steps is 0"),
        (("--pattern", "circle", "--lora", "a.safetensors=0.5"), "go with a folder of the official files"),
        (("--pattern", "circle", "--scale", "-1"), "cannot be scaled"),
        (("--pattern", "circle", "--reverse", "0"), "--reverse goes with --cameras"),
        (("--pattern", "circle", "--prompt-file", "/nowhere.json"), "/nowhere.json does not exist"),
        (("--pattern", "circle", "--anchor", "/nowhere"), "/nowhere holds no take"),
        (("--colmap", "/nowhere"), "/nowhere/cameras.txt does not exist"),
        (("--pattern", "circle", "--size", "30x32"), "not a multiple of 8"),
        (("--pattern", "circle", "--size", "big"), "not of the form WxH"),
        (("--cameras", "/nowhere.txt"), "/nowhere.txt does not exist"),
        (("--transforms", "/nowhere.json", "--views", "3"), "--views and --camera-dist go with --pattern"),
        (("--pattern", "circle", "--frames", "129"), "at most 128"),
        (("--pattern", "circle", "--seed", "-1"), "seed -1 is not a whole number"),
        (("--pattern", "circle", "--seed", "1", str(2**63)), "is not a whole number from 0"),
        (("--pattern", "circle", "--seed", "1", "1"), "seed 1 is given twice"),
        (("--pattern", "circle", "--guidance", "nan"), "guidance_scale is nan"),
        (("--pattern", "circle", "--prompt-file", "/"), "/ is not a JSON file"),
        (("--pattern", "circle", "--anchor", "/nowhere", "--scale", "1"), "/nowhere holds no take"),
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


@pytest.mark.slow
def test_it_runs_as_a_module_and_says_what_it_can() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cvd", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "generate" in done.stdout


@pytest.mark.slow
def test_prompt_files_and_seeds_have_a_folder_each(generate: tuple[str | Path, ...], tmp_path: Path) -> None:
    document = {"prompts": ["a", "b"], "negative_prompts": ["", "dark"], "seeds": [[1, 2], 3]}
    (tmp_path / "prompts.json").write_text(json.dumps(document))
    arguments = ("--pattern", "circle", "--prompt-file", tmp_path / "prompts.json", "--out", tmp_path / "out")
    assert run(*generate, *arguments) == 0
    takes = {path.parent.relative_to(tmp_path / "out").as_posix(): path for path in tmp_path.rglob("take.json")}
    assert set(takes) == {"prompt_00/seed_1", "prompt_00/seed_2", "prompt_01/seed_3"}
    last = json.loads(takes["prompt_01/seed_3"].read_text())
    assert (last["prompt"], last["negative_prompt"], last["settings"]["seed"]) == ("b", "dark", 3)


@pytest.mark.slow
def test_anchored_views_keep_their_bytes(generate: tuple[str | Path, ...], tmp_path: Path) -> None:
    assert run(*generate, "--pattern", "circle", "--views", "2", "--out", tmp_path / "a") == 0
    more = ("--pattern", "upper_hemi", "--views", "1", "--anchor", tmp_path / "a", "--out", tmp_path / "b")
    assert run(*generate, *more) == 0
    for view in (0, 1):
        name = f"view_{view:02d}/0004.png"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "b" / "view_02" / "0004.png").is_file()


@pytest.mark.slow
def test_more_views_of_a_file_lie_where_the_finished_ones_do(generate: tuple[str | Path, ...], tmp_path: Path) -> None:
    """The same file again: the new views have the scale, size and frames of the finished views."""
    files = ("--transforms", tmp_path / "transforms.json")
    write_transforms(tmp_path / "transforms.json", pattern_cameras("circle", 2, 32, 64, frames=6))
    small = (*generate[:3], "--steps", "1")
    assert run(*small, *files, "--size", "32x32", "--frames", "3", "--scale", "2", "--out", tmp_path / "a") == 0
    assert run(*small, *files, "--anchor", tmp_path / "a", "--out", tmp_path / "b") == 0
    cameras = read_transforms(tmp_path / "b" / "transforms.json")
    np.testing.assert_allclose(cameras.c2w[2:], cameras.c2w[:2])
    np.testing.assert_allclose(cameras.K[2:], cameras.K[:2])
    first, second = (json.loads((tmp_path / name / "take.json").read_text()) for name in "ab")
    assert first["scale"] == second["scale"] == pytest.approx(4)
    assert (second["options"]["anchor"], second["anchored_views"]) == (str(tmp_path / "a"), 2)
    assert second["view_names"] == ["view_00", "view_01", "view_02", "view_03"]
    # Views can be added to the extended take, too.
    assert run(*small, *files, "--anchor", tmp_path / "b", "--out", tmp_path / "b") == 0
    assert read_transforms(tmp_path / "b" / "transforms.json").views == 6


def test_a_take_says_all_that_it_takes_to_repeat_it(generate: tuple[str | Path, ...], tmp_path: Path) -> None:
    pattern = ("--pattern", "circle", "--views", "3", "--camera-dist", "0.25", "--seed", "7")
    assert run(*generate, *pattern, "--dtype", "bfloat16", "--scheduler", "euler", "--out", tmp_path / "a") == 0
    take = read_record(tmp_path / "a")
    assert take.options["cameras"] == {
        "pattern": "circle",
        "camera_dist": 0.25,
        "views": 3,
        "size": "32x32",
        "frames": 4,
    }
    assert {name: value for name, value in take.options.items() if name != "cameras"} == {
        "anchor": None,
        "draft": False,
        "model": str(generate[2]),
        "base_model": None,
        "adapter": True,
        "lora": [],
        "dtype": "bfloat16",
        "device": None,
    }
    assert take.settings == SamplingSettings(
        seed=7, num_inference_steps=2, guidance_scale=5.0, scheduler="euler", multistep=3, accumulate_step=1
    )
    assert (take.scale, take.anchored_views, take.scene, take.job_id) == (1, 0, None, None)
    assert (take.model.name, take.model.family, len(take.model.sha256)) == ("tiny", "cvd", 64)
    assert take.software[0].isdigit()
    assert take.created == pytest.approx(time.time(), abs=600)


def test_a_folder_that_cannot_take_the_result_is_refused_before_the_model_is_loaded(
    tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model has a description but no weights, so its loading would be another error."""
    model, other = tmp_path / "model", tmp_path / "other"
    for folder in (model, other / "view_00", other / "prompt_00" / "seed_2"):
        folder.mkdir(parents=True)
    shutil.copy(tiny_model_folder / "model.json", model)
    for file in (other / "view_00" / "0001.png", other / "prompt_00" / "seed_2" / "grid.mp4", tmp_path / "file"):
        file.write_text("mine")
    for out, message in (
        (other, "Choose another folder"),
        (tmp_path / "file" / "deeper", "cannot be written"),
        (Path("/proc/nothing"), "cannot be written"),
    ):
        assert run("generate", "--model", model, "--pattern", "circle", "--out", out) == 1
        assert message in capsys.readouterr().err
    assert run("generate", "--model", model, "--pattern", "circle", "--seed", "1", "2", "--out", other) == 1
    assert "seed_2 holds grid.mp4" in capsys.readouterr().err


@pytest.mark.slow
def test_a_used_folder_holds_the_new_take_alone(generate: tuple[str | Path, ...], tmp_path: Path) -> None:
    assert run(*generate, "--pattern", "circle", "--views", "3", "--out", tmp_path) == 0
    assert run(*generate, "--pattern", "circle", "--views", "1", "--frames", "2", "--out", tmp_path) == 0
    assert {path.name for path in tmp_path.glob("view_*")} == {"view_00", "view_00.mp4", "view_00.gif"}
    assert {path.name for path in (tmp_path / "view_00").iterdir()} == {"0001.png", "0002.png", "latents.npy"}


def test_what_is_finished_when_a_run_is_stopped_stays(
    generate: tuple[str | Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[str] = []
    add_task = rich.progress.Progress.add_task

    def stop_in_the_second_run(bar: rich.progress.Progress, name: str, **settings: int) -> int:
        stages.append(name)
        if stages.count("denoising") == 2:
            raise KeyboardInterrupt
        return add_task(bar, name, **settings)

    monkeypatch.setattr(rich.progress.Progress, "add_task", stop_in_the_second_run)
    assert run(*generate, "--pattern", "circle", "--seed", "1", "2", "3", "--out", tmp_path) == 130
    assert {path.parent.name for path in tmp_path.rglob("take.json")} == {"seed_1"}
    assert not (tmp_path / "prompt_00" / "seed_2").exists()


@pytest.mark.slow
def test_seeds_of_a_prompt_file_are_told_to_count_more(
    generate: tuple[str | Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompts.json").write_text(json.dumps({"prompts": ["a", "b"], "seeds": [[], 3]}))
    arguments = ("--pattern", "circle", "--prompt-file", tmp_path / "prompts.json", "--seed", "5")
    assert run(*generate, *arguments, "--out", tmp_path / "out") == 0
    assert "--seed does not count for the 1 prompts that have seeds" in capsys.readouterr().out
    takes = {path.parent.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("take.json")}
    assert takes == {"prompt_00/seed_5", "prompt_01/seed_3"}


@pytest.mark.slow
def test_videos_finishes_a_take(generate: tuple[str | Path, ...], tmp_path: Path) -> None:
    assert run(*generate, "--pattern", "circle", "--out", tmp_path) == 0
    (tmp_path / "take.json").rename(tmp_path / "take.unfinished.json")
    (tmp_path / "grid.mp4").unlink()
    assert run("videos", tmp_path) == 0
    assert (tmp_path / "take.json").is_file()
    assert (tmp_path / "grid.mp4").is_file()


def test_a_draft_is_at_least_three_times_cheaper(generate: tuple[str | Path, ...], tmp_path: Path) -> None:
    arguments = (*generate[:3], "--size", "32x32", "--frames", "2", "--pattern", "circle", "--draft")
    assert run(*arguments, "--out", tmp_path) == 0
    drafted = read_record(tmp_path).settings
    full = unet_calls(4, 1, 1)
    assert full >= 3 * unet_calls(drafted.num_inference_steps, drafted.multistep, drafted.accumulate_step)
    assert drafted.scheduler == "dpmsolver++"


@pytest.mark.slow
def test_convert_writes_a_model_that_generates_the_same(
    official_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("convert", "--model", official_folder, "--out", tmp_path / "model") == 0
    assert capfd.readouterr().err == ""
    # In smaller images the deepest feature map has one pixel. Its group norm makes rounding thousands of times larger.
    common = ("--pattern", "circle", "--size", "96x64", "--steps", "1", "--frames", "2")
    for model, out in ((official_folder, "a"), (tmp_path / "model", "b")):
        assert run("generate", "--model", model, *common, "--out", tmp_path / out) == 0
    np.testing.assert_allclose(*(np.load(latents_path(tmp_path / out, 1)) for out in ("a", "b")), atol=1e-3)
    frames = (iio.imread(tmp_path / out / "view_01" / "0002.png").astype(int) for out in ("a", "b"))
    np.testing.assert_allclose(*frames, atol=1, rtol=0)


def test_convert_writes_over_nothing_but_other_models(
    official_folder: Path, tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for model, out, message in (
        (official_folder, tmp_path, "holds other files, and no model.json"),
        (official_folder, tmp_path / "notes.txt", "cannot be written"),
        (tiny_model_folder, tiny_model_folder, "cannot be written over itself"),
    ):
        assert run("convert", "--model", model, "--out", out) == 1
        assert message in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_cameras_go_from_format_to_format(tmp_path: Path) -> None:
    pattern = ("--pattern", "circle", "--views", "3", "--size", "96x64", "--scale", "2")
    assert run("cameras", *pattern, "--to", "colmap", "realestate", "--out", tmp_path / "a") == 0
    assert run("cameras", "--colmap", tmp_path / "a" / "colmap", "--to", "transforms", "--out", tmp_path / "b") == 0
    cameras = read_transforms(tmp_path / "b" / "transforms.json")
    assert (cameras.views, cameras.frames, cameras.width) == (3, 16, 96)
    assert cameras.largest_motion() == pytest.approx(2)
    assert (tmp_path / "a" / "view_02.txt").is_file()
    assert iio.imread(tmp_path / "b" / "trajectories.png").ndim == 3
