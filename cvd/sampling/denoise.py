"""Denoising of several views together: the paper's Algorithm 1, with one of three solvers."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler

from protocol.settings import SolverName

from ..request import TRAIN_TIMESTEPS, Step, ignore
from .state import DrawsState, SamplerState, SolverMemory

Scheduler: TypeAlias = DDIMScheduler | DPMSolverMultistepScheduler | EulerDiscreteScheduler

REMEMBERED_VALUES = ("_step_index", "lower_order_nums", "is_scale_input_called")
"""Values that solvers keep from their steps, beside the U-Net's last outputs."""

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def official_scheduler(prediction_type: Literal["epsilon", "v_prediction"] = "epsilon") -> DDIMScheduler:
    """DDIM as in the official release: 1000 steps, linear beta, offset 1, no clipping.

    Args:
        prediction_type: output of the U-Net: the noise, as in the official model, or the velocity.
    """
    return DDIMScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        steps_offset=1,
        clip_sample=False,
        prediction_type=prediction_type,
    )


def make_solver(name: SolverName, config: Any, num_inference_steps: int) -> Scheduler:
    """A solver for a model's noise schedule, with its timesteps set.

    Args:
        config: configuration of the model's DDIM scheduler.
    """
    if name == "ddim":
        solver: Scheduler = DDIMScheduler.from_config(config)
    elif name == "euler":
        solver = EulerDiscreteScheduler.from_config(config, timestep_spacing="linspace")
    else:
        # With few steps, the first one must start from pure noise.
        solver = DPMSolverMultistepScheduler.from_config(
            config, algorithm_type="dpmsolver++", timestep_spacing="linspace", lower_order_final=True
        )
    solver.set_timesteps(num_inference_steps)
    return solver


def unet_calls(num_inference_steps: int, multistep: int, accumulate_step: int) -> int:
    """Number of predictions in `denoise`. The last timestep has a single recurrence."""
    return ((num_inference_steps - 1) * multistep + 1) * accumulate_step


def marginal(solver: Scheduler, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(alpha, sigma) of the `index`-th timestep. The solver's latents are alpha * clean + sigma * noise."""
    if isinstance(solver, EulerDiscreteScheduler):
        return torch.tensor(1.0), solver.sigmas[index]
    kept = solver.alphas_cumprod[solver.timesteps[index]]
    return kept.sqrt(), (1 - kept).sqrt()


@dataclass(frozen=True, eq=False)
class Anchors:
    """Finished views that do not change: latents (A, C, F, h, w), and noise that is added to them during the run."""

    latents: torch.Tensor
    noise: torch.Tensor

    def place(self, views: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """The views' latents (V, C, F, h, w). The first A are the anchors with the noise of a timestep."""
        return torch.cat([alpha * self.latents + sigma * self.noise, views[len(self.latents) :]])


def remembered(solver: Scheduler) -> SolverMemory:
    """The memory of a solver."""
    memory = SolverMemory(values={name: getattr(solver, name) for name in REMEMBERED_VALUES if hasattr(solver, name)})
    outputs = getattr(solver, "model_outputs", [])
    memory.tensors.update({f"output_{place}": each for place, each in enumerate(outputs) if each is not None})
    return memory


def with_memory(solver: Scheduler, memory: SolverMemory) -> Scheduler:
    """A copy of a solver with another memory. The given solver does not change."""
    copied = copy.copy(solver)
    for name, value in memory.values.items():
        setattr(copied, name, value)
    if hasattr(solver, "model_outputs"):
        places = range(len(solver.model_outputs))
        copied.model_outputs = [memory.tensors.get(f"output_{place}") for place in places]
    return copied


def initial_state(noise: torch.Tensor, solver: Scheduler) -> SamplerState:
    """The first state of a run, from standard normal noise (V, C, F, h, w)."""
    return SamplerState(noise * solver.init_noise_sigma, solver=remembered(solver))


def denoise(
    state: SamplerState,
    solver: Scheduler,
    predict: Predict,
    renoise: Callable[[int], torch.Tensor],
    multistep: int = 1,
    accumulate_step: int = 1,
    anchors: Anchors | None = None,
    on_step: Callable[[Step], None] = ignore,
    draws_state: Callable[[], DrawsState | None] = lambda: None,
) -> torch.Tensor:
    """Recurrent denoising of V views with random pairings (CVD, Algorithm 1).

    Args:
        state: state from `initial_state`, or from `on_step` in an earlier run.
        solver: solver from `make_solver`.
        predict: function for the guided prediction of all views from (latents, timestep). Each call draws a pairing.
            The solver's configuration says whether it predicts noise or velocity.
        renoise: function for the n-th noise, of the latents' shape, to go back a timestep.
        multistep: number of recurrences of every timestep but the last.
        accumulate_step: number of pairings whose predictions are averaged in each recurrence.
        anchors: finished views, which do not change; they come first.
        on_step: called after every recurrence of every timestep.
        draws_state: function that returns the state of the random streams.

    Returns:
        latents (V, C, F, h, w) without noise.
    """
    count = len(solver.timesteps)
    while state.index < count:
        timestep = solver.timesteps[state.index]
        alpha, sigma = marginal(solver, state.index)
        latents = state.latents if anchors is None else anchors.place(state.latents, alpha, sigma)
        # Only the last recurrence of a timestep may change the memory of the solver.
        attempt = with_memory(solver, state.solver)
        scaled = attempt.scale_model_input(latents, timestep)
        total = sum((predict(scaled, timestep) for _ in range(accumulate_step)), torch.zeros(()))
        predicted = total / accumulate_step
        stepped = attempt.step(predicted, timestep, latents).prev_sample
        done = state.index
        if state.recurrence + 1 < multistep and state.index + 1 < count:
            next_alpha, next_sigma = marginal(solver, state.index + 1)
            back = alpha / next_alpha
            noise = renoise(state.renoised)
            stepped = back * stepped + (sigma**2 - (back * next_sigma) ** 2).sqrt() * noise
            state = replace(state, latents=stepped, recurrence=state.recurrence + 1, renoised=state.renoised + 1)
        else:
            state = replace(state, latents=stepped, index=state.index + 1, recurrence=0, solver=remembered(attempt))
        state = replace(state, draws=draws_state())
        kind = solver.config.prediction_type
        clean = functools.partial(predicted_clean, latents, predicted, alpha, sigma, kind)
        on_step(Step(done, count, float(timestep), state, clean))
    if anchors is None:
        return state.latents
    return torch.cat([anchors.latents, state.latents[len(anchors.latents) :]])


def predicted_clean(
    latents: torch.Tensor, predicted: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor, prediction_type: str
) -> torch.Tensor:
    """Latents without noise, from the U-Net's prediction for latents alpha * clean + sigma * noise.

    prediction_type: "epsilon" for noise, "v_prediction" for the velocity in latents of unit variance.
    """
    if prediction_type == "epsilon":
        return (latents - sigma * predicted) / alpha
    length = (alpha**2 + sigma**2).sqrt()
    return (alpha * latents / length - sigma * predicted) / length
