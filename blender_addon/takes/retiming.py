"""Few generated frames over a longer scene: when cameras are sampled, and which frame shows when.

F frames are spread evenly over the scene's frame range, its two ends included. At every scene frame the nearest of
them shows; before and after the range, the first and the last.
"""

from __future__ import annotations

import math

import numpy as np


def sample_times(start: int, end: int, count: int) -> list[float]:
    """Scene frames, with fractions, at which `count` frames are taken. One frame is taken at the start."""
    return [float(time) for time in np.linspace(start, end, count)]


def nearest_frame(frame: float, start: int, end: int, count: int) -> int:
    """Index (from 0) of the generated frame that shows at scene frame `frame`; halves go to the later one."""
    if end <= start:
        return 0
    return min(max(math.floor((frame - start) * _rate(start, end, count) + 0.5), 0), count - 1)


def driver_expression(start: int, end: int, count: int) -> str:
    """`nearest_frame` as a driver's expression of the scene frame `frame`.

    It keeps to Blender's "simple expressions", which run even where Python scripts of a file are not allowed to.
    """
    if end <= start:
        return "0"
    return f"clamp(floor((frame - {float(start)}) * {_rate(start, end, count)!r} + 0.5), 0, {count - 1})"


def _rate(start: int, end: int, count: int) -> float:
    """Generated frames per scene frame."""
    return (count - 1) / (end - start)
