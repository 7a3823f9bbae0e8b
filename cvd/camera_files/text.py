"""Text files of numbers, with errors that name the file and the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import CameraError


def read_text(path: str | Path) -> str:
    """The file's text. Raises CameraError when it is missing or is not text."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CameraError(f"The camera file {path} does not exist.", "Check its path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CameraError(f"{path} cannot be read as text: {error}.", "Is it the right file?") from error


def parse_numbers(path: str | Path, number: int, words: Sequence[str]) -> list[float]:
    """The words of line `number` as numbers. Raises CameraError, which names the line."""
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise CameraError(f"{path}, line {number}: {error}.", "The line must hold numbers only.") from None


def write_lines(path: str | Path, lines: Sequence[str]) -> None:
    """Writes lines, each ended."""
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
