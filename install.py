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
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from backend.installation.blenders import (
    BLENDER,
    Blender,
    choose_blender,
    given_blender,
    installed_blenders,
    run_in_blender,
)
from backend.installation.packages import (
    READ_RECORD,
    SERVICE,
    UV,
    ensure_base,
    ensure_blender,
    ensure_service,
    ensure_stubs,
    fetch_interpreter,
    needed,
)
from backend.installation.system import (
    apt_command,
    bring_packages,
    check_python,
    disk_problem,
    missing_packages,
    nvidia_card,
    write_problem,
)
from backend.installation.tools import ROOT, InstallError, dotted, output, python, python_version, run, step

ZIP = ROOT / "dist" / "collaborative_cameras.zip"
STARTER = ROOT / "cvd" / "starter" / "weights"


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
    test_parser.add_argument("--quick", action="store_true", help="style, types and the quick tests of the service")
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
    packages_missing = lacking(blender)
    torch = output([python(SERVICE), "-c", packages])
    checks: list[tuple[str, str | None, str]] = [
        ("Python", dotted(sys.version_info[:3]), ""),
        ("project folder", None if write_problem(ROOT) else str(ROOT), write_problem(ROOT) or ""),
        ("free disk", None if disk_problem(needed(blender)) else "enough", disk_problem(needed(blender)) or ""),
        ("system packages", None if packages_missing else "all there", apt_command(packages_missing)),
        ("service environment", torch, again),
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
    if torch:
        unused = nvidia_card() and torch.endswith("cpu")
        remedy = "this machine's NVIDIA card is not used: update its driver, or delete .venv and " + again
        checks.append(("PyTorch's build", None if unused else "fits this machine", remedy))
        checks.append(("uv", output([UV, "--version"]) or "not there; pip is used, which takes longer", ""))
    if blender and not blender.program:
        there = BLENDER.is_dir()
        found = output([python(BLENDER), "-c", "import bpy; print(bpy.app.version_string)"]) if there else None
        state = found if there else "not installed; `python3 install.py demo` does it"
        checks.append(("bpy module", state, f"delete {BLENDER.name} and run the demo again"))
    for name, found, remedy in checks:
        print(f"{'ok    ' if found is not None else 'BROKEN'} {name}: {found if found is not None else remedy}")
    return 1 if any(found is None for _, found, _ in checks) else 0


# --------------------------------------------------------------------------------------------------------- parts


def prepare(blender: Blender | None, *folders: Path) -> None:
    """Look at everything that can fail, and bring what the system lacks, before anything is downloaded.

    blender: what Blender is needed, if any. folders: where results will be written.
    InstallError has a line for each problem.
    """
    problems = [platform_problem(), *map(write_problem, (ROOT, *folders)), disk_problem(needed(blender))]
    bring_packages(lacking(blender), problems)
    ensure_base()
    if blender and not blender.program and blender.base is None:
        fetch_interpreter(blender.version)


def lacking(blender: Blender | None) -> list[str]:
    """The packages of the system that are missing for this."""
    return missing_packages(python_version(python(SERVICE)) is None, module=bool(blender and not blender.program))


def platform_problem() -> str | None:
    """What is wrong with this platform."""
    from blender_addon.building.wheels import BuildError, current_target

    try:
        current_target()
    except BuildError as error:
        return str(error)
    return None


def build_zip(blender: Blender | None) -> None:
    """The extension's zip, for this platform, validated by Blender's own tool where a Blender is at hand."""
    step("Building the extension")
    command = [python(SERVICE), "-m", "blender_addon.building.build", "--python", python(SERVICE), "--zip", str(ZIP)]
    run([*command, "--blender", str(BLENDER)] if BLENDER.is_dir() else command)
    if blender and blender.program:
        run([blender.program, "--command", "extension", "validate", str(ZIP)])


def _starter_state() -> str | None:
    size = sum(path.stat().st_size for path in STARTER.rglob("*") if path.is_file()) if STARTER.is_dir() else 0
    return f"{size / 1e6:.0f} MB" if (STARTER / "model.json").is_file() else None


if __name__ == "__main__":
    sys.exit(main())
