"""How fast a take's frames follow each other when the scene is played."""

from __future__ import annotations

TRAINED_RATE = 8.0
"""New frames a second in the videos that the models were trained on."""


def new_frames_per_second(frames: int, start: int, end: int, fps: float) -> float:
    """How many of a take's frames a second of the scene shows.

    Args:
        frames: number of frames of the take, spread over the scene's range.
        start, end: first and last frame of the scene's range.
        fps: scene frames a second. No frame of a take shows for less than one of them.
    """
    return min(frames * fps / (end - start + 1), fps)


def fitting_end(frames: int, start: int, fps: float) -> int:
    """The last frame of the range in which a take plays at the trained rate, to the nearest scene frame."""
    return start + max(round(frames * fps / TRAINED_RATE), frames) - 1
