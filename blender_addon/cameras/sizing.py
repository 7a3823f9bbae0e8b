"""The size of the generated images."""

from __future__ import annotations

import math

MAX_SIDE = 4096


def generation_size(aspect: float, native_size: int, multiple: int) -> tuple[int, int]:
    """(width, height) with about the pixels of a `native_size` square, near `aspect`, in multiples of `multiple`.

    Rounding changes the aspect a little. The cameras' K is scaled to the same size, so nothing comes out distorted:
    the image fills the camera's view and its pixels are slightly oblong.
    """
    return (
        _round(native_size * math.sqrt(aspect), multiple),
        _round(native_size / math.sqrt(aspect), multiple),
    )


def _round(side: float, multiple: int) -> int:
    largest = MAX_SIDE // multiple * multiple
    return min(max(round(side / multiple), 1) * multiple, largest)
