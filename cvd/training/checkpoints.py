"""Checkpoints of a training run, one file each: the newest ones and the milestones."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .errors import TrainingError

KEPT = 3
"""Number of checkpoints that are kept in addition to the milestones."""


def write_checkpoint(folder: Path, step: int, state: Mapping[str, Any], milestone: bool) -> Path:
    """Write `checkpoints/step_NNNNNNN.pt` or `milestones/step_NNNNNNN.pt`, and delete all but the newest checkpoints.

    Milestones are never deleted. The file appears under its name only when it is complete.
    """
    path = folder / ("milestones" if milestone else "checkpoints") / f"step_{step:07d}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state), path.with_suffix(".partial"))
    path.with_suffix(".partial").replace(path)
    for old in sorted((folder / "checkpoints").glob("step_*.pt"), key=_written)[:-KEPT]:
        old.unlink()
    return path


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that was written last in a stage's folder; None: there is no checkpoint.

    Another checkpoint may have more steps, because a training can continue from an older one.
    """
    found = [*(folder / "checkpoints").glob("step_*.pt"), *(folder / "milestones").glob("step_*.pt")]
    return max(found, key=_written, default=None)


def _written(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.name


def read_checkpoint(path: Path, parameters: Mapping[str, torch.Tensor], stage: str) -> dict[str, Any]:
    """Read a checkpoint that `write_checkpoint` wrote.

    Args:
        parameters: parameters that the stage trains. The checkpoint must have the same names and shapes.
        stage: name of the stage, for the error.

    Raises:
        TrainingError: the file is missing, is not a checkpoint, or is of another stage or model.
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
