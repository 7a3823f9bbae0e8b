"""The cells of a solid contain its rendered pixels."""

from dataclasses import replace

import numpy as np
import pytest

from cvd.starter.coverage import solid_cells
from cvd.starter.procedural import draw
from cvd.starter.render import render
from cvd.starter.world import SHAPES, Ground, Scene, Solid, intrinsics


def test_a_rendered_solid_lies_in_its_cells():
    """Pixels of solids are found by comparison with a rendering of the same view without solids."""
    for seed in range(20):
        drawn = draw(np.random.default_rng(seed), views=1, frames=4)
        solids = tuple(replace(solid, colour="red") for solid in drawn.scene.solids)
        scene, empty = Scene(solids, Ground("white"), drawn.scene.sky), Scene((), Ground("white"), drawn.scene.sky)
        c2w, K, times = drawn.path.c2w[0], drawn.path.K(128, 128)[0], drawn.times
        shown, around = (render([each] * 4, c2w, 128, 128, K, times).astype(int) for each in (scene, empty))
        is_red = (shown[..., 0] - shown[..., 1] > 60) & (abs(shown - around).sum(-1) > 60)
        red_cells = is_red.reshape(4, 8, 16, 8, 16).any((2, 4))
        cells = solid_cells(scene, c2w, K, times)
        assert red_cells.any()
        assert not (red_cells & ~cells).any()
        assert cells.sum() < 3 * red_cells.sum() + 40  # cells include boxes, hidden parts and borders


@pytest.mark.parametrize("shape", SHAPES)
def test_a_solid_at_the_look_at_point_is_in_the_middle(shape: str):
    scene = Scene((Solid(shape, "red", 0.0, 1.0, 0.2),), Ground("white"))
    (cells,) = solid_cells(scene, np.eye(4)[None], intrinsics(256, 128)[None], np.zeros(1), 256, 128)
    assert cells.shape == (8, 16)
    assert cells[:, 7:9].any()
    assert not cells[:, :4].any()
    assert not cells[:, 12:].any()
    (finer,) = solid_cells(scene, np.eye(4)[None], intrinsics(256, 128)[None], np.zeros(1), 256, 128, cell=8)
    assert finer.shape == (16, 32)
    assert not (finer & ~cells.repeat(2, 0).repeat(2, 1)).any()


def test_what_is_behind_the_camera_or_beside_the_image_has_no_cells():
    away = np.diag([-1.0, 1.0, -1.0, 1.0])
    aside = np.eye(4)
    aside[0, 3] = 50.0
    scene = Scene((Solid("cube", "red", 0.0, 1.0, 0.2),), Ground("white"))
    K = np.tile(intrinsics(128, 128), (2, 1, 1))
    assert not solid_cells(scene, np.stack([away, aside]), K, np.zeros(2)).any()
