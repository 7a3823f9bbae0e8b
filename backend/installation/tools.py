"""Folders, versions, and the running of other programs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class InstallError(Exception):
    """Something that the user has to mend; the message says what and how."""


def python(environment: Path) -> str:
    """The interpreter of a virtual environment."""
    return str(environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def python_version(program: str) -> tuple[int, int] | None:
    """The version of an interpreter; None when it does not run."""
    said = output([program, "-c", "import sys; print(*sys.version_info[:2])"])
    numbers = said.split() if said else []
    return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else None


def dotted(version: Sequence[int]) -> str:
    """A version as it is written."""
    return ".".join(map(str, version))


def run(command: Sequence[str], quiet: bool = False, settings: dict[str, str] | None = None) -> None:
    """Runs a command in the project's folder; InstallError when it fails.

    settings: environment variables for it.
    """
    environment = {**os.environ, **(settings or {})}
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=quiet, text=True, env=environment)
    if result.returncode:
        detail = f"\n{result.stderr.strip()}" if quiet else ""
        raise InstallError(f"this command failed (exit code {result.returncode}): {' '.join(command)}{detail}")


def output(command: Sequence[str]) -> str | None:
    """What a command prints, or None when it fails or does not exist."""
    try:
        result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    except OSError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def step(text: str) -> None:
    """Says what is being done."""
    print(f"\n[{time.strftime('%H:%M:%S')}] {text}", flush=True)
