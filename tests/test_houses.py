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
    "cvd": (OURS - {"cvd"}) | {"bpy", "zmq", "msgspec"},
    "backend": {"blender_addon", "bpy"},
    "blender_addon": {"cvd", "backend", "torch", "diffusers", "transformers"},
}


def imports(file: Path) -> Iterator[str]:
    """Top-level names of the packages a file imports; relative imports stay inside their package."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", sorted(OURS))
def test_packages_import_only_what_they_may(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(file.relative_to(ROOT)): bad for file in files if (bad := set(imports(file)) & FORBIDDEN[package])}
    assert not wrong


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
