"""The training loop of all stages: time and step limits, checkpoints, EMA, gradient clipping, warm-up and decay."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import is_tensorboard_available

from . import parallel
from .batches import Batch, Batches, Mixture
from .checkpoints import newest_checkpoint, read_checkpoint, write_checkpoint
from .contact_sheet import write_contact_sheet
from .ema import Ema
from .errors import TrainingError
from .stage import Stage

WARM_UP_STEPS = 100
GRADIENT_NORM = 1.0
MILESTONES = 4
"""Number of equal parts of a training. A milestone, which is never deleted, is written at the end of each part."""
LOG_SECONDS = 15
PICTURE_SHARE = 0.05
"""Largest share of the time for validation pictures. A picture of the joint stage takes a minute on processor cores."""


@dataclass(frozen=True)
class Settings:
    """Settings of a training.

    Args:
        minutes, steps: limits of the training, including earlier runs that it continues. At least one is required. The
            first limit that is reached ends the training, and the learning rate falls towards it.
        learning_rate, batch_size: largest learning rate, and batch size of each process; None: the stage's own.
        accumulation: number of batches in a step of each process.
        workers: number of processes that prepare batches; 0: the training process prepares them.
        validate_minutes: shortest training time between two validation pictures.
        checkpoint_minutes: training time between two checkpoints.
        ema_decay: decay of the averaged weights, which are the result.
    """

    minutes: float | None = None
    steps: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    accumulation: int = 1
    workers: int = 0
    validate_minutes: float = 5.0
    checkpoint_minutes: float = 2.0
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        limits = [limit for limit in (self.minutes, self.steps) if limit is not None]
        if not limits or min(limits) <= 0:
            raise TrainingError("A training needs a limit above 0.", "Give --minutes, --steps or both.")
        if self.batch_size is not None and self.batch_size < 1:
            raise TrainingError(f"A batch of {self.batch_size} is empty.", "--batch-size starts at 1.")
        if self.accumulation < 1 or self.workers < 0:
            raise TrainingError("--accumulate starts at 1, --workers at 0.")

    def progress(self, step: int, elapsed: float) -> float:
        """Share of the training that is done, from 0 to 1."""
        by_time = 0.0 if self.minutes is None else elapsed / (60 * self.minutes)
        by_steps = 0.0 if self.steps is None else step / self.steps
        return min(max(by_time, by_steps), 1.0)


def start_accelerator(folder: Path, mixed_precision: str | None = None, accumulation: int = 1) -> Accelerator:
    """The devices, precision and processes that `accelerate launch`, `torchrun` or plain `python` set up.

    Args:
        folder: folder of the stage. TensorBoard logs are written to its subfolder `logs`.
        mixed_precision: `no`, `fp16` or `bf16`; None: accelerate's configuration, or `no` without one.
        accumulation: number of batches in a step of each process.

    Raises:
        TrainingError: TensorBoard is not installed.
    """
    if not is_tensorboard_available():
        raise TrainingError("TensorBoard is not installed.", f"Run: {sys.executable} -m pip install tensorboard")
    return Accelerator(
        cpu=not torch.accelerator.is_available(),  # without this accelerate does not find torchrun's processes
        mixed_precision=mixed_precision,
        gradient_accumulation_steps=accumulation,
        log_with="tensorboard",
        project_dir=folder,
    )


class Trainer:
    """Trains a stage's parameters until a limit is reached, then saves their average.

    Args:
        stage: stage to train. `Stage.watch` has been called.
        data: training data.
        folder: folder for the stage's checkpoints, contact sheets and logs.
        settings: settings of the training.
        accelerator: accelerator from `start_accelerator`.
        log: function that takes one line of progress.
    """

    def __init__(
        self,
        stage: Stage,
        data: Mixture,
        folder: Path,
        settings: Settings,
        accelerator: Accelerator,
        log: Callable[[str], None] = print,
    ) -> None:
        self.stage, self.data, self.folder, self.settings = stage, data, folder, settings
        self.accelerator, self.log = accelerator, log
        self.step, self.elapsed = 0, 0.0
        self.learning_rate = stage.learning_rate if settings.learning_rate is None else settings.learning_rate
        self.parameters = list(stage.trained.values())
        # Processes that take their own steps must not average their gradients.
        alone = parallel.steps_apart(accelerator)
        self.model = stage.to(accelerator.device) if alone else accelerator.prepare_model(stage)
        optimizer = torch.optim.AdamW(
            self.parameters, lr=self.learning_rate, betas=(0.9, 0.99), weight_decay=1e-3, fused=True
        )
        self.optimizer = accelerator.prepare_optimizer(optimizer)
        self.ema = Ema(stage.trained, settings.ema_decay)

    def fit(self, resume: Path | None = None) -> None:
        """Train.

        Args:
            resume: checkpoint to continue from; None: the newest checkpoint in the folder, if there is one.

        Raises:
            TrainingError: the checkpoint does not fit, or the loss is not finite.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume(resume or newest_checkpoint(self.folder))
        self.accelerator.init_trackers("logs")
        batches = self._batches()
        watch = _Watch(self)
        mean_loss: torch.Tensor | None = None
        spent = 0.0  # seconds since the last meeting; all processes must have the same `elapsed` to end at one step
        while self.progress < 1:
            began = time.monotonic()
            loss, norm = self._update(batches)
            mean_loss = loss if mean_loss is None else mean_loss.lerp(loss, 0.02)
            together = self.step % parallel.MEETING_STEPS == 0
            if together:
                parallel.meet(self.accelerator, self.parameters)
                self._check(mean_loss)
            spent += time.monotonic() - began
            if together:
                self.elapsed += parallel.longest(self.accelerator, spent)
                spent = 0.0
                watch.look(mean_loss, norm)
        self.elapsed += parallel.longest(self.accelerator, spent)
        parallel.meet(self.accelerator, self.parameters)
        if mean_loss is not None:
            self._check(mean_loss)
        if self.accelerator.is_main_process:
            self.checkpoint(milestone=True)
            with self.ema.applied():
                self.stage.save()
            self.picture("final.png")
            self.log(f"{self.stage.name} finished at step {self.step}: {self.stage.output}")
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    @property
    def progress(self) -> float:
        return self.settings.progress(self.step, self.elapsed)

    @property
    def rate(self) -> float:
        """The learning rate: half a cosine over the whole training, with a linear warm-up over the first steps."""
        decay = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.progress))
        return self.learning_rate * min(1.0, (self.step + 1) / WARM_UP_STEPS) * decay

    def _batches(self) -> Iterator[Batch]:
        settings, stage = self.settings, self.stage
        batches = Batches(
            self.data,
            settings.batch_size or stage.batch_size,
            stage.request,
            rank=self.accelerator.process_index,
            first=self.step * settings.accumulation,
        )
        return batches.load(settings.workers)

    def _update(self, batches: Iterator[Batch]) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one step, and return the loss and the norm of its gradient."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        losses = []
        norm = torch.zeros(())
        for _ in range(self.settings.accumulation):
            batch = next(batches)  # outside autocast, which would change the precision of the rendering
            with self.accelerator.accumulate(self.model):
                with self.accelerator.autocast():
                    loss = self.model(batch)
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    norm = self.accelerator.clip_grad_norm_(self.parameters, GRADIENT_NORM)
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        self.step += 1
        self.ema.update(self.step)
        return torch.stack(losses).mean(), norm

    def _check(self, loss: torch.Tensor) -> None:
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss of stage {self.stage.name} is not finite at step {self.step}.",
                f"Go on from an older checkpoint in {self.folder} with a lower --learning-rate.",
            )

    def picture(self, name: str) -> None:
        """Write a contact sheet made with the averaged weights, and log the validation measures."""
        with self.ema.applied(), self.accelerator.autocast():
            measures, rows = self.stage.validate()
        write_contact_sheet(self.folder / name, rows)
        self.accelerator.log({f"validation/{key}": value for key, value in measures.items()}, step=self.step)
        sheet = rows.transpose(0, 2, 1, 3, 4).reshape(1, rows.shape[0] * rows.shape[2], -1, 3)
        self.accelerator.get_tracker("tensorboard").log_images({"validation": sheet}, self.step, dataformats="NHWC")
        text = ", ".join(f"{key} {value:.3f}" for key, value in measures.items())
        self.log(f"{self.stage.name} step {self.step} validation: {text or self.folder / name}")

    def checkpoint(self, milestone: bool) -> None:
        """Write everything that is needed to continue the training."""
        scaler = self.accelerator.scaler
        state = {
            "parameters": {name: parameter.detach() for name, parameter in self.stage.trained.items()},
            "ema": self.ema.average,
            "optimizer": self.optimizer.state_dict(),
            "scaler": {} if scaler is None else scaler.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
        }
        write_checkpoint(self.folder, self.step, state, milestone)

    @torch.no_grad()
    def _resume(self, path: Path | None) -> None:
        if path is None:
            return
        state = read_checkpoint(path, self.stage.trained, self.stage.name)
        for name, parameter in self.stage.trained.items():
            parameter.copy_(state["parameters"][name])
            self.ema.average[name].copy_(state["ema"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None and state.get("scaler"):
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step, self.elapsed = state["step"], state["elapsed"]
        if self.accelerator.is_main_process:
            self.log(f"{self.stage.name} goes on from {path}, step {self.step}")


class _Watch:
    """Writes log lines, contact sheets and checkpoints, each after its own interval of training time."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, elapsed = trainer, trainer.elapsed
        self.next_log, self.next_checkpoint = elapsed, elapsed + trainer.settings.checkpoint_minutes * 60
        self.next_picture = elapsed + min(trainer.settings.validate_minutes, 2) * 60
        self.passed = int(trainer.progress * MILESTONES)

    def look(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        """Write what is due. Only the main process writes."""
        trainer, settings = self.trainer, self.trainer.settings
        if not trainer.accelerator.is_main_process:
            return
        step, elapsed = trainer.step, trainer.elapsed
        if elapsed >= self.next_log:
            self.next_log = elapsed + LOG_SECONDS
            measures = {"loss": loss.item(), "learning rate": trainer.rate, "gradient norm": norm.item()}
            trainer.accelerator.log(measures, step=step)
            text = " ".join(f"{name} {value:.3g}" for name, value in measures.items())
            trainer.log(
                f"{trainer.stage.name} step {step}, {elapsed / 60:.1f} min, {trainer.progress:.0%} done: {text}"
            )
        passed = int(trainer.progress * MILESTONES)
        if trainer.progress < 1 and (elapsed >= self.next_checkpoint or passed > self.passed):
            self.next_checkpoint = elapsed + settings.checkpoint_minutes * 60
            trainer.checkpoint(milestone=passed > self.passed)
            self.passed = passed
        if elapsed >= self.next_picture:
            began = time.monotonic()
            trainer.picture(f"step_{step:07d}.png")
            took = time.monotonic() - began
            self.next_picture = elapsed + max(settings.validate_minutes * 60, took / PICTURE_SHARE)
