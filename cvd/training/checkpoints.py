"""Checkpoints of a training run: the newest few, and the milestones, each one file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .errors import TrainingError

KEPT = 3
"""Checkpoints that are kept beside the milestones."""


def write_checkpoint(folder: Path, step: int, state: Mapping[str, Any], milestone: bool) -> Path:
    """Write ``checkpoints/step_NNNNNNN.pt``, or the same in ``milestones``, and delete what is older than the newest.

    A file is there in full or not at all.
    """
    path = folder / ("milestones" if milestone else "checkpoints") / f"step_{step:07d}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state), path.with_suffix(".partial"))
    path.with_suffix(".partial").replace(path)
    for old in sorted((folder / "checkpoints").glob("step_*.pt"), key=_written)[:-KEPT]:
        old.unlink()
    return path


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that was written last in a stage's folder; None where there is none.

    It need not be the one of most steps: a training may have gone on from an older one.
    """
    found = [*(folder / "checkpoints").glob("step_*.pt"), *(folder / "milestones").glob("step_*.pt")]
    return max(found, key=_written, default=None)


def _written(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.name


def read_checkpoint(path: Path, parameters: Mapping[str, torch.Tensor], stage: str) -> dict[str, Any]:
    """What `write_checkpoint` wrote.

    Args:
        parameters: those that the stage trains: a checkpoint must be of the same.

    Raises:
        TrainingError: no such file, not a checkpoint, or one of another stage or model.
    """
    if not path.is_file():
        raise TrainingError(f"There is no checkpoint {path}.", "Give a file from a run's checkpoints or milestones.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} cannot be read as a checkpoint.", "Resume from an older one.") from error
    if not isinstance(state, dict) or not {"parameters", "ema", "optimizer", "step", "elapsed"} <= state.keys():
        raise TrainingError(f"{path} is not a checkpoint of a training run.")
    found = {name: tuple(tensor.shape) for name, tensor in state["parameters"].items()}
    if found != {name: tuple(tensor.shape) for name, tensor in parameters.items()}:
        raise TrainingError(
            f"{path} holds other parameters than stage {stage} of this model trains.",
            "Give the stage and the model that it was written with, or start anew in another --folder.",
        )
    return state
