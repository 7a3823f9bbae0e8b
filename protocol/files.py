"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

PRIVATE, SHARED = 0o600, 0o666
"""Modes of new files: for their owner only, or as the user's umask says."""


def write_whole(path: Path, content: bytes, mode: int = SHARED, durable: bool = False) -> None:
    """Write a file through a temporary one beside it. Makes its folder if there is none.

    Args:
        mode: permissions of the file from its first byte on.
        durable: whether to wait until the disk has the file.

    Raises:
        OSError: the file cannot be written. The old file stays, the temporary one does not.
    """
    path.parent.mkdir(mode=0o700 if mode == PRIVATE else 0o777, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), mode)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
