"""Who may import whom: the boundaries that keep each package usable on its own."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"protocol", "cvd", "backend", "blender_addon"}
FORBIDDEN = {
    "protocol": (OURS - {"protocol"}) | {"bpy", "torch", "diffusers", "transformers"},
    "cvd": {"backend", "blender_addon", "bpy", "zmq"},
    "backend": {"blender_addon", "bpy"},
    # Inside Blender the add-on has another name, and the protocol is a part of it: their imports are relative.
    "blender_addon": OURS | {"torch", "diffusers", "transformers"},
}
PROTOCOL_FOR_CVD = {"files", "geometry", "models", "places", "ranges", "scale", "settings", "takes"}
"""The modules of `protocol` that the model library shares with Blender; it knows nothing of messages and sockets."""


def imported_names(source: str) -> Iterator[str]:
    """What a file imports, with dots; `from a.b import c` gives "a.b.c". Relative imports stay inside their package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(file: Path) -> set[str]:
    """Top-level names of the packages a file imports."""
    return {name.split(".")[0] for name in imported_names(file.read_text(encoding="utf-8"))}


def modules_of_protocol(source: str) -> set[str]:
    """The modules of `protocol` that a file imports; "" stands for the package itself."""
    found = (name.split(".") for name in imported_names(source))
    return {parts[1] if len(parts) > 1 else "" for parts in found if parts[0] == "protocol"}


@pytest.mark.parametrize("package", sorted(OURS))
def test_packages_import_only_what_they_may(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(file.relative_to(ROOT)): bad for file in files if (bad := imports(file) & FORBIDDEN[package])}
    assert not wrong


def test_the_model_library_imports_only_shared_modules_of_the_protocol() -> None:
    files = {file: modules_of_protocol(file.read_text(encoding="utf-8")) for file in (ROOT / "cvd").rglob("*.py")}
    assert "geometry" in set().union(*files.values())
    wrong = {str(file.relative_to(ROOT)): bad for file, found in files.items() if (bad := found - PROTOCOL_FOR_CVD)}
    assert not wrong


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("from protocol.geometry import look_at, path_to", {"geometry"}),
        ("from protocol import geometry, client", {"geometry", "client"}),
        ("import protocol.wire as wire", {"wire"}),
        ("import protocol", {""}),
        ("from protocol import *", {"*"}),
        ("def late():\n    from protocol.client import Client", {"client"}),
        ("from .protocol import x\nimport protocols", set()),
    ],
)
def test_every_way_to_import_a_module_of_the_protocol_is_found(source: str, modules: set[str]) -> None:
    assert modules_of_protocol(source) == modules


def test_protocol_imports_nothing_else_of_ours_or_others() -> None:
    """It is copied into the extension, where only these are."""
    allowed = {"msgspec", "zmq", "numpy"}
    found = {name for file in (ROOT / "protocol").rglob("*.py") for name in imports(file)}
    assert found - allowed <= set(sys.stdlib_module_names)


def test_nothing_unpickles() -> None:
    """No pickle over sockets or from checkpoints: `torch.load` reads tensors only."""
    for package in OURS:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                    call = f"{owner}.{node.func.attr}"
                    assert call not in {"pickle.load", "pickle.loads"}, file
                    assert node.func.attr not in {"recv_pyobj", "send_pyobj"}, file
                    if call == "torch.load":
                        safe = [keyword.value for keyword in node.keywords if keyword.arg == "weights_only"]
                        assert safe, file
                        assert isinstance(safe[0], ast.Constant), file
                        assert safe[0].value is True, file
