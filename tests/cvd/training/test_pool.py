"""Pools: their files hold the drawn scenes, for any number of processes."""

from pathlib import Path

import numpy as np
import pytest

from cvd.training.datasets import Procedural, Request
from cvd.training.errors import TrainingError
from cvd.training.pool import Pool, render_clips, render_stills


def test_a_pool_of_clips_is_what_would_be_drawn_while_training(tmp_path: Path):
    render_clips(tmp_path, 3, seed=7, frames=4)
    pool = Pool.open(tmp_path)
    assert pool.frames.shape == (3, 2, 4, 128, 128, 3)
    data = Procedural(128, 128, 16)
    for scene in range(3):
        sample = data.sample(np.random.default_rng((7, scene)), Request(views=2, frames=4))
        np.testing.assert_array_equal(pool.frames[scene], sample.frames)
        np.testing.assert_allclose(pool.c2w[scene], sample.cameras.c2w, atol=1e-6)
        np.testing.assert_allclose(pool.K[scene], sample.cameras.K, rtol=1e-6)
        np.testing.assert_array_equal(pool.solids[scene], sample.weight > 1)
        assert pool.captions[scene] == sample.caption


@pytest.mark.slow
def test_several_processes_make_the_same_pool(tmp_path: Path):
    render_stills(tmp_path / "one", 70, seed=1)
    render_stills(tmp_path / "two", 70, seed=1, workers=2)
    one, two = Pool.open(tmp_path / "one"), Pool.open(tmp_path / "two")
    assert one.captions == two.captions
    assert len(one) == 70
    shapes = {"frames": (70, 128, 128, 3), "c2w": (70, 4, 4), "K": (70, 3, 3), "solids": (70, 8, 8)}
    for name, shape in shapes.items():
        assert getattr(one, name).shape == shape
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_an_unfinished_pool_says_what_to_run(tmp_path: Path):
    render_stills(tmp_path, 2, seed=0)
    (tmp_path / "K.npy").unlink()
    with pytest.raises(TrainingError, match=r"holds no finished pool.*train render|train render"):
        Pool.open(tmp_path)
