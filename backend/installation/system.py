"""What is looked at before anything is downloaded: this Python, the disk, the packages of the system."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from .tools import ROOT, InstallError, dotted, output, python_version, run, step

OLDEST, NEWEST = (3, 11), (3, 14)

# What the bpy module is linked against, and the Debian and Ubuntu package each comes from.
LIBRARIES = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
}


def check_python() -> None:
    """InstallError when this Python is too old or too new, with the name of one that is not, if there is any."""
    this = sys.version_info[:2]
    if OLDEST <= this <= NEWEST:
        return
    names = (interpreter((3, minor)) for minor in range(NEWEST[1], OLDEST[1] - 1, -1))
    other = next((name for name in names if name), None)
    hint = f"run it with {other}" if other else "install one of those"
    raise InstallError(f"this is Python {dotted(this)}; {dotted(OLDEST)} to {dotted(NEWEST)} are supported: {hint}.")


def bring_packages(packages: Sequence[str], problems: Iterable[str | None]) -> None:
    """Bring the system's missing packages by apt, in one call, if nothing else is wrong.

    problems: what has been found wrong, without a remedy here. InstallError has a line for each, and one for the
    packages if this user cannot install any.
    """
    apt = shutil.which("apt-get")
    found = [problem for problem in problems if problem]
    if packages and not (apt and os.geteuid() == 0):
        found.append(f"this system lacks packages: {apt_command(packages)}")
    if found:
        raise InstallError("\n       ".join(found))
    if packages and apt:
        step(f"Installing system packages with apt: {' '.join(packages)}")
        settings = {"DEBIAN_FRONTEND": "noninteractive"}
        run([apt, "update", "-qq"], quiet=True, settings=settings)
        run([apt, "install", "-y", "-qq", "--no-install-recommends", *packages], quiet=True, settings=settings)
        importlib.invalidate_caches()  # what apt has brought is seen by this process too


def interpreter(version: tuple[int, int]) -> str | None:
    """A Python of this version on the PATH."""
    found = shutil.which(f"python{dotted(version)}")
    # It has to be run: version managers put programs on the PATH that only say that there is no such Python.
    return found if found and python_version(found) == version else None


def write_problem(folder: Path) -> str | None:
    """What keeps us from writing in a folder, which need not exist yet."""
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            return None
    except OSError as error:
        return f"{place} cannot be written to ({error.strerror}): choose another folder, or change its permissions."


def disk_problem(gigabytes: float) -> str | None:
    """What is wrong with the free disk, in the project's folder and in the home, where the packages' cache is."""
    for folder in (ROOT, Path.home()):
        place = _existing(folder)
        free = shutil.disk_usage(place).free / 1e9
        if free < gigabytes:
            return f"{place} has {free:.1f} GB of free disk and {gigabytes:.1f} GB are needed: make room."
    return None


def missing_packages(environments: bool, module: bool) -> list[str]:
    """Debian packages of what this system lacks.

    environments: whether an environment has to be made. module: whether the bpy module has to run.
    """
    packages = []
    if environments and importlib.util.find_spec("ensurepip") is None:
        packages.append(f"python{dotted(sys.version_info[:2])}-venv")
    if module and sys.platform == "linux":
        packages += [package for library, package in LIBRARIES.items() if not _loads(library)]
    return packages


def apt_command(packages: Sequence[str]) -> str:
    """What to do about missing packages, in one line."""
    names = " ".join(packages)
    if shutil.which("apt-get"):
        return f"sudo apt-get install -y --no-install-recommends {names}"
    return f"install what Debian calls {names} with this system's package manager"


def nvidia_card() -> bool:
    """Whether there is an NVIDIA card with a driver."""
    return Path("/proc/driver/nvidia/version").exists() or output(["nvidia-smi", "-L"]) not in (None, "")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    # Unlike Path.is_dir, this says no of what the user may not see.
    return next(place for place in (folder, *folder.parents) if os.path.isdir(place))


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
