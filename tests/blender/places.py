"""Where things are for the tests in Blender."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SERVICE_PYTHON = os.environ.get("CVD_SERVICE_PYTHON", str(PROJECT / ".venv" / "bin" / "python"))
MODULE = "bl_ext.user_default.collaborative_cameras"
