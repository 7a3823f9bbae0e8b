"""The one training loop of all stages: time-boxed, resumable, with EMA, gradient clipping, warm-up and decay."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from cvd.training import parallel
from cvd.training.errors import TrainingError

WARM_UP_STEPS = 100
GRADIENT_NORM = 1.0


class Stage(Protocol):
    """What the loop needs of a stage: its own parameters, a loss on a fresh batch, a picture, and a place to save."""

    name: str
    learning_rate: float
    parameters: dict[str, nn.Parameter]

    def loss(self) -> torch.Tensor: ...

    def validate(self, picture: Path) -> str:
        """Write a contact sheet and return the figures for the log line."""

    def save(self) -> None:
        """Write the stage's result, with the current (averaged) weights."""


@dataclass
class Limits:
    """How long to train, and how often to look: minutes of wall clock, over all sittings together."""

    minutes: float
    validate_minutes: float = 5.0
    checkpoint_minutes: float = 2.0
    steps: int | None = None
    ema_decay: float = 0.999


class Ema:
    """Exponential moving average of parameters, with a short memory at the start."""

    def __init__(self, parameters: dict[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.average = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def update(self, parameters: dict[str, nn.Parameter], step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.average.values()), list(parameters.values()), 1 - decay)

    @torch.no_grad()
    def swap(self, parameters: dict[str, nn.Parameter]) -> None:
        """Exchange the average with the live parameters (call twice to undo)."""
        for name, parameter in parameters.items():
            live = parameter.detach().clone()
            parameter.copy_(self.average[name])
            self.average[name] = live


def fit(stage: Stage, folder: Path, limits: Limits, log: Callable[[str], None] = print) -> None:
    """Train a stage's parameters until its time is up, then save its averaged weights.

    Args:
        folder: run folder; ``checkpoint.pt`` in it is resumed from, contact sheets go there.
        limits: time box. The learning rate falls with elapsed time, whatever the speed of the machine.
        log: takes progress, one line at a time.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parameters = stage.parameters
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters.values(), lr=stage.learning_rate, betas=(0.9, 0.99), weight_decay=1e-3)
    ema = Ema(parameters, limits.ema_decay)
    step, elapsed = _resume(folder / "checkpoint.pt", parameters, ema, optimizer)
    progress, mean_loss, watch = elapsed / (limits.minutes * 60), None, _Watch(stage, folder, limits, elapsed, log)
    while progress < 1 and (limits.steps is None or step < limits.steps):
        began = time.monotonic()
        rate = stage.learning_rate * _rate(step, progress)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = stage.loss()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters.values(), GRADIENT_NORM)
        optimizer.step()
        step += 1
        ema.update(parameters, step)
        elapsed += time.monotonic() - began
        mean_loss = loss.item() if mean_loss is None else mean_loss + 0.02 * (loss.item() - mean_loss)
        if not math.isfinite(mean_loss):
            raise TrainingError(
                f"The loss of stage {stage.name} is not finite at step {step}.",
                f"Lower its learning rate and delete {folder / 'checkpoint.pt'} to start over.",
            )
        if step % parallel.MEETING_STEPS == 0:
            elapsed = parallel.meet(parameters.values(), elapsed)
            progress = elapsed / (limits.minutes * 60)
        if parallel.rank() == 0:
            watch.look(ema, optimizer, step, elapsed, f"loss {mean_loss:.4f} lr {rate:.1e}")
    parallel.meet(parameters.values(), elapsed)
    if parallel.rank() == 0:
        _checkpoint(folder / "checkpoint.pt", parameters, ema, optimizer, step, elapsed)
        ema.swap(parameters)
        stage.save()
        log(f"{stage.name} finished at step {step}: {stage.validate(folder / 'final.png')}")


class _Watch:
    """Log lines, contact sheets and checkpoints, each at its interval of training time."""

    def __init__(self, stage: Stage, folder: Path, limits: Limits, elapsed: float, log: Callable[[str], None]) -> None:
        self.stage, self.folder, self.limits, self.log = stage, folder, limits, log
        self.next_log, self.next_checkpoint = elapsed, elapsed + limits.checkpoint_minutes * 60
        self.next_picture = elapsed + min(limits.validate_minutes, 2) * 60

    def look(self, ema: Ema, optimizer: torch.optim.Optimizer, step: int, elapsed: float, figures: str) -> None:
        """Do whatever is due."""
        stage, limits = self.stage, self.limits
        if elapsed >= self.next_log:
            self.next_log = elapsed + 15
            self.log(f"{stage.name} step {step} {elapsed / 60:.1f}/{limits.minutes:g} min {figures}")
        if elapsed >= self.next_picture:
            self.next_picture = elapsed + limits.validate_minutes * 60
            ema.swap(stage.parameters)
            self.log(f"{stage.name} step {step} validation: {stage.validate(self.folder / f'step_{step:06d}.png')}")
            ema.swap(stage.parameters)
        if elapsed >= self.next_checkpoint:
            self.next_checkpoint = elapsed + limits.checkpoint_minutes * 60
            _checkpoint(self.folder / "checkpoint.pt", stage.parameters, ema, optimizer, step, elapsed)


def _rate(step: int, progress: float) -> float:
    """Linear warm-up over steps, then half a cosine over the time box."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def _checkpoint(path: Path, parameters, ema: Ema, optimizer: torch.optim.Optimizer, step: int, elapsed: float) -> None:
    state = {
        "parameters": {name: parameter.detach() for name, parameter in parameters.items()},
        "ema": ema.average,
        "optimizer": optimizer.state_dict(),
        "step": step,
        "elapsed": elapsed,
    }
    torch.save(state, path.with_suffix(".partial"))
    path.with_suffix(".partial").replace(path)


@torch.no_grad()
def _resume(path: Path, parameters, ema: Ema, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """Load a checkpoint where there is one; returns its step count and elapsed seconds."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    for name, parameter in parameters.items():
        parameter.copy_(state["parameters"][name])
    ema.average = state["ema"]
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["elapsed"]
