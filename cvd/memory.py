"""Use of memory in a run, and the precision of its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Precision = Literal["float32", "float16", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

BIAS_BUDGET = 4 * 1024**3


@dataclass(frozen=True)
class MemoryPlan:
    """How much a run keeps in memory at once. The defaults are the fastest.

    precision: precision of weights and activations.
    decode_batch: frames decoded in one call: enough to use a whole processor, few enough for 512 x 512 on a small GPU.
    bias_budget: bytes of epipolar biases that are kept for one set of cameras, unless one network call needs more.
    pairs_per_call: number of pairs of views in one network call; None: all. Fewer need less memory. The result is the
        same up to rounding.
    offload: "model" keeps each network in main memory until it is used. On a processor it changes nothing.
    """

    precision: Precision = "float32"
    decode_batch: int = 8
    bias_budget: int = BIAS_BUDGET
    pairs_per_call: int | None = None
    offload: Literal["none", "model"] = "none"


def usual_precision(device: str) -> Precision:
    """The best precision for a device: half on a GPU, single on a processor."""
    return "float16" if device.startswith("cuda") else "float32"
