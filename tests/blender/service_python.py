"""The service's Python, which has the library: scripts of `tests/support` run in it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from blender.places import PROJECT, SERVICE_PYTHON


def run_in_service_python(script: str, *arguments: Path) -> None:
    """Run tests/support/`script`."""
    paths = os.pathsep.join([str(PROJECT), str(PROJECT / "tests")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [SERVICE_PYTHON, str(PROJECT / "tests" / "support" / script), *map(str, arguments)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
