"""Folders for results: whether they can be written, and errors of the file system in our words."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import RequestError


def check_writable(folder: Path) -> None:
    """Raises RequestError when a folder cannot be written, or cannot be made. It is not made here."""
    with writing(folder):
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not existing.is_dir():
            raise NotADirectoryError(f"{existing} is a file")
        with tempfile.TemporaryFile(dir=existing):
            pass


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns what the file system refuses into a RequestError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise RequestError(f"{folder} cannot be written: {reason}.", "Choose another folder, or make room.") from error
