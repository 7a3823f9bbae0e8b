"""What went wrong, in the words the panel shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A failure: a stable `code` (decides which remedy the panel offers), what happened, and what to do next.

    details: lines of a log, for whoever wants to know more.
    """

    code: str
    message: str
    hint: str = ""
    details: str = ""

    def summary(self) -> str:
        """Message and hint in one line, for operators' reports."""
        return f"{self.message} {self.hint}".strip()

    def text(self) -> str:
        """Everything, for the clipboard and the terminal."""
        return f"{self.summary()}\n{self.details}".strip()


class AddonError(Exception):
    """Base of the errors the add-on raises itself."""

    code = "addon"

    def __init__(self, message: str, hint: str = "") -> None:
        self.problem = Problem(self.code, message, hint)
        super().__init__(self.problem.summary())
