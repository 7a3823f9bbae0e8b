"""What is kept on disk."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.fake_executor import MADE

from backend.lifetime import AlreadyRunningError, FileLock
from backend.store import Store, StoreError
from protocol import files
from protocol.messages import ErrorInfo, GenerateRequest, JobInfo
from protocol.takes import frame_path, latents_path, read_record

REQUEST = GenerateRequest(prompt="a cube", view_names=("a", "b"), width=64, height=48)
FRAMES = 3
CAMERAS = np.random.default_rng(0).normal(size=(2, 3, 4, 4)), np.random.default_rng(1).normal(size=(2, 3, 3, 3))


def job(name: str, state: str = "queued", submitted: float = 1.0, **fields: object) -> JobInfo:
    if state not in ("queued", "running"):
        fields |= {"started": submitted + 1, "finished": submitted + 3.5}
    if state == "done":
        fields["made"] = MADE
    return JobInfo(job_id=name, state=state, request=REQUEST, submitted=submitted, **fields)


def view(number: int, frames: int = FRAMES) -> tuple[list[bytes], np.ndarray]:
    """Stand-ins for a view's PNG files, and latents."""
    return [b"%d %d" % (number, frame) for frame in range(frames)], np.full((4, frames, 6, 8), number, np.float32)


def views(store: Store, name: str) -> list[tuple[int, list[bytes], np.ndarray]]:
    """What the store gives back, with the latents checked."""
    found = list(store.views(name))
    for number, _, latents in found:
        np.testing.assert_array_equal(latents, view(number)[1])
    return [(number, images) for number, images, _ in found]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "jobs", tmp_path / "connection.lock")
    assert store.load(now=0.0) == []
    return store


def again(store: Store) -> Store:
    """The same folder as a new start of the service sees it."""
    return Store(store.folder, store.folder.parent / "connection.lock")


def test_a_job_is_there_after_a_restart(store: Store) -> None:
    store.create(job("first", submitted=2.0), *CAMERAS)
    store.create(job("second", submitted=1.0), *CAMERAS)
    store.add_view("first", 1, *view(1))
    store.add_view("first", 0, *view(0))
    store.update(job("first", "done", submitted=2.0))
    store.update(job("second", "cancelled"))

    store = again(store)
    assert [entry.job_id for entry in store.load(now=9.0)] == ["second", "first"]
    assert views(store, "first") == [(0, view(0)[0]), (1, view(1)[0])]
    for kept, sent in zip(store.cameras("first"), CAMERAS, strict=True):
        np.testing.assert_array_equal(kept, sent)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_what_a_service_left_unfinished_is_failed_with_a_hint(store: Store, state: str) -> None:
    store.create(job("a", state), *CAMERAS)
    for _ in range(2):
        store = again(store)
        (loaded,) = store.load(now=9.0)
        assert (loaded.state, loaded.finished, loaded.error.code) == ("failed", 9.0, "interrupted")
        assert loaded.error.hint


def test_a_job_of_another_living_service_is_left_alone(store: Store, tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "connection.lock")
    store.create(job("a", "running"), *CAMERAS)
    other = Store(store.folder, tmp_path / "other.lock")
    assert other.load(now=9.0) == []
    lock.release()
    (loaded,) = Store(store.folder, tmp_path / "other.lock").load(now=9.0)
    assert loaded.error.code == "interrupted"


def test_broken_and_unfinished_folders_are_passed_over(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.create(job("whole", "done"), *CAMERAS)
    (store.folder / "20250101-000000-half").mkdir()
    unclear = msgspec.to_builtins(job("a", "done"))
    for name, content in {
        "broken": b'{"job": ',
        "unmade": msgspec.json.encode({"owner": "", "job": unclear | {"made": None}}),
        "blameless": msgspec.json.encode({"owner": "", "job": unclear | {"made": None, "state": "failed"}}),
    }.items():
        folder = store.folder / f"20250101-000000-{name}"
        folder.mkdir()
        (folder / "job.json").write_bytes(content)

    store = again(store)
    assert [entry.job_id for entry in store.load(now=9.0)] == ["whole"]
    for name in ("broken", "unmade", "blameless"):
        assert name in caplog.text


def test_a_view_is_finished_when_all_its_files_are_there(store: Store) -> None:
    store.create(job("a"), *CAMERAS)
    folder = next(store.folder.glob("*-a"))
    store.add_view("a", 0, *view(0))
    store.add_view("a", 1, *view(1))
    frame_path(folder, 0, 1).unlink()
    assert views(store, "a") == [(1, view(1)[0])]
    latents_path(folder, 1).unlink()
    assert views(store, "a") == []
    store.add_view("a", 0, *view(0))
    assert views(store, "a") == [(0, view(0)[0])]


def test_all_of_many_views_are_given_back_in_order(store: Store) -> None:
    store.create(job("a"), *CAMERAS)
    for number in (101, 11, 2, 10, 9):
        store.add_view("a", number, *view(number))
    assert [number for number, _ in views(store, "a")] == [2, 9, 10, 11, 101]


def test_a_done_job_becomes_a_take(store: Store) -> None:
    store.create(job("a"), *CAMERAS)
    for number in (0, 1):
        store.add_view("a", number, *view(number))
    store.add_take(job("a", "done"))
    record = read_record(next(store.folder.glob("*-a")))
    assert (record.job_id, record.seconds, record.created) == ("a", 2.5, 4.5)
    assert (record.width, record.height, record.prompt) == (64, 48, "a cube")
    assert (record.settings, record.model, record.software) == (MADE.settings, MADE.model, MADE.software)
    assert record.files == tuple(
        f"view_{number:02d}/{name}" for number in (0, 1) for name in ("0001.png", "0002.png", "0003.png", "latents.npy")
    )
    np.testing.assert_array_equal(np.array(record.c2w), CAMERAS[0])
    np.testing.assert_array_equal(np.array(record.K), CAMERAS[1])


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_the_samplers_state_goes_when_the_job_is_over(store: Store, state: str) -> None:
    error = ErrorInfo(code="x", message="y") if state == "failed" else None
    store.create(job("a"), *CAMERAS)
    path = store.state_file("a")
    path.write_bytes(b"state")
    store.update(job("a", "running"))
    assert path.exists()
    store.update(job("a", state, error=error))
    assert not path.exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_only_its_owner_may_look_into_a_job(store: Store) -> None:
    previous = os.umask(0)
    try:
        store.create(job("a"), *CAMERAS)
        store.add_view("a", 0, *view(0))
        store.add_take(job("a", "done"))
    finally:
        os.umask(previous)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [store.folder, *store.folder.rglob("*")]}
    assert len(modes) == 11
    for path, mode in modes.items():
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_disk_that_refuses_is_a_typed_error(store: Store) -> None:
    store.create(job("a"), *CAMERAS)
    (next(store.folder.glob("*-a")) / "view_00").write_bytes(b"a file where a folder belongs")
    with pytest.raises(StoreError, match="frames of job a"):
        store.add_view("a", 0, *view(0))


@pytest.mark.parametrize("full_from", range(3))
def test_a_disk_that_is_full_leaves_no_half_of_a_job(
    store: Store, full_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create(job("before"), *CAMERAS)
    replace, written = os.replace, []

    def refuse(source: Path, target: Path) -> None:
        if len(written) == full_from:
            raise OSError(28, "No space left on device")
        written.append(target)
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(StoreError, match="No space left"):
        store.create(job("a"), *CAMERAS)
    assert [path.name for path in store.folder.iterdir()] == [store.state_file("before").parent.name]


def test_a_state_that_the_disk_refuses_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(job("a"), *CAMERAS)
    monkeypatch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    for write in (lambda: store.update(job("a", "running")), lambda: store.add_take(job("a", "done"))):
        with pytest.raises(StoreError, match="No space left"):
            write()


def test_cameras_that_are_not_plain_arrays_are_not_read(store: Store) -> None:
    store.create(job("a"), *CAMERAS)
    np.save(next(store.folder.glob("*-a")) / "c2w.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match="could not read"):
        store.cameras("a")


HOLD_A_LOCK = """
import sys, pathlib, backend.lifetime
lock = backend.lifetime.FileLock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
input()
"""


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD_A_LOCK, str(tmp_path / "x")]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunningError, match="running already"):
            FileLock(tmp_path / "x")
    finally:
        holder.kill()
        holder.communicate()
    FileLock(tmp_path / "x").release()


def test_the_job_file_is_readable_by_people(store: Store) -> None:
    store.create(job("a"), *CAMERAS)
    record = msgspec.json.decode(next(store.folder.glob("*-a/job.json")).read_bytes())
    assert record["job"]["request"]["prompt"] == "a cube"
