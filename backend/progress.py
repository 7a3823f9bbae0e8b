"""The time that a job still needs, estimated from the time of its steps. The caller gives the time of day."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Sequence

RECENT = 8  # steps that the estimate is made from: few enough to follow a machine that gets slower


def seconds_left(durations: Sequence[float], steps_left: int, afterwards: float) -> float | None:
    """Seconds until the end: `steps_left` more steps like the measured ones, then `afterwards` seconds of other work.

    durations: seconds of the steps so far, in order. The first one is left out when there are others, because it
    includes the warm-up. The result is None as long as nothing has been measured.
    """
    if not durations:
        return None
    typical = statistics.median((durations[1:] or durations)[-RECENT:])
    return steps_left * typical + afterwards


class Stopwatch:
    """Follows the steps of one job. It remembers how long decoding takes per frame, for the next job of the same kind.

    Before a decoding has been measured, the guess is that all of it costs `GUESS` network calls. For one image, a
    decoder costs a few times what the network does; and a call computes every frame twice, for guidance.
    """

    GUESS = 1.5

    def __init__(self) -> None:
        self._decoding_per_frame: dict[Hashable, float] = {}
        self.start(None, 0, 0.0)

    def start(self, kind: Hashable, frames: int, now: float) -> None:
        """A job begins.

        kind: equal for jobs whose frames take equally long to decode. frames: of all views together.
        now: seconds of any steady clock.
        """
        self._kind, self._frames = kind, frames
        self._stage, self._step, self._time = "", 0, now
        self._durations: list[float] = []

    def step(self, stage: str, step: int, of: int, now: float) -> float | None:
        """`step` of `of` steps of `stage` are done. Returns the seconds left for the whole job, if known."""
        if stage != self._stage:
            # The first call that is reported is one call, also in a run that goes on from a saved state.
            self._stage, self._step, self._durations = stage, step - 1 if stage == "denoising" else 0, []
        done = step - self._step
        self._durations += [(now - self._time) / done] * done if done > 0 else []
        self._step, self._time = step, now
        if stage == "denoising":
            return seconds_left(self._durations, of - step, self._decoding())
        if stage == "decoding":
            if step == of and self._durations:
                self._decoding_per_frame[self._kind] = statistics.fmean(self._durations)
            return seconds_left(self._durations, of - step, 0.0)
        return 0.0 if stage == "saving" else None  # saving is quick, and loading was not measured

    def _decoding(self) -> float:
        """Expected seconds of the decoding that follows the denoising under way."""
        if self._kind in self._decoding_per_frame:
            return self._decoding_per_frame[self._kind] * self._frames
        return self.GUESS * (seconds_left(self._durations, 1, 0.0) or 0.0)
