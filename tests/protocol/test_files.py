"""Files that appear whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from protocol import files
from protocol.files import PRIVATE, SHARED, write_whole

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with an older content."""
    path = tmp_path / "record.json"
    path.write_bytes(b"old")
    return path


def test_a_file_replaces_the_older_one(path: Path) -> None:
    write_whole(path, b"new", durable=True)
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
@pytest.mark.parametrize(("mode", "file", "folder"), [(PRIVATE, 0o600, 0o700), (SHARED, 0o644, 0o755)])
def test_a_new_file_has_its_mode_and_a_folder(tmp_path: Path, mode: int, file: int, folder: int) -> None:
    previous = os.umask(0o022)
    try:
        write_whole(tmp_path / "new" / "file", b"x", mode)
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "new" / "file").stat().st_mode) == file
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == folder


@pytest.mark.skipif(os.name != "posix", reason="a limit of POSIX")
def test_a_disk_that_is_full_in_the_middle_leaves_the_old_file_alone(path: Path) -> None:
    """A process that may write files of 1000 bytes is refused in the middle of its own."""
    code = """
import resource, signal, sys, pathlib
from protocol.files import write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_whole(pathlib.Path(sys.argv[1]), bytes(100_000))
except OSError as error:
    print("refused")
"""
    result = subprocess.run([sys.executable, "-c", code, path], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout == "refused\n"
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path], "no temporary file stays"


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_an_error_at_any_step_leaves_the_old_file_alone(path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(files.os, call, refuse)
    with pytest.raises(OSError, match="no"):
        write_whole(path, b"new", durable=True)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_a_process_killed_in_the_middle_leaves_the_old_file_alone(path: Path) -> None:
    """It is killed when the content is written and not yet in its place."""
    code = """
import os, signal, sys, pathlib
from protocol import files
files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
files.write_whole(pathlib.Path(sys.argv[1]), b"new")
"""
    result = subprocess.run([sys.executable, "-c", code, path], cwd=PROJECT, check=False)
    assert result.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_a_reader_never_sees_a_part(path: Path) -> None:
    """Whoever opened the old file reads the old content to its end."""
    path.write_bytes(b"old" * 1000)
    with open(path, "rb") as file:
        start = file.read(3)
        write_whole(path, b"new" * 1000)
        assert start + file.read() == b"old" * 1000
