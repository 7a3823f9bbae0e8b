"""Denoising several views together: the paper's Algorithm 1, around any of three solvers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler

from ..errors import RequestError

SolverName = Literal["ddim", "dpmsolver++", "euler"]
SOLVERS: tuple[SolverName, ...] = get_args(SolverName)
Scheduler: TypeAlias = DDIMScheduler | DPMSolverMultistepScheduler | EulerDiscreteScheduler

TRAIN_TIMESTEPS = 1000
MAX_STEPS = 999
"""With DDIM's offset of 1, a thousand steps would start from a timestep beyond the noise schedule."""

FEW_STEPS = 100
NOISE_FROM = 900
"""From this timestep on, a video's share in its latents is at most 7 % in amplitude."""

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def official_scheduler(prediction_type: Literal["epsilon", "v_prediction"] = "epsilon") -> DDIMScheduler:
    """DDIM as the official release configures it: 1000 steps, linear beta, offset 1, no clipping.

    Args:
        prediction_type: what the U-Net predicts: the noise, as the official one, or the velocity.
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


def check_steps(name: SolverName, num_inference_steps: int) -> None:
    """Checks that a solver can take so many steps.

    DDIM's timesteps are the multiples of 1000 // steps, and one more. Most numbers of steps above a hundred leave the
    noisiest of them out, and with those the layout of the videos. (Very few steps do so, too, but as officially.)

    Raises:
        RequestError: an unknown solver, or a number of steps that it cannot take.
    """
    if name not in SOLVERS:
        raise RequestError(f'There is no scheduler "{name}".', f"Use one of {', '.join(SOLVERS)}.")
    if not 1 <= num_inference_steps <= MAX_STEPS:
        raise RequestError(f"num_inference_steps is {num_inference_steps}.", f"Use 1 to {MAX_STEPS}; 25 is usual.")
    stride = TRAIN_TIMESTEPS // num_inference_steps
    first = stride * (num_inference_steps - 1) + 1
    if name == "ddim" and num_inference_steps > FEW_STEPS and first < NOISE_FROM:
        raise RequestError(
            f"DDIM with {num_inference_steps} steps would start at timestep {first}, where videos are not all noise.",
            f"Use {TRAIN_TIMESTEPS // (stride + 1)} or {TRAIN_TIMESTEPS // stride} steps, or another scheduler.",
        )


def make_solver(name: SolverName, config: Any, num_inference_steps: int) -> Scheduler:
    """A solver of a model's noise schedule, with its timesteps set.

    Args:
        config: of the model's DDIM scheduler.

    Raises:
        RequestError: an unknown name, or a number of steps that it cannot take.
    """
    check_steps(name, num_inference_steps)
    if name == "ddim":
        solver: Scheduler = DDIMScheduler.from_config(config)
    elif name == "euler":
        solver = EulerDiscreteScheduler.from_config(config, timestep_spacing="linspace")
    else:
        # With few steps it matters that the first one starts from pure noise.
        solver = DPMSolverMultistepScheduler.from_config(
            config, algorithm_type="dpmsolver++", timestep_spacing="linspace", lower_order_final=True
        )
    solver.set_timesteps(num_inference_steps)
    return solver


def unet_calls(num_inference_steps: int, multistep: int, accumulate_step: int) -> int:
    """How many times `denoise` predicts noise: the last timestep has a single recurrence."""
    return ((num_inference_steps - 1) * multistep + 1) * accumulate_step


def marginal(solver: Scheduler, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(alpha, sigma) of the `index`-th timestep: the solver's latents there are alpha * clean + sigma * noise."""
    if isinstance(solver, EulerDiscreteScheduler):
        return torch.tensor(1.0), solver.sigmas[index]
    kept = solver.alphas_cumprod[solver.timesteps[index]]
    return kept.sqrt(), (1 - kept).sqrt()


@dataclass(frozen=True, eq=False)
class Anchors:
    """Finished views that stay as they are: latents (A, C, F, h, w), and the noise they are mixed with meanwhile."""

    latents: torch.Tensor
    noise: torch.Tensor

    def place(self, views: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """The views' latents (V, C, F, h, w) with the first A replaced by the anchors, noised to a timestep."""
        return torch.cat([alpha * self.latents + sigma * self.noise, views[len(self.latents) :]])


def denoise(
    noise: torch.Tensor,
    solver: Scheduler,
    predict: Predict,
    renoise: Callable[[int], torch.Tensor],
    multistep: int = 1,
    accumulate_step: int = 1,
    anchors: Anchors | None = None,
    on_latents: Callable[[torch.Tensor], None] | None = None,
) -> torch.Tensor:
    """Recurrent denoising of V views with random matchings (CVD, Algorithm 1).

    Args:
        noise: (V, C, F, h, w), standard normal.
        solver: from `make_solver`.
        predict: guided prediction of all views (of their noise or velocity, as the solver's configuration says), from
            (latents, timestep), under a matching it draws for this call.
        renoise: the n-th noise to go back a timestep with, of the latents' shape.
        multistep: recurrences of every timestep but the last.
        accumulate_step: matchings whose predictions are averaged in each recurrence.
        anchors: finished views, which stay fixed; they are the first ones.
        on_latents: sees the latents after every timestep.

    Returns:
        (V, C, F, h, w) free of noise.
    """
    latents, draws = noise * solver.init_noise_sigma, 0
    last = len(solver.timesteps) - 1
    for index, timestep in enumerate(solver.timesteps):
        alpha, sigma = marginal(solver, index)
        recurrences = 1 if index == last else multistep
        for recurrence in range(recurrences):
            if anchors is not None:
                latents = anchors.place(latents, alpha, sigma)
            # A solver may remember its steps; one that is gone back on must not be among them.
            attempt = copy.deepcopy(solver)
            scaled = attempt.scale_model_input(latents, timestep)
            predicted = sum(predict(scaled, timestep) for _ in range(accumulate_step)) / accumulate_step
            latents = attempt.step(predicted, timestep, latents).prev_sample
            if recurrence < recurrences - 1:
                next_alpha, next_sigma = marginal(solver, index + 1)
                back = alpha / next_alpha
                latents = back * latents + (sigma**2 - (back * next_sigma) ** 2).sqrt() * renoise(draws)
                draws += 1
        solver = attempt
        if on_latents is not None:
            on_latents(latents)
    if anchors is not None:
        latents = torch.cat([anchors.latents, latents[len(anchors.latents) :]])
    return latents
