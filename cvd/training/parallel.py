"""Training in several processes at once (`torchrun`): each takes its own steps, now and then they meet at their mean.

Local SGD (Stich, 2019) asks far less of the processes than averaging every gradient does: on busy processors none of
them waits for the others at every step.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import nn

MEETING_STEPS = 8


def start() -> None:
    """Join the other processes, if ``torchrun`` started any."""
    if dist.is_torchelastic_launched() and not dist.is_initialized():
        dist.init_process_group("gloo")


def rank() -> int:
    """This process's number; process 0 writes logs, pictures and checkpoints."""
    return dist.get_rank() if dist.is_initialized() else 0


@torch.no_grad()
def meet(parameters: Iterable[nn.Parameter], elapsed: float) -> float:
    """Average the parameters over all processes; returns the longest time any of them has trained."""
    if not dist.is_initialized():
        return elapsed
    longest = torch.tensor(elapsed, dtype=torch.float64)
    dist.all_reduce(longest, dist.ReduceOp.MAX)
    together = list(parameters)
    flat = torch.cat([parameter.flatten() for parameter in together])
    dist.all_reduce(flat)
    pieces = flat.div_(dist.get_world_size()).split([parameter.numel() for parameter in together])
    for parameter, piece in zip(together, pieces, strict=True):
        parameter.copy_(piece.view_as(parameter))
    return longest.item()
