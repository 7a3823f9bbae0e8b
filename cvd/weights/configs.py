"""Checks and JSON of a model's small files. Torch is not needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import CheckpointError


def require_file(path: Path) -> None:
    """Raises CheckpointError unless `path` is a file."""
    if not path.is_file():
        raise CheckpointError(f"The checkpoint {path} does not exist.", "Check the model folder, or download it again.")


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object, such as a network's config.json.

    Raises:
        CheckpointError: it is missing or not JSON.
    """
    require_file(path)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.", "Download it again.") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} is not a JSON object.", "Download it again.")
    return config
