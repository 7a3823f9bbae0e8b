"""A progress bar. On a terminal it stays in its line; elsewhere it prints a line every few seconds."""

from __future__ import annotations

import sys
import time

WIDTH = 30
LINE_SECONDS = 5.0


class Bar:
    """Shows the progress of one thing after the other. `close` ends the last line."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._printed = 0.0
        self._started = ""

    def show(self, fraction: float, text: str) -> None:
        """fraction: 0 to 1. text: what is being done; its first word tells whether that is something new."""
        now = time.monotonic()
        what = text.split()[0]
        if not self._terminal and what == self._started and now - self._printed < LINE_SECONDS:
            return
        self._printed, self._started = now, what
        filled = round(WIDTH * fraction)
        line = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {text}"
        print(f"\r{line:<78}" if self._terminal else line, end="" if self._terminal else "\n", flush=True)

    def close(self) -> None:
        """Start a new line, if need be."""
        if self._terminal and self._started:
            print(flush=True)
        self._started = ""
