"""The wheels that the extension carries: downloaded, and retagged where Blender would refuse them."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class BuildError(Exception):
    """The extension cannot be built; the message says why."""


@dataclass(frozen=True)
class Target:
    """A platform as Blender names it, the wheel tags that run on it, and the Python versions of its Blenders."""

    blender: str
    tags: tuple[str, ...]
    pythons: tuple[str, ...]


REQUIREMENTS = ("pyzmq>=26", "msgspec>=0.19")

# Blender 4.2 to 5.0 have Python 3.11, 5.1 and later 3.13; builds of distributions have 3.13 and 3.14.
# Intel Macs: the last Blender for them has Python 3.11.
PYTHONS = ("3.11", "3.13", "3.14")
TARGETS = (
    Target("linux-x64", ("manylinux2014_x86_64", "manylinux_2_26_x86_64", "manylinux_2_28_x86_64"), PYTHONS),
    Target("windows-x64", ("win_amd64",), PYTHONS),
    Target("macos-arm64", ("macosx_11_0_arm64",), PYTHONS),
    Target("macos-x64", ("macosx_10_15_x86_64",), ("3.11",)),
)


def current_target() -> Target:
    """This machine's platform, and the Blenders that may be on it. Raises BuildError when none of ours is."""
    name = sysconfig.get_platform()
    names = {"linux-x86_64": "linux-x64", "win-amd64": "windows-x64"}
    if name.startswith("macosx"):
        blender = "macos-arm64" if name.endswith("arm64") else "macos-x64"
    else:
        blender = names.get(name, name)
    for target in TARGETS:
        if target.blender == blender:
            return target
    raise BuildError(f"There is no extension for this platform, {name}.")


def collect_wheels(python: str, targets: Sequence[Target], folder: Path) -> list[Path]:
    """The wheels of every target in `folder`, sorted by name; those that are there already are kept.

    python: an interpreter with pip and wheel. Raises BuildError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheels: set[Path] = set()
    for target in targets:
        for version in target.pythons:
            downloads = folder / "downloads" / f"{target.blender}-{version}"
            if len(list(downloads.glob("*.whl"))) < len(REQUIREMENTS):
                _download(python, target, version, downloads)
            wheels.update(_retag(python, wheel, version, folder) for wheel in sorted(downloads.glob("*.whl")))
    return sorted(wheels)


def _download(python: str, target: Target, version: str, folder: Path) -> None:
    command = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={version}", f"--dest={folder}"]
    command += [f"--platform={tag}" for tag in target.tags]
    _run([*command, *REQUIREMENTS], f"The wheels for {target.blender}, Python {version}, cannot be downloaded")


def _retag(python: str, wheel: Path, version: str, folder: Path) -> Path:
    """A copy of the wheel in `folder`, tagged for one Python version.

    pyzmq ships a wheel for all Pythons since 3.12 (cp312-abi3). Beside a wheel for one Python it would be a second one
    that fits, and Blender refuses extensions with two wheels of a package.
    """
    name, number, *_, platform = wheel.stem.split("-")
    tag = "cp" + version.replace(".", "")
    retagged = folder / f"{name}-{number}-{tag}-{tag}-{platform}.whl"
    if retagged.exists():
        return retagged
    copy = folder / wheel.name
    copy.write_bytes(wheel.read_bytes())
    if copy != retagged:
        tags = [f"--python-tag={tag}", f"--abi-tag={tag}", "--remove"]
        _run([python, "-m", "wheel", "tags", *tags, str(copy)], f"{wheel.name} cannot be retagged")
    if not retagged.exists():
        raise BuildError(f"{wheel.name} was to become {retagged.name} and did not.")
    return retagged


def _run(command: list[str], complaint: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"{complaint}:\n{(result.stderr or result.stdout).strip()}")
