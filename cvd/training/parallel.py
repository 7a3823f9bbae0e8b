"""Training in several processes at once.

On GPUs the processes average every gradient, as `DistributedDataParallel` does. On processor cores each process takes
its own steps. Every `MEETING_STEPS` steps they average their parameters: a meeting (local SGD; Stich, 2019). Processes
then wait less for each other when other programs use the cores.

The class `LocalSGD` of accelerate does the same for a whole model, one tensor at a time. With the starter model's 812
tensors such a meeting takes a second. Here the trained parameters are averaged as one tensor, in 0.03 to 0.15 s.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn

MEETING_STEPS = 8
"""Number of steps between two meetings. Time limits, logs, pictures and checkpoints are checked only at meetings."""


def steps_apart(accelerator: Accelerator) -> bool:
    """Whether the processes take their own steps between meetings."""
    return accelerator.distributed_type == DistributedType.MULTI_CPU


@torch.no_grad()
def meet(accelerator: Accelerator, parameters: Collection[nn.Parameter]) -> None:
    """Average the parameters over all processes, if the processes take their own steps."""
    if not steps_apart(accelerator):
        return
    flat = accelerator.reduce(torch.cat([parameter.flatten() for parameter in parameters]), reduction="mean")
    pieces = flat.split([parameter.numel() for parameter in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.copy_(piece.view_as(parameter))


def longest(accelerator: Accelerator, seconds: float) -> float:
    """The longest of all processes' times. Every process gets the same value."""
    return accelerator.gather(torch.tensor([seconds], device=accelerator.device)).max().item()
