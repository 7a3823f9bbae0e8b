"""Training on pairs of a clip and a warped copy: the attention bias, and pixels that do not count."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from support.tiny_training import FACTOR, tiny_model, trainer

from cvd.cameras import Cameras
from cvd.conditioning.epipolar import EpipolarBias
from cvd.sampling.denoise import official_scheduler
from cvd.starter.procedural import draw, render_draws
from cvd.training.datasets import Videos
from cvd.training.datasets.videos import seen_weights
from cvd.training.diffusion import diffusion_loss
from cvd.training.homography_bias import TO_CORNER, HomographyBias
from cvd.training.loop import Settings
from cvd.training.video import EpipolarStage


@pytest.mark.parametrize("without_baseline", ["line", "point"])
def test_a_homography_gives_the_bias_that_a_turned_camera_gives(without_baseline: str):
    """The images of cameras at one place are related by a homography."""
    K = np.array([[60, 0, 32], [0, 60, 32], [0, 0, 1.0]])
    c2w = np.tile(np.eye(4), (2, 3, 1, 1))
    c2w[1, :, :3, :3] = Rotation.from_rotvec([[0, 0, 0], [0, 0.1, 0.05], [0.05, 0.2, 0.1]]).as_matrix()
    cameras = EpipolarBias(Cameras(c2w, K, 64, 64), torch.float32, "cpu", without_baseline=without_baseline)
    homographies = K @ c2w[1, :, :3, :3].swapaxes(-1, -2) @ np.linalg.inv(K)

    # The camera bias uses integer-centred pixels with K, because the official weights were trained so.
    corner = (TO_CORNER @ homographies @ np.linalg.inv(TO_CORNER))[None]
    bias = HomographyBias(corner, 64, 64, "cpu", without_baseline)

    for query, key in ((0, 1), (1, 0)):
        for slope in (0.3, 0.8):
            expected = cameras.pair(query, key, 8, 8, slope)
            torch.testing.assert_close(bias.pair(query, key, 8, 8, slope), expected, atol=1e-4, rtol=1e-4)


def test_views_of_other_scenes_have_no_homography():
    with pytest.raises(ValueError, match="no homography"):
        HomographyBias(np.tile(np.eye(3), (2, 1, 1, 1)), 64, 64, "cpu").pair(0, 2, 8, 8, 0.5)


def test_a_latent_counts_where_all_of_its_pixels_are_seen():
    seen = np.ones((1, 2, 16, 16), bool)
    seen[0, 1, 3, 12] = False
    assert seen_weights(seen, 8).tolist() == [[[[1, 1], [1, 1]], [[1, 0], [1, 1]]]]
    assert seen_weights(seen, 16).tolist() == [[[[1]], [[0]]]]


def test_errors_where_nothing_is_seen_do_not_count():
    latents, weight = torch.randn(2, 4, 3, 2, 2), torch.ones(2, 1, 3, 2, 2)
    weight[..., 0] = 0
    seen: dict[str, torch.Tensor] = {}

    def loss(offset: torch.Tensor, weight: torch.Tensor | None) -> float:
        def predict(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
            return seen["noise"] + offset

        return diffusion_loss(official_scheduler(), latents, predict, seed=0, weight=weight).item()

    generator = torch.Generator().manual_seed(0)  # the loss draws timesteps first, too
    torch.randint(0, 1000, (2, 2), generator=generator)
    seen["noise"] = torch.randn(latents.shape, generator=generator)
    offset = torch.zeros_like(latents)
    offset[..., 0] = 5.0
    assert loss(offset, None) > 0.1
    assert loss(offset, weight) == 0.0
    # The weight has no effect if all errors are equal.
    even = torch.full_like(latents, 0.5)
    assert loss(even, weight) == pytest.approx(loss(even, None), rel=1e-5)


def test_the_epipolar_stage_trains_on_plain_videos(tmp_path: Path):
    (clips,) = render_draws([draw(np.random.default_rng(0), views=1, frames=6)], 32, 32)
    (tmp_path / "videos" / "clip").mkdir(parents=True)
    for number, frame in enumerate(clips.frames[0]):
        iio.imwrite(tmp_path / "videos" / "clip" / f"{number}.png", frame)
    stage = EpipolarStage(tiny_model(), tmp_path)
    before = {name: value.detach().clone() for name, value in stage.trained.items()}
    data = Videos(tmp_path / "videos", 32, 32, FACTOR, "train")

    trainer(stage, tmp_path, Settings(steps=2, batch_size=2), data).fit()

    assert stage.validation.cameras is None
    moved = [name for name, value in stage.trained.items() if not torch.equal(value, before[name])]
    assert len(moved) > 0.9 * len(before)
