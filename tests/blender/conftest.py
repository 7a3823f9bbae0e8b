"""A real Blender with the extension built from this working copy, installed and enabled as a user does.

Run in the environment that has `bpy`, in a process of its own: `.venv-blender/bin/python -m pytest tests/blender`.
In a Blender, `python3 install.py test --only blender --blender PATH` runs them, with a folder for its settings.
The service that the add-on starts runs in the project's `.venv`, or in the Python that CVD_SERVICE_PYTHON names.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from blender.places import MODULE, PROJECT, SERVICE_PYTHON
from blender.service_python import run_in_service_python

if importlib.util.find_spec("bpy") is None:
    collect_ignore_glob = ["*"]
else:
    if "bpy" not in sys.modules:  # the module: it decides at its import where a user's files lie
        _resources = tempfile.TemporaryDirectory(prefix="blender-user-", ignore_cleanup_errors=True)
        os.environ["BLENDER_USER_RESOURCES"] = _resources.name
    elif "BLENDER_USER_RESOURCES" not in os.environ:
        pytest.exit("This Blender has the user's own settings. Start it by install.py, which gives it others.", 3)
    os.environ["CVD_HOME"] = str(Path(os.environ["BLENDER_USER_RESOURCES"]) / "service-home")
    import bpy


@pytest.fixture(scope="session")
def extension_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension for this platform, built and validated."""
    path = tmp_path_factory.mktemp("extension") / "collaborative_cameras.zip"
    command = [SERVICE_PYTHON, "-m", "blender_addon.building.build", "--python", SERVICE_PYTHON, "--zip", str(path)]
    blender = Path(bpy.utils.system_resource("SCRIPTS")).parent
    subprocess.run([*command, "--blender", str(blender)], cwd=PROJECT, check=True)
    return path


@pytest.fixture(scope="session")
def addon(extension_zip: Path) -> Iterator[ModuleType]:
    """The installed and enabled extension's package; its modules are attributes of it."""
    bpy.ops.extensions.package_install_files(filepath=str(extension_zip), repo="user_default", enable_on_install=True)
    package = importlib.import_module(MODULE)
    for name in ("cameras.choice", "cameras.export", "panels.sidebar", "runtime", "service.session", "takes.importing"):
        importlib.import_module(f"{MODULE}.{name}")
    connection = importlib.import_module(f"{MODULE}.protocol.connection")
    connection.write_installation(connection.Installation(python=SERVICE_PYTHON, project=str(PROJECT), version="test"))
    yield package
    bpy.ops.preferences.addon_disable(module=MODULE)


@pytest.fixture(scope="session")
def tiny_model() -> str:
    """The name of an installed model of the real classes, tiny and random."""
    folder = Path(os.environ["CVD_HOME"]) / "models" / "tiny"
    run_in_service_python("tiny_model.py", folder)
    return folder.name


@pytest.fixture
def scene(addon: ModuleType) -> bpy.types.Scene:
    """An empty scene, with Cycles set for exact and quick pixels."""
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.cycles.filter_width = 0.01  # every sample at its pixel's centre
    scene.render.dither_intensity = 0
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_percentage = 100
    return scene
