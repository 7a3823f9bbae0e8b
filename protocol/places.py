"""Folders of the program's files on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER_NAME = "collaborative-cameras"
HOME_VARIABLE = "CVD_HOME"


def home_folder() -> Path:
    """Folder of the connection file, the installation record, logs and results: `CVD_HOME`, or the platform's place."""
    override = os.environ.get(HOME_VARIABLE)
    if override:
        return Path(override)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / FOLDER_NAME


def models_folder() -> Path:
    """Folder of the user's models. Each folder in it is a model, which has the folder's name."""
    return home_folder() / "models"
