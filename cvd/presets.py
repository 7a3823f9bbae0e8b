"""Settings for a purpose."""

from __future__ import annotations

from typing import Any

from .weights.model_info import ModelInfo

DRAFT_SHARE = 3
"""How many times fewer steps a draft has."""


def draft_settings(info: ModelInfo) -> dict[str, Any]:
    """A quick look: a third of the steps with a second-order solver, and a single matching in each."""
    return {
        "num_inference_steps": max(1, info.num_inference_steps // DRAFT_SHARE),
        "scheduler": "dpmsolver++",
        "multistep": 1,
        "accumulate_step": 1,
    }
