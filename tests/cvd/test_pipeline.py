"""The pipeline's promises: what the seed fixes, what any number of views gives, what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cvd import CollaborativeVideoPipeline
from cvd.errors import RequestError
from cvd.pairing import default_schedule, partners_from_permutation
from cvd.pipeline import Progress
from cvd.trajectories import pattern_cameras


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
    """Changing one view's noise changes the other's video: the epipolar modules are at work."""
    cameras = pattern_cameras("circle", 2, 32, 32, frames=4)
    noise = np.random.default_rng(0).standard_normal((2, 4, 4, 4, 4))
    base = pipe("a cube", cameras, num_inference_steps=2, latents=noise).latents
    noise[1] += 0.5
    assert not np.allclose(base[0], pipe("a cube", cameras, num_inference_steps=2, latents=noise).latents[0])


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
        ({"multistep": 0}, "multistep"),
        ({"latents": np.zeros((1, 4, 4, 4, 4))}, "latents have shape"),
    ],
)
def test_settings_out_of_range(pipe: CollaborativeVideoPipeline, settings: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        pipe("", pattern_cameras("circle", 2, 32, 32, frames=4), **settings)


def test_too_many_frames(pipe: CollaborativeVideoPipeline) -> None:
    with pytest.raises(RequestError, match="at most 16"):
        pipe("", pattern_cameras("circle", 2, 32, 32, frames=17))


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
    with pytest.raises(ValueError, match="permutation"):
        partners_from_permutation([0, 0])


def test_official_schedules() -> None:
    assert [default_schedule(views) for views in (2, 4, 6)] == [(1, 1), (3, 1), (6, 2)]
