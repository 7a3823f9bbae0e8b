"""Few generated frames over a longer scene: when cameras are sampled, and which frame shows when.

F frames are spread evenly over the scene's frame range, its two ends included. At every scene frame the nearest of
them shows; before and after the range, the first and the last.
"""

from __future__ import annotations


def driver_expression(start: int, end: int, count: int) -> str:
    """Returns a driver's expression of the scene frame `frame`: the index, from 0, of the generated frame that shows.

    That is the nearest of the frames at `protocol.geometry.sample_times(start, end, count)`, and the later one of two
    equally near ones. The index is 0 in a range of one frame. The expression keeps to Blender's "simple expressions",
    which run even where Python scripts of a file are not allowed to.

    Args:
        start, end: first and last frame of the scene's range.
        count: number of generated frames, 1 or more.
    """
    if end <= start:
        return "0"
    rate = (count - 1) / (end - start)  # generated frames per scene frame
    return f"clamp(floor((frame - {float(start)}) * {rate!r} + 0.5), 0, {count - 1})"
