"""What is kept on disk."""

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from backend.lifetime import AlreadyRunningError, FileLock
from backend.store import Store, StoreError
from protocol.messages import GenerateRequest, JobInfo

REQUEST = GenerateRequest(prompt="a cube", view_names=("a", "b"), width=64, height=64)
CAMERAS = np.random.default_rng(0).normal(size=(2, 3, 4, 4)), np.random.default_rng(1).normal(size=(2, 3, 3, 3))


def job(name: str, state: str = "queued", submitted: float = 1.0) -> JobInfo:
    finished = None if state in ("queued", "running") else submitted + 1
    return JobInfo(job_id=name, state=state, request=REQUEST, submitted=submitted, finished=finished)


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
    store.add_view("first", 1, [b"one", b"two"])
    store.add_view("first", 0, [b"zero"])
    store.update(job("first", "done", submitted=2.0))
    store.update(job("second", "cancelled"))

    store = again(store)
    assert [entry.job_id for entry in store.load(now=9.0)] == ["second", "first"]
    assert list(store.views("first")) == [(0, [b"zero"]), (1, [b"one", b"two"])]
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


def test_half_written_files_are_passed_over(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.create(job("whole", "done"), *CAMERAS)
    (store.folder / ".20250101-000000-half").mkdir()
    folder = store.folder / "20250101-000000-broken"
    folder.mkdir()
    (folder / "job.json").write_bytes(b'{"job": ')
    half_view = next(store.folder.glob("*-whole")) / ".view_00"
    half_view.mkdir()
    (half_view / "0001.png").write_bytes(b"half")

    store = again(store)
    assert [entry.job_id for entry in store.load(now=9.0)] == ["whole"]
    assert "broken" in caplog.text
    assert list(store.views("whole")) == []
    store.add_view("whole", 0, [b"whole"])
    assert list(store.views("whole")) == [(0, [b"whole"])]


def test_a_disk_that_refuses_is_a_typed_error(store: Store) -> None:
    store.create(job("a"), *CAMERAS)
    (next(store.folder.glob("*-a")) / "view_00").write_bytes(b"a file where a folder belongs")
    with pytest.raises(StoreError, match="frames of job a"):
        store.add_view("a", 0, [b"one"])
    assert not list(store.folder.glob("*-a/.view_00")), "nothing half done stays"


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
