"""An interrupted run continues from its saved state, and ends with the same bytes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from cvd import Cameras, CollaborativeVideoPipeline
from cvd.cameras.patterns import pattern_cameras
from cvd.errors import CheckpointError, RequestError
from cvd.request import Hooks, Output, Pins, Progress, Request, Step
from cvd.sampling.denoise import denoise, initial_state, make_solver, official_scheduler, predicted_clean
from cvd.sampling.state import SamplerState, load_state
from protocol.settings import SOLVERS, SamplingSettings, SolverName


@pytest.fixture(scope="module")
def pipe(tiny_model_folder: Path) -> CollaborativeVideoPipeline:
    return CollaborativeVideoPipeline.from_pretrained(tiny_model_folder)


@dataclass
class Watched:
    """A run, with its steps and its progress."""

    output: Output
    steps: list[Step]
    progress: list[Progress]


def watch(pipe: CollaborativeVideoPipeline, request: Request, resume: SamplerState | None = None) -> Watched:
    steps: list[Step] = []
    progress: list[Progress] = []
    return Watched(pipe.generate(request, Hooks(progress.append, steps.append), resume), steps, progress)


def request(frames: int = 3, anchors: Output | None = None, pins: Pins | None = None, **settings: object) -> Request:
    given = {"num_inference_steps": 4, "seed": 3, "guidance_scale": 3.0} | settings
    cameras = pattern_cameras("circle", 3, 32, 48, frames)
    return Request("a cube", cameras, "a ball", SamplingSettings(**given), anchors, pins or Pins())


@pytest.mark.parametrize("scheduler", SOLVERS)
@pytest.mark.parametrize("multistep", [1, 2])
@pytest.mark.parametrize("accumulate_step", [1, 2])
def test_every_state_of_a_run_leads_to_the_same_bytes(
    pipe: CollaborativeVideoPipeline, tmp_path: Path, scheduler: str, multistep: int, accumulate_step: int
) -> None:
    wanted = request(scheduler=scheduler, multistep=multistep, accumulate_step=accumulate_step)
    whole = watch(pipe, wanted)
    assert len(whole.steps) == 3 * multistep + 1
    for number in range(len(whole.steps) - 1):
        whole.steps[number].state.save(tmp_path / "state")
        resumed = watch(pipe, wanted, load_state(tmp_path / "state"))
        assert np.array_equal(resumed.output.latents, whole.output.latents)
        assert np.array_equal(resumed.output.videos, whole.output.videos)
        calls = [each for each in resumed.progress if each.stage == "denoising"]
        assert calls == [each for each in whole.progress if each.stage == "denoising"][-len(calls) :]
        assert len(calls) == (len(whole.steps) - number - 1) * accumulate_step


@pytest.mark.slow
def test_windows_anchors_and_pins_go_on_as_well(pipe: CollaborativeVideoPipeline, tmp_path: Path) -> None:
    long = request(frames=24, multistep=2)
    cameras = Cameras(long.cameras.c2w[:1], long.cameras.K[:1], 32, 48)
    first = pipe.generate(Request("a cube", cameras, settings=long.settings))
    pinned = Pins(
        pairings=[np.random.default_rng(n).permutation(3) for n in range(7)],
        renoise=lambda n, shape: np.random.default_rng(n).standard_normal(shape),
        pseudo_slope=0.25,
    )
    for wanted in (request(frames=24, multistep=2, anchors=first), request(frames=3, multistep=2, pins=pinned)):
        whole = watch(pipe, wanted)
        whole.steps[2].state.save(tmp_path / "state")
        resumed = watch(pipe, wanted, load_state(tmp_path / "state"))
        assert np.array_equal(resumed.output.latents, whole.output.latents)
        assert np.array_equal(resumed.output.videos, whole.output.videos)


def test_a_step_says_where_it_is_and_what_it_predicts(pipe: CollaborativeVideoPipeline) -> None:
    steps = watch(pipe, request(multistep=2)).steps
    assert [(step.index, step.state.recurrence) for step in steps[:3]] == [(0, 1), (0, 0), (1, 1)]
    assert {step.of for step in steps} == {4}
    assert [step.timestep for step in steps[::2]] == [751, 501, 251, 1]
    for step in steps:
        assert step.latents.shape == step.clean().shape == (3, 4, 3, 4, 6)
    # The result of DDIM's last step is almost the predicted clean latents.
    torch.testing.assert_close(steps[-1].clean(), steps[-1].latents, atol=0.05, rtol=0.05)


@pytest.mark.parametrize(("alpha", "sigma"), [(0.8, 0.6), (1.0, 5.0)])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_clean_latents_come_out_of_known_noise(alpha: float, sigma: float, kind: str) -> None:
    clean, noise = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    a, s = torch.tensor(alpha), torch.tensor(sigma)
    length = (a**2 + s**2).sqrt()
    predicted = noise if kind == "epsilon" else (a * noise - s * clean) / length
    torch.testing.assert_close(predicted_clean(a * clean + s * noise, predicted, a, s, kind), clean)


def test_what_is_no_state_of_this_run_is_refused(pipe: CollaborativeVideoPipeline, tmp_path: Path) -> None:
    path = tmp_path / "state"
    with pytest.raises(CheckpointError, match="no state of a run"):
        load_state(path)
    watch(pipe, request()).steps[0].state.save(path)
    with pytest.raises(RequestError, match=r"saved latents have shape \(3, 4, 3, 4, 6\)"):
        pipe.generate(request(frames=4), resume=load_state(path))
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[:-40], b"x" * 1000):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="no state of a run"):
            load_state(path)


@pytest.mark.parametrize("scheduler", SOLVERS)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_without_recurrences_every_solver_moves_as_in_diffusers(scheduler: SolverName, prediction_type: str) -> None:
    """A solver that forgets its earlier steps would move otherwise, and still end in one piece."""
    config = official_scheduler(prediction_type).config
    noise = torch.randn(2, 4, 3, 2, 5, generator=torch.Generator().manual_seed(0))

    def predict(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * latents + float(timestep) / 300)

    plain = make_solver(scheduler, config, 7)
    expected = noise * plain.init_noise_sigma
    for timestep in plain.timesteps:
        predicted = predict(plain.scale_model_input(expected, timestep), timestep)
        expected = plain.step(predicted, timestep, expected).prev_sample
    solver = make_solver(scheduler, config, 7)
    ours = denoise(initial_state(noise, solver), solver, predict, pytest.fail)
    assert torch.equal(ours, expected)
