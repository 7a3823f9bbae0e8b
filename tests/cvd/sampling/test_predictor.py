"""The sampler's prediction, compared with a slow, plain reference; and views in groups."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cvd import Cameras, CollaborativeVideoPipeline
from cvd.cameras.patterns import pattern_cameras
from cvd.conditioning.epipolar import EpipolarBias, EpipolarContext
from cvd.conditioning.plucker import plucker_maps
from cvd.errors import RequestError
from cvd.memory import MemoryPlan
from cvd.request import Hooks, Pins, Request, Step
from cvd.sampling.pairing import anchored_partners, partners_from_permutation, view_groups
from protocol.settings import SamplingSettings

WINDOW = 16


@pytest.fixture(scope="module")
def pipe(tiny_model_folder: Path) -> CollaborativeVideoPipeline:
    return CollaborativeVideoPipeline.from_pretrained(tiny_model_folder)


def wandering_cameras(views: int, frames: int) -> Cameras:
    """Cameras with another pose and lens in every frame of every view, so no frame can replace another."""
    cameras = pattern_cameras("circle", views, 32, 48, frames)
    c2w, K = cameras.c2w.copy(), cameras.K.copy()
    c2w[..., 0, 3] += 0.3 * np.sin(0.7 * np.arange(frames)) * (1 + np.arange(views))[:, None]
    K[..., [0, 1], [0, 1]] *= np.linspace(1, 1.5, frames)[:, None]
    return Cameras(c2w, K, 32, 48)


@torch.inference_mode()
def plain_prediction(
    pipe: CollaborativeVideoPipeline, cameras: Cameras, noise: torch.Tensor, timestep: torch.Tensor, scale: float
) -> torch.Tensor:
    """Windows of 16 frames that start every 8 frames, each with its own cameras, blended by triangular weights."""
    total, weight = torch.zeros_like(noise), torch.zeros(noise.shape[2])
    text = pipe._encode_text("a cube", "a ball", pytest.fail)
    for start in range(0, cameras.frames - WINDOW + 1, WINDOW // 2):
        part = Cameras(cameras.c2w[:, start : start + WINDOW], cameras.K[:, start : start + WINDOW], 32, 48)
        features = pipe.camera_encoder(plucker_maps(part).transpose(1, 2))
        context = EpipolarContext(EpipolarBias(part, torch.float32, "cpu"), [1, 0], 0.25)
        latents = noise[:, :, start : start + WINDOW]
        unconditional, conditional = (
            pipe.unet(latents, timestep, each.repeat(2, 1, 1), features, context).sample for each in text
        )
        share = torch.tensor([min(i + 1, WINDOW - i) for i in range(WINDOW)], dtype=torch.float32)
        guided = unconditional + scale * (conditional - unconditional)
        total[:, :, start : start + WINDOW] += share[:, None, None] * guided
        weight[start : start + WINDOW] += share
    return total / weight[:, None, None]


def test_a_long_video_is_what_its_windows_cameras_and_weights_give(pipe: CollaborativeVideoPipeline) -> None:
    cameras = wandering_cameras(2, 32)
    noise = torch.randn(2, 4, 32, 4, 6, generator=torch.Generator().manual_seed(1))
    settings = SamplingSettings(num_inference_steps=1, guidance_scale=4.0)
    steps: list[Step] = []
    pins = Pins(latents=noise, pseudo_slope=0.25)
    pipe.generate(Request("a cube", cameras, "a ball", settings, pins=pins), Hooks(on_step=steps.append))
    (step,) = steps
    kept = pipe.scheduler.alphas_cumprod[int(step.timestep)]
    expected = plain_prediction(pipe, cameras, noise, torch.tensor(int(step.timestep)), 4.0)
    ours = (noise - kept.sqrt() * step.clean()) / (1 - kept).sqrt()
    torch.testing.assert_close(ours, expected, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize(("views", "pairs"), [(2, 1), (5, 1), (5, 2), (6, 2)])
def test_pairs_in_turn_give_what_all_at_once_give(pipe: CollaborativeVideoPipeline, views: int, pairs: int) -> None:
    wanted = Request("a cube", wandering_cameras(views, 4), settings=SamplingSettings(num_inference_steps=2, seed=1))
    rows: list[int] = []
    hook = pipe.unet.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
    together, in_turn = (pipe.generate(wanted, plan=MemoryPlan(pairs_per_call=each)) for each in (None, pairs))
    hook.remove()
    # The odd view goes with a pair. Both guidance branches are in a call.
    assert max(rows[len(rows) // 2 :]) <= 2 * (2 * pairs + views % 2)
    np.testing.assert_allclose(in_turn.latents, together.latents, atol=2e-3)
    np.testing.assert_allclose(in_turn.videos, together.videos, atol=2e-3)


def test_other_parts_of_the_plan_change_nothing(pipe: CollaborativeVideoPipeline, tiny_model_folder: Path) -> None:
    wanted = Request("a cube", wandering_cameras(3, 4), settings=SamplingSettings(num_inference_steps=2))
    usual = pipe.generate(wanted)
    decoded: list[int] = []
    hook = pipe.vae.decoder.register_forward_pre_hook(lambda module, inputs: decoded.append(len(inputs[0])))
    small = pipe.generate(wanted, plan=MemoryPlan(decode_batch=5, bias_budget=0))
    hook.remove()
    assert decoded == [5, 5, 2]
    np.testing.assert_allclose(small.videos, usual.videos, atol=1e-5)
    offloaded = CollaborativeVideoPipeline.from_pretrained(tiny_model_folder, plan=MemoryPlan(offload="model"))
    assert np.array_equal(offloaded.generate(wanted).videos, usual.videos)
    with pytest.raises(RequestError, match="do not change"):
        pipe.generate(wanted, plan=MemoryPlan(precision="bfloat16"))


@pytest.mark.parametrize("views", [1, 2, 3, 4, 5, 8])
def test_groups_hold_all_views_once_with_their_partners(views: int) -> None:
    random = np.random.default_rng(views)
    draws = [partners_from_permutation(random.permutation(views)) for _ in range(5)]
    draws += [anchored_partners(anchors, views, random) for anchors in range(1, views) for _ in range(5)]
    for partners in draws:
        assert view_groups(partners, None) == [list(range(views))]
        for pairs in (1, 2, 3):
            groups = view_groups(partners, pairs)
            assert sorted(view for group in groups for view in group) == list(range(views))
            assert all(partners[view] in group for group in groups for view in group)
    assert view_groups([1, 0, 3, 2, 0], 1) == [[0, 1, 4], [2, 3]]
