"""Which Blender the demo and the tests run in, and the running of a module in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .system import interpreter
from .tools import ROOT, InstallError, dotted, output, python

BLENDER = ROOT / ".venv-blender"
TOOLS = ROOT / "build" / "blender-tools"

OLDEST_BLENDER, SILENT_BLENDER = (4, 2), (4, 3)
BPY = {(3, 11): "bpy==5.0.1", (3, 13): "bpy==5.2.3"}
"""Blender as a Python module: each release runs in one version of Python."""

# For a Blender, what `python -m MODULE ARGUMENTS` is for an interpreter.
RUN_MODULE = """
import runpy, sys
sys.path[:0] = {paths!r}
sys.argv[:] = sys.argv[sys.argv.index("--") + 1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


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


def run_in_blender(blender: Blender, module: str, *arguments: str) -> int:
    """Runs a module as a program in Blender, without the user's settings. Its exit code."""
    if not blender.program:
        return subprocess.run([python(BLENDER), "-m", module, *arguments], cwd=ROOT, check=False).returncode
    code = RUN_MODULE.format(paths=[str(ROOT), str(TOOLS)])
    options = ["-b", "--factory-startup", "--python-exit-code", "1", "--python-expr", code]
    if (blender_version(blender.program) or OLDEST_BLENDER) >= SILENT_BLENDER:
        options.insert(0, "--quiet")  # else every step of a render is printed
    with tempfile.TemporaryDirectory(prefix="blender-user-", ignore_cleanup_errors=True) as resources:
        environment = os.environ | {"BLENDER_USER_RESOURCES": resources}
        command = [blender.program, *options, "--", module, *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
