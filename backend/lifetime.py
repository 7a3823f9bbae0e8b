"""When the service may start, and when it has to end: one service per connection file, none without its parent."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil

from protocol.errors import ProtocolError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class AlreadyRunningError(ProtocolError):
    """Another service has the same connection file."""

    code = "already_running"


class NoProcessError(ProtocolError):
    """There is no process of the given id."""

    code = "no_process"


class FileLock:
    """Shows that this process lives. Other processes see the file locked until `release` or the process's end."""

    def __init__(self, path: Path, wait_seconds: float = 0.0) -> None:
        """Raises AlreadyRunningError when another process has the lock for longer than `wait_seconds`."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = open(path, "wb")  # noqa: SIM115 - open for as long as the lock is held
        deadline = time.monotonic() + wait_seconds
        while not self._try():
            if time.monotonic() > deadline:
                self._file.close()
                raise AlreadyRunningError(
                    f"A service is running already: it holds {path}.",
                    "`python -m backend status` shows it, `python -m backend stop` ends it.",
                )
            time.sleep(0.1)

    def release(self) -> None:
        """Let others have it."""
        self._file.close()

    def _try(self) -> bool:
        try:
            if sys.platform == "win32":
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Whether another `FileLock` on this file is held."""
    if not path.exists():
        return False
    try:
        FileLock(path).release()
    except AlreadyRunningError:
        return True
    return False


class WatchedProcess:
    """A process whose end matters here, such as the one that the service was started for."""

    def __init__(self, pid: int) -> None:
        """Raises NoProcessError."""
        try:
            self._process = psutil.Process(pid)
        except psutil.NoSuchProcess:
            raise NoProcessError(f"There is no process {pid}.", "Give the id of a running process.") from None

    def is_gone(self) -> bool:
        """Whether it has ended. A later process of the same id does not count, nor does a zombie."""
        try:
            return not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
