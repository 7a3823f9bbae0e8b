"""When to ask whether the other side is still there, when to give it up, and when to try again. No clock, no socket.

After the ZeroMQ guide's Paranoid Pirate: every message is a sign of life, and pings only follow on silence.
"""

from __future__ import annotations

from typing import Literal


class Heartbeat:
    """Decides between waiting, pinging and giving up. The caller says what time it is.

    It counts pings without an answer, not time. So a process that slept does not take its own sleep for the silence of
    the other side.
    """

    def __init__(self, now: float, interval: float = 1.0, misses: int = 3) -> None:
        """now: seconds of any steady clock. The other side is lost after `misses` pings, `interval` seconds apart."""
        self.interval = interval
        self.misses = misses
        self._next = now + interval
        self._unanswered = 0

    def traffic(self, now: float) -> None:
        """Something arrived."""
        self._unanswered = 0
        self._next = now + self.interval

    def beat(self, now: float) -> Literal["wait", "ping", "lost"]:
        """What to do now. After "ping" the caller sends one."""
        if now < self._next:
            return "wait"
        if self._unanswered == self.misses:
            return "lost"
        self._unanswered += 1
        self._next = now + self.interval
        return "ping"

    def due_in(self, now: float) -> float:
        """Seconds until `beat` has another answer than "wait", at least 0."""
        return max(0.0, self._next - now)


class Backoff:
    """Seconds to wait before each new attempt to connect: 1, 2, 4 ... 32."""

    FIRST, LAST = 1.0, 32.0

    def __init__(self) -> None:
        self._delay = self.FIRST

    def next_delay(self) -> float:
        """The wait before the next attempt."""
        delay, self._delay = self._delay, min(self._delay * 2, self.LAST)
        return delay
