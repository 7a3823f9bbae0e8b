"""The time a job still needs, from the time its steps have taken. No clock: the caller says what time it is."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Sequence

RECENT = 8  # steps that the estimate looks back on: few enough to follow a machine that gets slower


def seconds_left(durations: Sequence[float], steps_left: int, afterwards: float) -> float | None:
    """Seconds until the end: `steps_left` more steps like the measured ones, then `afterwards` seconds of other work.

    durations: seconds of the steps so far, in order. The first is left out as soon as there are others, because it
    also pays for warming up. None as long as nothing has been measured.
    """
    if not durations:
        return None
    typical = statistics.median((durations[1:] or durations)[-RECENT:])
    return steps_left * typical + afterwards


class Stopwatch:
    """Follows the steps of one job and remembers, for the next one like it, how long decoding takes per frame.

    Until a decoding has been measured, all of it is taken to cost `GUESS` U-Net calls: an autoencoder's decoder costs a
    few times what a U-Net does for one image, and a call computes every frame twice, for guidance.
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
            # Every network call is told of, also the first one of a run that goes on from a saved state.
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
        return 0.0 if stage == "saving" else None  # saving takes next to no time, and loading is like nothing else

    def _decoding(self) -> float:
        """Expected seconds of the decoding that follows the denoising under way."""
        if self._kind in self._decoding_per_frame:
            return self._decoding_per_frame[self._kind] * self._frames
        return self.GUESS * (seconds_left(self._durations, 1, 0.0) or 0.0)
