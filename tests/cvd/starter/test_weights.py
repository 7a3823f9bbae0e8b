"""The shipped model: it is small, in half precision, and good in two cases that the documentation describes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import cvd.starter
from cvd import Cameras, CollaborativeVideoPipeline
from cvd.cameras.patterns import pattern_cameras
from cvd.weights.model_info import STARTER, read_info

WEIGHTS = Path(cvd.starter.__file__).parent / "weights"
SIZE = read_info(STARTER).sizes.native


@pytest.fixture(scope="module")
def pipe() -> CollaborativeVideoPipeline:
    return CollaborativeVideoPipeline.from_pretrained("starter")


def test_it_is_small_and_in_half_precision() -> None:
    files = [file for file in WEIGHTS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 60e6
    for file in WEIGHTS.rglob("*.safetensors"):
        assert {tensor.dtype for tensor in load_file(file).values()} == {torch.float16}, file


@pytest.mark.slow
def test_views_of_one_trajectory_are_one_video(pipe: CollaborativeVideoPipeline) -> None:
    """The test of the paper's appendix A.4. The two views start from different noise."""
    camera = pattern_cameras("circle", 2, SIZE, SIZE, frames=16)
    cameras = Cameras(camera.c2w[[1, 1]], camera.K[[1, 1]], SIZE, SIZE)
    prompts = ("a red cube on a green floor", "a white sphere and a blue cone on an orange checkered floor")
    errors = []
    for prompt in prompts:
        first, second = pipe(prompt, cameras, num_inference_steps=25, seed=1).videos
        errors.append(np.mean((first - second) ** 2))
        assert (first != second).any()
    assert np.mean(errors) <= 0.01


@pytest.mark.slow
def test_a_static_camera_beside_a_moving_one_stays_where_it_is(pipe: CollaborativeVideoPipeline) -> None:
    moving = pattern_cameras("circle", 2, SIZE, SIZE, frames=16)
    c2w = np.stack([np.tile(np.eye(4), (16, 1, 1)), moving.c2w[1]])
    cameras = Cameras(c2w, moving.K[:2], SIZE, SIZE)
    static, moved = pipe("a red cube on a green checkered floor", cameras, num_inference_steps=25, seed=1).videos
    change = [np.abs(video[-1] - video[0]).mean() for video in (static, moved)]
    assert change[0] < 0.5 * change[1]
