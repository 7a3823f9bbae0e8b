"""Clips of the procedural world: frames, cameras and caption of a clip fit each other."""

import numpy as np
import pytest

from cvd.starter.procedural import Clips, draw, render_draws
from cvd.starter.world import intrinsics


def draw_pair(rng: np.random.Generator, frames: int, side: int = 128) -> Clips:
    (pair,) = render_draws([draw(rng, frames=frames)], side, side)
    return pair


def test_pairs_show_the_same_first_frame_through_the_same_camera():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pair = draw_pair(rng, frames=4)
        assert pair.frames.shape == (2, 4, 128, 128, 3)
        np.testing.assert_array_equal(pair.frames[0, 0], pair.frames[1, 0])
        np.testing.assert_allclose(pair.c2w[:, 0], np.broadcast_to(np.eye(4), (2, 4, 4)), atol=1e-9)
        np.testing.assert_allclose(pair.K[:, 0], np.broadcast_to(intrinsics(128, 128), (2, 3, 3)))
        assert " on " in pair.caption


def test_the_same_generator_gives_the_same_clips_at_any_size():
    small, again, large = (draw_pair(np.random.default_rng(5), frames=2, side=side) for side in (32, 32, 64))
    np.testing.assert_array_equal(small.frames, again.frames)
    assert small.caption == large.caption
    np.testing.assert_array_equal(small.c2w, large.c2w)
    np.testing.assert_allclose(2 * small.K[..., :2, :], large.K[..., :2, :])
    halved = large.frames.reshape(2, 2, 32, 2, 32, 2, 3).astype(float).mean((3, 5))
    assert abs(halved - small.frames).mean() < 3


def test_stills_are_taken_at_any_moment():
    rng = np.random.default_rng(1)
    draws = [draw(rng, views=1, frames=1) for _ in range(60)]
    assert len({each.times.item() for each in draws}) > 8
    stills = render_draws(draws)
    assert stills[0].frames.shape == (1, 1, 128, 128, 3)
    for each, still in zip(draws[:5], stills[:5], strict=True):
        alone = render_draws([each])[0].frames
        np.testing.assert_allclose(alone.astype(int), still.frames, atol=1)  # rounding


def test_more_than_two_views_are_refused():
    with pytest.raises(ValueError, match="1 or 2 views"):
        draw(np.random.default_rng(0), views=3)
