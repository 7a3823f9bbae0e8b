"""The extension's zip: what is in it, and that it is the same every time. The wheels are made here: no network."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from blender_addon.building import build
from blender_addon.building.build import ADDON, PROJECT, build_extension
from blender_addon.building.wheels import TARGETS, BuildError, collect_wheels, current_target


def digest(content: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")


def make_wheel(folder: Path, name: str, tag: str) -> None:
    """The smallest wheel there is."""
    folder.mkdir(parents=True, exist_ok=True)
    information = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{information}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    record = "".join(f"{path},{digest(content)},{len(content)}\n" for path, content in files.items())
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as wheel:
        for path, content in (files | {f"{information}/RECORD": f"{record}{information}/RECORD,,\n"}).items():
            wheel.writestr(path, content)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """As pip leaves it: pyzmq in one wheel for 3.11 and one for all later versions, msgspec in one for each."""
    for target in TARGETS:
        for version in target.pythons:
            folder = tmp_path / "cache" / "downloads" / f"{target.blender}-{version}"
            tag = "cp" + version.replace(".", "")
            make_wheel(folder, "pyzmq", f"{'cp311-cp311' if tag == 'cp311' else 'cp312-abi3'}-{target.tags[0]}")
            make_wheel(folder, "msgspec", f"{tag}-{tag}-{target.tags[0]}")
    return tmp_path / "cache"


def test_every_wheel_is_for_one_python_version(cache: Path) -> None:
    """Blender refuses an extension with two wheels of a package that both fit its Python."""
    names = [wheel.name for wheel in collect_wheels(sys.executable, TARGETS, cache)]
    assert len(names) == len(set(names)) == 2 * sum(len(target.pythons) for target in TARGETS)
    assert not [name for name in names if "abi3" in name]
    assert "pyzmq-1.0-cp314-cp314-win_amd64.whl" in names


def test_a_retagged_wheel_says_so_inside(cache: Path) -> None:
    collect_wheels(sys.executable, TARGETS, cache)
    with zipfile.ZipFile(cache / "pyzmq-1.0-cp313-cp313-win_amd64.whl") as wheel:
        assert "Tag: cp313-cp313-win_amd64" in wheel.read("pyzmq-1.0.dist-info/WHEEL").decode()


def test_the_zip_holds_the_addon_the_protocol_and_what_the_manifest_lists(cache: Path, tmp_path: Path) -> None:
    path = build_extension(tmp_path / "addon.zip", sys.executable, all_platforms=True, cache=cache)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    assert manifest["platforms"] == [target.blender for target in TARGETS]
    assert sorted(manifest["wheels"]) == sorted(f"./{name}" for name in names if name.endswith(".whl"))
    assert manifest["permissions"]
    assert {"__init__.py", "panels/sidebar.py", "protocol/messages.py"} <= set(names)
    assert not [name for name in names if name.startswith(("building", "demo"))]


def as_link(addon: Path) -> None:
    (addon / "protocol").symlink_to("../protocol")


def as_text(addon: Path) -> None:
    """As git leaves a link on Windows, where links need a permission."""
    (addon / "protocol").write_text("../protocol")


def as_folder(addon: Path) -> None:
    """As archives are unpacked that follow links."""
    shutil.copytree(addon.parent / "protocol", addon / "protocol")


@pytest.mark.parametrize("check_out", [as_link, as_text, as_folder])
def test_the_protocol_goes_into_the_zip_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check_out: Callable[[Path], None]
) -> None:
    ignored = shutil.ignore_patterns("protocol", "__pycache__")
    addon = shutil.copytree(ADDON, tmp_path / "blender_addon", ignore=ignored)
    shutil.copytree(PROJECT / "protocol", tmp_path / "protocol")
    check_out(addon)
    monkeypatch.setattr(build, "ADDON", addon)
    monkeypatch.setattr(build, "PROJECT", tmp_path)
    with zipfile.ZipFile(build_extension(tmp_path / "addon.zip", sys.executable, cache=cache)) as archive:
        names = archive.namelist()
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    assert len(names) == len(set(names))
    assert "protocol" not in names
    assert sizes["protocol/messages.py"] == (PROJECT / "protocol" / "messages.py").stat().st_size


def test_the_same_sources_give_the_same_zip(cache: Path, tmp_path: Path) -> None:
    first, second = (build_extension(tmp_path / name, sys.executable, cache=cache) for name in ("a.zip", "b.zip"))
    assert first.read_bytes() == second.read_bytes()


def test_this_platforms_zip_is_for_this_platform_only(cache: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build_extension(tmp_path / "addon.zip", sys.executable, cache=cache)) as archive:
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    assert manifest["platforms"] == [current_target().blender]


def test_a_python_without_pip_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="cannot be downloaded"):
        build_extension(tmp_path / "addon.zip", "/bin/false", cache=tmp_path / "empty")


def test_extension_and_project_have_one_version() -> None:
    manifest = tomllib.loads((ADDON / "blender_manifest.toml").read_text())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert manifest["version"] == project["project"]["version"]
