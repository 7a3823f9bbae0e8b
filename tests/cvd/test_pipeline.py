"""The pipeline: effects of the seed, any number of views, and requests that are refused."""

import gc
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from support.tiny_model import tiny_pipeline

from cvd import Cameras, CollaborativeVideoPipeline
from cvd.cameras.patterns import pattern_cameras
from cvd.conditioning.epipolar import EpipolarBias
from cvd.errors import PromptWarning, RequestError
from cvd.request import Output, Progress, Request
from cvd.sampling.denoise import denoise, initial_state, make_solver, official_scheduler
from cvd.sampling.pairing import anchored_partners, partners_from_permutation
from cvd.sampling.windows import shared_noise, window_starts
from protocol.models import GuidanceRule, official_schedule
from protocol.settings import SamplingSettings


@pytest.fixture(scope="module")
def pipe(tiny_model_folder: Path) -> CollaborativeVideoPipeline:
    return CollaborativeVideoPipeline.from_pretrained(tiny_model_folder)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_any_number_of_views(pipe: CollaborativeVideoPipeline, views: int) -> None:
    output = pipe("a cube", pattern_cameras("circle", views, 32, 48, frames=5), num_inference_steps=2)
    assert output.videos.shape == (views, 5, 32, 48, 3)
    assert output.latents.shape == (views, 4, 5, 4, 6)
    assert output.videos.dtype == np.float32
    assert 0 <= output.videos.min() <= output.videos.max() <= 1


def test_the_seed_fixes_everything(pipe: CollaborativeVideoPipeline) -> None:
    cameras = pattern_cameras("circle", 3, 32, 32, frames=4)
    first, again, other = (pipe("a cube", cameras, num_inference_steps=2, seed=seed).videos for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_prompt_cameras_and_guidance_matter(pipe: CollaborativeVideoPipeline) -> None:
    cameras = pattern_cameras("circle", 2, 32, 32, frames=4)
    settings = {"num_inference_steps": 2, "guidance_scale": 3.0}
    base = pipe("a cube", cameras, **settings).latents
    assert not np.allclose(base, pipe("a sphere", cameras, **settings).latents)
    assert not np.allclose(base, pipe("a cube", cameras, num_inference_steps=2, guidance_scale=6.0).latents)
    turned = pattern_cameras("upper_hemi", 2, 32, 32, frames=4)
    assert not np.allclose(base[1], pipe("a cube", turned, **settings).latents[1])


def test_views_see_each_other(pipe: CollaborativeVideoPipeline) -> None:
    """With other noise in one view, the other view's video changes: the epipolar modules work."""
    cameras = pattern_cameras("circle", 2, 32, 32, frames=4)
    noise = np.random.default_rng(0).standard_normal((2, 4, 4, 4, 4))
    base = pipe("a cube", cameras, num_inference_steps=2, latents=noise).latents
    noise[1] += 0.5
    assert not np.allclose(base[0], pipe("a cube", cameras, num_inference_steps=2, latents=noise).latents[0])


def test_guidance_can_strengthen_synchronisation(pipe: CollaborativeVideoPipeline, tiny_model_folder: Path) -> None:
    """Then only the unconditional branch changes: it does not attend to other views."""
    guided = CollaborativeVideoPipeline.from_pretrained(tiny_model_folder)
    guided.info = replace(pipe.info, guidance=GuidanceRule(frees_unconditional=True))
    cameras = pattern_cameras("circle", 2, 32, 32, frames=4)
    noise = np.random.default_rng(0).standard_normal((2, 4, 4, 4, 4))

    def latents(pipe: CollaborativeVideoPipeline, guidance_scale: float) -> np.ndarray:
        settings = {"num_inference_steps": 2, "guidance_scale": guidance_scale, "latents": noise}
        return pipe("a cube", cameras, **settings).latents

    assert np.allclose(latents(guided, 1), latents(pipe, 1), atol=1e-5)
    assert not np.allclose(latents(guided, 3), latents(pipe, 3), atol=1e-2)
    unconditional = latents(guided, 0)
    noise[1] += 0.5
    assert np.allclose(latents(guided, 0)[0], unconditional[0], atol=1e-5)
    assert not np.allclose(latents(pipe, 0)[0], unconditional[0], atol=1e-3)


def test_guidance_can_fall_with_the_noise(pipe: CollaborativeVideoPipeline, tiny_model_folder: Path) -> None:
    falling = CollaborativeVideoPipeline.from_pretrained(tiny_model_folder)
    falling.info = replace(pipe.info, guidance=GuidanceRule(late_share=0.5))
    cameras = pattern_cameras("circle", 2, 32, 32, frames=4)

    def latents(pipe: CollaborativeVideoPipeline, steps: int, guidance_scale: float) -> list[np.ndarray]:
        seen: list[torch.Tensor] = []
        settings = {"num_inference_steps": steps, "guidance_scale": guidance_scale, "on_latents": seen.append}
        pipe("a cube", cameras, **settings)
        return [each.numpy() for each in seen]

    # Two steps are timesteps 501 and 1. A single step is timestep 1.
    assert np.array_equal(latents(falling, 2, 6)[0], latents(pipe, 2, 6)[0])
    assert not np.allclose(latents(falling, 2, 6)[1], latents(pipe, 2, 6)[1], atol=1e-3)
    assert np.array_equal(latents(falling, 1, 6)[0], latents(pipe, 1, 3)[0])


def test_a_guidance_scale_of_1_takes_one_branch_alone(pipe: CollaborativeVideoPipeline) -> None:
    cameras = pattern_cameras("circle", 2, 32, 32, frames=4)
    rows: list[int] = []
    hook = pipe.unet.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))

    def latents(guidance_scale: float, negative_prompt: str = "") -> np.ndarray:
        settings = {"num_inference_steps": 2, "guidance_scale": guidance_scale}
        return pipe("a cube", cameras, negative_prompt, **settings).latents

    alone, other, nearly = latents(1.0), latents(1.0, "a sphere"), latents(1.0 + 1e-6)
    hook.remove()
    assert rows == [2, 2, 2, 2, 4, 4]
    np.testing.assert_array_equal(alone, other)
    np.testing.assert_allclose(alone, nearly, atol=1e-4)


def test_progress_counts_every_call_and_frame(pipe: CollaborativeVideoPipeline) -> None:
    seen: list[Progress] = []
    cameras = pattern_cameras("circle", 3, 32, 32, frames=4)
    pipe("", cameras, num_inference_steps=3, multistep=2, accumulate_step=2, on_step=seen.append)
    denoising = [progress for progress in seen if progress.stage == "denoising"]
    assert [progress.step for progress in denoising] == list(range(1, 11))
    assert {progress.of for progress in denoising} == {10}
    assert seen[-1] == Progress("decoding", 12, 12)


def test_what_on_step_raises_ends_the_run(pipe: CollaborativeVideoPipeline) -> None:
    class Stopped(Exception):
        pass

    calls = 0

    def stop(progress: Progress) -> None:
        nonlocal calls
        calls += progress.stage == "denoising"
        if calls == 2:
            raise Stopped

    with pytest.raises(Stopped):
        pipe("", pattern_cameras("circle", 2, 32, 32, frames=4), num_inference_steps=10, on_step=stop)
    assert calls == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps"),
        ({"num_inference_steps": 1000}, "num_inference_steps"),
        ({"num_inference_steps": 600}, "500 or 1000 steps"),
        ({"multistep": 0}, "multistep"),
        ({"guidance_scale": float("nan")}, "guidance_scale"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"scheduler": "plms"}, "plms"),
        ({"pairings": [(0, 1)]}, "too few"),
        ({"pairings": [(0, 0)] * 25}, "not a permutation"),
        ({"pairings": [(0, 1, 2)] * 25}, "2 views"),
        ({"latents": np.zeros((1, 4, 4, 4, 4))}, "latents have shape"),
    ],
)
def test_settings_out_of_range(pipe: CollaborativeVideoPipeline, settings: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        pipe("", pattern_cameras("circle", 2, 32, 32, frames=4), **settings)


def test_steps_are_checked_for_the_solver_that_is_used(pipe: CollaborativeVideoPipeline) -> None:
    cameras = pattern_cameras("circle", 2, 32, 32, frames=4)
    request = Request("", cameras, settings=SamplingSettings(num_inference_steps=600))
    defaults = replace(pipe.info.defaults, scheduler="euler")
    request.check(replace(pipe.info, defaults=defaults))
    with pytest.raises(RequestError, match="500 or 1000 steps"):
        request.check()
    many = replace(pipe.info, defaults=replace(defaults, scheduler="ddim", num_inference_steps=600))
    with pytest.raises(RequestError, match="500 or 1000 steps"):
        Request("", cameras).check(many)


@pytest.mark.parametrize("steps", [25, 30, 50, 99, 100, 125, 200, 250, 333, 500, 999])
def test_ddim_starts_from_noise(steps: int) -> None:
    solver = make_solver("ddim", official_scheduler().config, steps)
    assert len(solver.timesteps) == steps
    assert solver.timesteps[0] >= 900


def test_nothing_of_a_run_outlives_it(pipe: CollaborativeVideoPipeline) -> None:
    pipe("", pattern_cameras("circle", 2, 32, 32, frames=4), num_inference_steps=1)
    assert all(module.pose is None and module.epipolar is None for _, module in pipe.unet.collaborative_modules())
    gc.collect()
    assert not [each for each in gc.get_objects() if type(each) is EpipolarBias]


def test_what_a_prompt_loses_is_said(pipe: CollaborativeVideoPipeline) -> None:
    cameras = pattern_cameras("circle", 1, 32, 32, frames=2)
    with pytest.warns(PromptWarning, match=r"does not read \".*last words"):
        pipe("many " * 80 + "last words", cameras, num_inference_steps=1)


def test_anchors_of_another_model_are_refused(pipe: CollaborativeVideoPipeline) -> None:
    finished = Output(np.zeros((1, 4, 32, 32, 3), np.float32), np.zeros((1, 6, 4, 4, 4), np.float32))
    with pytest.raises(RequestError, match="6 channels"):
        pipe("", pattern_cameras("circle", 2, 32, 32, frames=4), num_inference_steps=1, anchors=finished)


def test_the_autoencoder_says_how_many_pixels_a_latent_covers(pipe: CollaborativeVideoPipeline, tmp_path: Path) -> None:
    coarse = tiny_pipeline(tmp_path, scale_factor=16)
    cameras = pattern_cameras("circle", 2, 64, 96, frames=4)
    output, finer = (each("a cube", cameras, num_inference_steps=1) for each in (coarse, pipe))
    assert output.videos.shape == finer.videos.shape == (2, 4, 64, 96, 3)
    assert (output.latents.shape, finer.latents.shape) == ((2, 4, 4, 4, 6), (2, 4, 4, 8, 12))
    more = pattern_cameras("circle", 3, 64, 96, frames=4)
    assert len(coarse("a cube", more, num_inference_steps=1, anchors=output).videos) == 3
    with pytest.raises(RequestError, match=r"4 channels of 12 x 8, this model's 4 channels of 6 x 4"):
        coarse("a cube", more, num_inference_steps=1, anchors=finer)
    with pytest.raises(RequestError, match=r"40 x 72 pixels.*multiples of 16\. Use 32 x 64, for instance"):
        coarse("a cube", pattern_cameras("circle", 2, 72, 40, frames=4))


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(RequestError, match="not a device"):
        CollaborativeVideoPipeline.from_pretrained("starter", device="toaster")
    with pytest.raises(RequestError, match="CUDA devices"):
        CollaborativeVideoPipeline.from_pretrained("starter", device="cuda:63")


def test_too_many_frames(pipe: CollaborativeVideoPipeline) -> None:
    with pytest.raises(RequestError, match="at most 128"):
        pipe("", pattern_cameras("circle", 2, 32, 32, frames=129))


def test_long_videos_are_made_in_windows(pipe: CollaborativeVideoPipeline) -> None:
    seen: list[Progress] = []
    output = pipe("", pattern_cameras("circle", 2, 32, 32, frames=40), num_inference_steps=2, on_step=seen.append)
    assert output.videos.shape == (2, 40, 32, 32, 3)
    assert max(progress.of for progress in seen if progress.stage == "denoising") == 2 * 4
    assert np.isfinite(output.latents).all()


def test_windows_cover_every_frame_and_overlap() -> None:
    for frames in (17, 24, 31, 32, 40, 128):
        starts = window_starts(frames, 16)
        covered = {frame for start in starts for frame in range(start, start + 16)}
        assert covered == set(range(frames))
        assert all(0 < b - a <= 8 for a, b in itertools.pairwise(starts))
    assert window_starts(5, 5) == [0]


def test_windows_share_their_noise() -> None:
    noise = shared_noise(torch.randn(1, 1, 40, 2, 2), 16, torch.Generator().manual_seed(0))
    for start in (16, 24, 32):
        block, earlier = noise[0, 0, start : start + 8], noise[0, 0, start - 16 : start - 8]
        assert not torch.equal(block, earlier)
        assert torch.equal(block.flatten(1).sort(0).values, earlier.flatten(1).sort(0).values)


@pytest.mark.parametrize("scheduler", ["ddim", "dpmsolver++", "euler"])
@pytest.mark.parametrize("multistep", [1, 3])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_solvers_end_where_the_noise_is_known(scheduler: str, multistep: int, prediction_type: str) -> None:
    """From the true noise or velocity of clean latents, every solver returns them, also with recurrences."""
    clean = torch.randn(2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    solver = make_solver(scheduler, official_scheduler(prediction_type).config, 6)
    alphas = official_scheduler().alphas_cumprod

    def truth(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        position = float(timestep)
        low = int(position)
        kept = torch.lerp(alphas[low], alphas[min(low + 1, 999)], position - low)
        noise = (latents - kept.sqrt() * clean) / (1 - kept).sqrt()
        return noise if prediction_type == "epsilon" else kept.sqrt() * noise - (1 - kept).sqrt() * clean

    noise = torch.randn(clean.shape, generator=generator)
    final = denoise(
        initial_state(noise, solver), solver, truth, lambda n: torch.randn(clean.shape, generator=generator), multistep
    )
    torch.testing.assert_close(final, clean, atol=0.02, rtol=0)


def test_going_back_a_timestep_gives_its_noise_level() -> None:
    """Before each prediction, latents of pure noise have their timestep's variance, also with recurrences."""
    for scheduler in ("ddim", "dpmsolver++"):
        solver = make_solver(scheduler, official_scheduler().config, 5)
        generator = torch.Generator().manual_seed(0)
        shape = (1, 4, 16, 32, 32)
        errors = []

        def predict(latents: torch.Tensor, timestep: torch.Tensor, errors: list = errors) -> torch.Tensor:
            kept = official_scheduler().alphas_cumprod[timestep]
            errors.append(latents.var().item() - (1 - kept).item())
            return latents / (1 - kept).sqrt()

        def fresh(n: int, generator: torch.Generator = generator, shape: tuple = shape) -> torch.Tensor:
            return torch.randn(shape, generator=generator)

        denoise(initial_state(fresh(0), solver), solver, predict, fresh, multistep=3)
        assert np.abs(errors).max() < 0.02


@pytest.mark.parametrize("scheduler", ["dpmsolver++", "euler"])
def test_other_solvers_run_with_recurrences(pipe: CollaborativeVideoPipeline, scheduler: str) -> None:
    cameras = pattern_cameras("circle", 3, 32, 32, frames=4)
    output = pipe("a cube", cameras, num_inference_steps=3, multistep=2, scheduler=scheduler)
    assert np.isfinite(output.latents).all()


def test_unknown_scheduler(pipe: CollaborativeVideoPipeline) -> None:
    with pytest.raises(RequestError, match=r"scheduler is 'heun'\. Use ddim, dpmsolver"):
        pipe("", pattern_cameras("circle", 2, 32, 32, frames=4), scheduler="heun")


def test_anchors_come_back_bit_for_bit_and_guide_the_others(pipe: CollaborativeVideoPipeline) -> None:
    four = pattern_cameras("circle", 4, 32, 32, frames=4)
    two = Cameras(four.c2w[:2], four.K[:2], 32, 32)
    settings = {"num_inference_steps": 3, "seed": 5}
    first = pipe("a cube", two, **settings)
    more = pipe("a cube", four, anchors=first, **settings)
    assert np.array_equal(more.latents[:2], first.latents)
    assert np.array_equal(more.videos[:2], first.videos)
    other = Output(first.videos, first.latents + 1)
    assert not np.allclose(more.latents[2:], pipe("a cube", four, anchors=other, **settings).latents[2:])


def test_anchors_that_do_not_fit(pipe: CollaborativeVideoPipeline) -> None:
    cameras = pattern_cameras("circle", 2, 32, 32, frames=4)
    finished = pipe("", cameras, num_inference_steps=1)
    with pytest.raises(RequestError, match="finished views first"):
        pipe("", cameras, anchors=finished)
    with pytest.raises(RequestError, match="finished views first"):
        pipe("", pattern_cameras("circle", 3, 32, 48, frames=4), anchors=finished)


def test_new_views_follow_finished_ones() -> None:
    choice = np.random.default_rng(0)
    for anchors, views in ((1, 2), (1, 4), (2, 3), (2, 4), (2, 7), (5, 6)):
        seen = set()
        for _ in range(50):
            partner = anchored_partners(anchors, views, choice)
            new = range(anchors, views)
            followers = [view for view in new if partner[view] < anchors]
            mutual = [view for view in range(views) if partner[partner[view]] == view]
            with_anchors = min(anchors, len(new))
            assert len([view for view in followers if view in mutual]) == with_anchors
            among_new = (len(new) - with_anchors) // 2 * 2
            assert len([view for view in new if view in mutual and partner[view] >= anchors]) == among_new
            assert len(followers) == len(new) - among_new
            assert all(partner[view] != view for view in range(views))
            assert all(partner[view] >= anchors for view in range(anchors))
            seen.update(followers)
        assert seen == set(new)


def test_half_precision_stays_close(tiny_model_folder: Path, pipe: CollaborativeVideoPipeline) -> None:
    cameras = pattern_cameras("circle", 2, 32, 32, frames=4)
    half = CollaborativeVideoPipeline.from_pretrained(tiny_model_folder, dtype=torch.bfloat16)
    exact = pipe("a cube", cameras, num_inference_steps=2).latents
    close = half("a cube", cameras, num_inference_steps=2).latents
    assert np.linalg.norm(close - exact) / np.linalg.norm(exact) < 0.1


def test_matchings() -> None:
    assert partners_from_permutation([3, 2, 0, 1]) == [3, 2, 1, 0]
    assert partners_from_permutation([1, 0]) == [1, 0]
    assert partners_from_permutation([0]) == [0]
    assert partners_from_permutation([4, 0, 2, 1, 3]) == [1, 0, 4, 4, 2]
    for views in (3, 5, 7):
        order = np.random.default_rng(views).permutation(views)
        partner = partners_from_permutation(order)
        left_out = order[-1]
        assert all(partner[partner[view]] == view for view in range(views) if view != left_out)
        assert partner[left_out] != left_out
    with pytest.raises(RequestError, match="permutation"):
        partners_from_permutation([0, 0])


def test_official_schedules() -> None:
    assert [official_schedule(views) for views in (2, 4, 6)] == [(1, 1), (3, 1), (6, 2)]
