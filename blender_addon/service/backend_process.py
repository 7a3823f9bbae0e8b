"""The generation service as a child process: started, watched and stopped. It runs in the socket thread only."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..problem import AddonError
from ..protocol.connection import Installation, read_installation

LOG_TAIL_LINES = 12
TERMINATE_TIMEOUT = 5.0
KEEP_SECONDS = 7 * 24 * 3600.0


class BackendStartError(AddonError):
    """A service that could not be started."""

    code = "backend_start"


class BackendEndedError(AddonError):
    """A service whose process has ended, and nobody asked it to."""

    code = "backend_ended"


@dataclass(frozen=True)
class Launch:
    """How to start the service.

    folder: a folder of this Blender's own, for the connection file and the log; it need not exist.
    parent_pid: process id of Blender.
    python, project: interpreter and folder that replace those of the installation record, or empty.
    """

    folder: Path
    parent_pid: int
    python: str = ""
    project: str = ""

    @property
    def connection_file(self) -> Path:
        """The file in which the service says how to reach it. Each Blender has its own, as each may start a service."""
        return self.folder / f"connection-{self.parent_pid}.json"

    @property
    def log_path(self) -> Path:
        """The file with what the service printed."""
        return self.folder / f"backend-{self.parent_pid}.log"

    def installation(self) -> Installation:
        """Interpreter and project folder to use. Raises `protocol.errors.NotInstalledError`."""
        if self.python and self.project:
            return Installation(python=self.python, project=self.project, version="")
        recorded = read_installation()
        return Installation(
            python=self.python or recorded.python, project=self.project or recorded.project, version=recorded.version
        )


class BackendProcess:
    """The running service. It ends by itself when the process `launch.parent_pid` does."""

    def __init__(self, launch: Launch) -> None:
        """Start it. Raises BackendStartError and `protocol.errors.NotInstalledError`."""
        self.launch = launch
        installation = launch.installation()
        launch.folder.mkdir(parents=True, exist_ok=True)
        _remove_old_files(launch.folder)
        launch.connection_file.unlink(missing_ok=True)
        command = [installation.python, "-m", "backend", "serve"]
        command += ["--connection-file", str(launch.connection_file), "--parent-pid", str(launch.parent_pid)]
        try:
            with open(launch.log_path, "wb") as log:
                self._process = subprocess.Popen(
                    command,
                    cwd=installation.project,
                    env=_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    **_detached(),
                )
        except OSError as error:
            raise BackendStartError(
                f"The backend could not be started: {error}.",
                "Check the interpreter and the project folder in the add-on's preferences.",
            ) from error

    def ready(self) -> bool:
        """Whether it has written its connection file. Raises BackendEndedError when it ended instead."""
        self.check()
        return self.launch.connection_file.exists()

    def check(self) -> None:
        """Raise BackendEndedError when the process has ended."""
        if self._process.poll() is not None:
            raise self.ended()

    def ended(self) -> BackendEndedError:
        """The error that says so, once the process has ended."""
        return BackendEndedError(f"The backend ended with status {self._process.returncode}.", "Restart it.")

    def log_tail(self) -> str:
        """The last lines of what it printed."""
        lines = self.launch.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def wait(self, seconds: float) -> bool:
        """Whether it ends within `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """End it, by force where it does not end when asked."""
        if self._process.poll() is None:
            self._process.terminate()
            if not self.wait(TERMINATE_TIMEOUT):
                self._process.kill()
                self._process.wait()
        self.launch.connection_file.unlink(missing_ok=True)


def _remove_old_files(folder: Path) -> None:
    """Remove what services of earlier Blenders left; each has its own connection file, lock and log."""
    oldest = time.time() - KEEP_SECONDS
    for path in folder.iterdir():
        if path.is_file() and path.stat().st_mtime < oldest:
            with contextlib.suppress(PermissionError):  # still in use, on Windows
                path.unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    """This process's environment without what would lead another Python to Blender's libraries."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }


def _detached() -> dict[str, Any]:
    """No console window on Windows; elsewhere a Ctrl-C that is meant for Blender does not reach the service."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}
