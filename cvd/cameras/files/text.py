"""Text files of numbers. Errors name the file and the line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ...errors import CameraError


def read_text(path: str | Path) -> str:
    """The file's text, without a byte order mark. Raises CameraError if it is missing or is not text."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CameraError(f"The camera file {path} does not exist.", "Check its path.") from None
    except IsADirectoryError:
        raise CameraError(f"{path} is a folder, not a camera file.", "Give a file in it.") from None
    except (OSError, ValueError) as error:  # UnicodeDecodeError is a ValueError, and so is a path with a null
        raise CameraError(f"{path} cannot be read as text: {error}.", "Is it the right file?") from error


def numbered_lines(path: str | Path) -> list[tuple[int, str]]:
    """The file's lines, stripped, and their numbers from 1. Raises the errors of `read_text`."""
    return [(number, line.strip()) for number, line in enumerate(read_text(path).split("\n"), 1)]


def parse_numbers(path: str | Path, number: int, words: Sequence[str]) -> list[float]:
    """The words of line `number` as finite numbers. Raises CameraError with the line's number."""
    values = []
    for word in words:
        try:
            values.append(float(word))
        except ValueError:
            values.append(math.nan)
        if not math.isfinite(values[-1]):
            raise CameraError(
                f"{path}, line {number}: {word[:40]!r} is not a finite number.", "The line must hold numbers only."
            )
    return values


def write_lines(path: str | Path, lines: Sequence[str]) -> None:
    """Writes lines; each ends with a newline."""
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
