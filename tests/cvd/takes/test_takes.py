"""Takes on disk: whole, unfinished and replaced ones, and folders of other programs."""

import json
import shutil
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from support.records import example_record

from cvd.cameras.patterns import pattern_cameras
from cvd.errors import RequestError
from cvd.request import Output
from cvd.takes import export, takes
from cvd.takes.takes import check_take_folder, finish_take, read_take, write_take
from protocol.takes import TakeRecord


def example(views: int, frames: int = 2, seed: int = 0, **fields: Any) -> tuple[Output, TakeRecord]:
    random = np.random.default_rng(seed)
    videos = random.integers(0, 256, (views, frames, 32, 48, 3)).astype(np.float32) / 255
    latents = random.normal(size=(views, 4, frames, 4, 6)).astype(np.float32)
    cameras = pattern_cameras("circle", views, 32, 48, frames)
    return Output(videos, latents), example_record(cameras, **fields)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def three_views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("three")
    write_take(folder, *example(3, frames=3, scale=0.5))
    return folder


@pytest.fixture
def take(three_views: Path, tmp_path: Path) -> Path:
    return shutil.copytree(three_views, tmp_path / "take")


def test_a_take_comes_back(tmp_path: Path) -> None:
    output, record = example(2, scale=0.5, warnings=["too long"], options={"model": "any"})
    write_take(tmp_path / "a", output, record)
    back = read_take(tmp_path / "a")
    assert np.array_equal(back.output.latents, output.latents)
    np.testing.assert_allclose(back.output.videos, output.videos, atol=1e-6)
    cameras = pattern_cameras("circle", 2, 32, 48, 2)
    assert np.array_equal(back.cameras.c2w, cameras.c2w)
    assert np.array_equal(back.cameras.K, cameras.K)
    assert (back.cameras.height, back.cameras.width) == (32, 48)
    assert (back.record.scale, back.record.warnings, back.record.settings.num_inference_steps) == (
        0.5,
        ("too long",),
        3,
    )
    assert back.record.software[0].isdigit()
    assert back.record.files == tuple(
        f"view_0{view}/{name}" for view in range(2) for name in ("0001.png", "0002.png", "latents.npy")
    )
    assert all((tmp_path / "a" / name).is_file() for name in back.record.files)


def test_a_smaller_take_leaves_nothing_of_the_larger_one_and_keeps_other_files(take: Path, tmp_path: Path) -> None:
    (take / "notes.txt").write_text("mine")
    (take / "view_02" / "notes.txt").write_text("mine")
    (take / "view_01" / "matte.png").write_text("mine")
    write_take(tmp_path / "alone", *example(1))
    write_take(take, *example(1))
    assert files(take) == files(tmp_path / "alone") | {"notes.txt", "view_02/notes.txt", "view_01/matte.png"}
    assert len(read_take(take).output.videos) == 1


@pytest.mark.parametrize(
    "name", ["view_00/0001.png", "grid.mp4", "view_07.gif", "transforms.json", "view_01/latents.npy", "take.json"]
)
def test_somebody_elses_files_are_refused_and_stay(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    for attempt in (lambda: check_take_folder(tmp_path), lambda: write_take(tmp_path, *example(1))):
        with pytest.raises(RequestError, match="Choose another folder"):
            attempt()
    assert files(tmp_path) == {name}
    assert (tmp_path / name).read_text() == "{}"


def test_folders_that_can_take_a_take(tmp_path: Path, take: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    before = files(tmp_path)
    for folder in (tmp_path / "new" / "deeper", tmp_path / "other", take):
        check_take_folder(folder)
    assert files(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper", tmp_path / ("x" * 300), Path("/proc/take")):
        with pytest.raises(RequestError, match="cannot be written"):
            check_take_folder(folder)


def test_a_failing_encoder_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no encoder\nhere")

    output, record = example(2)
    with monkeypatch.context() as broken:
        broken.setattr(export, "write_mp4", fail)
        with pytest.raises(RequestError, match=r"no encoder.*The frames are there"):
            write_take(tmp_path, output, record)
    assert np.array_equal(np.load(tmp_path / "view_01" / "latents.npy"), output.latents[1])
    with pytest.raises(RequestError, match="unfinished take"):
        read_take(tmp_path)
    takes.write_videos(tmp_path, takes.read_videos(tmp_path))
    finish_take(tmp_path)
    assert len(read_take(tmp_path).output.videos) == 2


def test_what_was_stopped_half_way_is_no_take_and_is_written_over(
    take: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(takes, "write_transforms", stop)
        with pytest.raises(KeyboardInterrupt):
            write_take(take, *example(2, frames=4))
    assert not (take / "take.json").exists()
    with pytest.raises(RequestError, match="unfinished take"):
        read_take(take)
    write_take(take, *example(1))
    assert len(read_take(take).output.videos) == 1
    assert not any("unfinished" in name for name in files(take))


def test_a_take_that_misses_frames_cannot_be_finished(take: Path) -> None:
    (take / "take.json").rename(take / "take.unfinished.json")
    (take / "view_02" / "0003.png").unlink()
    with pytest.raises(RequestError, match="differ"):
        finish_take(take)
    assert not (take / "take.json").exists()


def edit_record(take: Path, **fields: Any) -> None:
    record = json.loads((take / "take.json").read_text())
    (take / "take.json").write_text(json.dumps(record | fields))


def save_latents(take: Path, shape: tuple[int, ...], value: float = 0.0) -> None:
    np.save(take / "view_02" / "latents.npy", np.full(shape, value))


@pytest.mark.parametrize(
    ("frames", "shape", "fits"),
    [
        (9, (4, 9, 4, 6), True),
        (9, (4, 3, 4, 6), True),  # a frame, and then one for every four
        (9, (4, 5, 2, 3), True),
        (9, (4, 4, 4, 6), False),
        (9, (4, 1, 4, 6), False),
        (3, (4, 2, 4, 6), True),
        (1, (4, 1, 4, 6), True),
        (9, (4, 17, 4, 6), False),
    ],
)
def test_latents_may_be_compressed_in_time(tmp_path: Path, frames: int, shape: tuple[int, ...], fits: bool) -> None:
    output, record = example(1, frames=frames)
    write_take(tmp_path, Output(output.videos, np.zeros((1, *shape), np.float32)), record)
    if fits:
        assert read_take(tmp_path).output.latents.shape == (1, *shape)
    else:
        with pytest.raises(RequestError, match="do not fit each other"):
            read_take(tmp_path)


def spoil_frames(take: Path) -> None:
    for view in range(3):
        (take / f"view_{view:02d}" / "0003.png").unlink()


def spoil_image(take: Path) -> None:
    path = take / "view_01" / "0002.png"
    path.write_bytes(path.read_bytes()[:100])


def spoil_size(take: Path) -> None:
    iio.imwrite(take / "view_01" / "0002.png", np.zeros((16, 16, 3), np.uint8))


def spoil_colours(take: Path) -> None:
    for path in take.rglob("0*.png"):
        iio.imwrite(path, np.zeros((32, 32), np.uint8))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda take: (take / "take.json").unlink(), "holds no take"),
        (lambda take: (take / "take.json").write_text("{"), "take.json is broken"),
        (lambda take: (take / "take.json").write_text("[]"), "take.json is broken"),
        (lambda take: (take / "take.json").write_text("{}"), "another program"),
        (lambda take: edit_record(take, version=99), "version 99 of the record"),
        (lambda take: edit_record(take, settings=None), "take.json is broken"),
        (lambda take: edit_record(take, K=[]), "cameras do not fit its views"),
        (lambda take: edit_record(take, view_names=["a"]), "cameras do not fit its views"),
        (lambda take: (take / "view_01" / "latents.npy").unlink(), "latents.npy cannot be read"),
        (lambda take: (take / "view_00" / "latents.npy").write_bytes(b"\x93NUMPY"), "latents.npy cannot be read"),
        (lambda take: save_latents(take, (4, 1, 4, 6)), "do not fit each other"),
        (lambda take: save_latents(take, (4, 3, 4, 2)), "do not fit each other"),
        (lambda take: save_latents(take, (4, 3, 3, 3)), "do not fit each other"),
        (lambda take: save_latents(take, (4, 3, 0, 0)), "do not fit each other"),
        (lambda take: save_latents(take, (4, 3, 4, 6), np.nan), "do not fit each other"),
        (lambda take: (take / "view_02").rename(take / "elsewhere"), "do not fit each other"),
        (lambda take: (take / "view_00").rename(take / "elsewhere"), "holds no view_00/0001.png"),
        (lambda take: (take / "view_01").rename(take / "elsewhere"), "but a later view is there"),
        (lambda take: (take / "view_00" / "0003.png").unlink(), "differ"),
        (spoil_frames, "do not fit each other"),
        (spoil_image, "view_01 cannot be read"),
        (spoil_size, "view_01 cannot be read"),
        (spoil_colours, "not in RGB"),
    ],
)
def test_a_take_that_is_not_whole_is_no_anchor(take: Path, spoil: object, message: str) -> None:
    spoil(take)
    with pytest.raises(RequestError, match=message):
        read_take(take)
