"""What went wrong, in the words that the panel shows."""

from __future__ import annotations

from dataclasses import dataclass

from .protocol.errors import ProtocolError
from .protocol.messages import ErrorInfo, error_info


@dataclass(frozen=True)
class Problem:
    """A failure, as the panel shows it.

    code: a stable name; the panel chooses its remedies by it. message: what happened. hint: what to do next.
    details: lines of a log, for people who want to know more.
    """

    code: str
    message: str
    hint: str = ""
    details: str = ""

    def summary(self) -> str:
        """Message and hint in one line, for the reports of operators."""
        return f"{self.message} {self.hint}".strip()

    def text(self) -> str:
        """Everything, for the clipboard and the terminal."""
        return f"{self.summary()}\n{self.details}".strip()

    def info(self) -> ErrorInfo:
        """The same without the log, as the messages of the protocol say it."""
        return error_info(self.code, self.message, self.hint)


class AddonError(Exception):
    """Base of the errors that the add-on itself raises."""

    code = "addon"

    def __init__(self, message: str, hint: str = "") -> None:
        self.problem = Problem(self.code, message, hint)
        super().__init__(self.problem.summary())


def problem_of(error: AddonError | ProtocolError | OSError) -> Problem:
    """The problem behind an error. An OSError counts as a file that could not be written."""
    if isinstance(error, AddonError):
        return error.problem
    if isinstance(error, ProtocolError):
        return Problem(error.code, error.message, error.hint)
    return Problem("disk", f"A file could not be written: {error}.", "Check the output folder and the free space.")
