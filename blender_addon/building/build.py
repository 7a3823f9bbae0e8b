"""The extension's zip: the package, a copy of `protocol`, the wheels, and a manifest that lists them.

python -m blender_addon.building.build --python .venv/bin/python --zip dist/collaborative_cameras.zip
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from .wheels import TARGETS, BuildError, Target, collect_wheels, current_target

ADDON = Path(__file__).resolve().parents[1]
PROJECT = ADDON.parent
PROTOCOL = "protocol"
# In a checkout the package has a link to `protocol`, which may be a text file where links cannot be. The zip gets the
# real folder.
NOT_SHIPPED = ("building", "demo", PROTOCOL)
MANIFEST = "blender_manifest.toml"

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the same sources give the same zip, byte for byte


def build_extension(
    zip_path: Path, python: str, all_platforms: bool = False, blender_ext: Path | None = None, cache: Path | None = None
) -> Path:
    """Build the extension and return `zip_path`.

    python: an interpreter with pip and wheel, which fetches the wheels.
    all_platforms: whether the zip is for every platform, or for this machine's only.
    blender_ext: Blender's own tool (`find_blender_ext`), which then validates the zip.
    cache: folder that keeps the wheels; None for `build/wheels` in the project.
    Raises BuildError.
    """
    targets = TARGETS if all_platforms else (current_target(),)
    wheels = collect_wheels(python, targets, cache or PROJECT / "build" / "wheels")
    zip_path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(zip_path, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, MANIFEST, _manifest(targets, wheels).encode())
        for source in _sources(ADDON, NOT_SHIPPED):
            _add(archive, source.relative_to(ADDON).as_posix(), source.read_bytes())
        for source in _sources(PROJECT / PROTOCOL):
            _add(archive, source.relative_to(PROJECT).as_posix(), source.read_bytes())
        for wheel in wheels:
            _add(archive, f"wheels/{wheel.name}", wheel.read_bytes())
    if blender_ext is not None:
        _validate(zip_path, blender_ext)
    return zip_path


def find_blender_ext(environment: Path) -> Path | None:
    """Blender's extension tool in a Python environment with the `bpy` module, or in a Blender's folder."""
    return next(environment.glob("**/scripts/addons_core/bl_pkg/cli/blender_ext.py"), None)


def _sources(package: Path, without: Sequence[str] = ()) -> list[Path]:
    """The package's Python files, sorted. without: folders of the package that are left out."""
    return sorted(p for p in package.rglob("*.py") if p.relative_to(package).parts[0] not in without)


def _manifest(targets: Sequence[Target], wheels: Sequence[Path]) -> str:
    text = (ADDON / MANIFEST).read_text(encoding="utf-8")
    text = _fill_in(text, "platforms", [target.blender for target in targets])
    return _fill_in(text, "wheels", [f"./wheels/{wheel.name}" for wheel in wheels])


def _fill_in(manifest: str, key: str, values: Sequence[str]) -> str:
    """The manifest with the empty list `key` filled in."""
    lines = manifest.splitlines()
    for index, line in enumerate(lines):
        if line.startswith(f"{key} = []"):
            lines[index] = "\n".join([f"{key} = [", *(f'  "{value}",' for value in values), "]"])
            return "\n".join(lines) + "\n"
    raise BuildError(f"{MANIFEST} has no line “{key} = []” to fill in.")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _ZIP_TIME)
    info.compress_type = zipfile.ZIP_STORED if name.endswith(".whl") else zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)


def _validate(zip_path: Path, blender_ext: Path) -> None:
    command = [sys.executable, str(blender_ext), "validate", str(zip_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"Blender does not accept the extension:\n{result.stdout}{result.stderr}".rstrip())


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the extension's zip.")
    parser.add_argument("--zip", type=Path, required=True, help="where the zip goes")
    parser.add_argument("--python", default=sys.executable, help="interpreter with pip and wheel")
    parser.add_argument("--all-platforms", action="store_true", help="for every platform, not only this one")
    parser.add_argument("--blender", type=Path, help="environment or folder of a Blender that validates the zip")
    options = parser.parse_args()
    blender_ext = find_blender_ext(options.blender) if options.blender else None
    try:
        print(build_extension(options.zip, options.python, options.all_platforms, blender_ext))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
