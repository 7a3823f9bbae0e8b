"""Small pictures of latents: the fitted map, its file, and what it shows of the starter's world."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cvd import CollaborativeVideoPipeline
from cvd.errors import CheckpointError
from cvd.starter.procedural import draw, render_draws
from cvd.training.latents import encode
from cvd.weights.preview import LatentPreview, fit_preview, read_preview


def test_a_linear_map_is_found_again() -> None:
    random = np.random.default_rng(0)
    weights = random.normal(size=(6, 3)) / 4
    latents = random.normal(size=(4, 5, 3, 2))
    colours = np.moveaxis(latents, 1, -1) @ weights[:-1] + weights[-1]
    found = fit_preview(latents, colours.repeat(8, 1).repeat(8, 2))
    np.testing.assert_allclose(found.weights, weights, atol=1e-9)


def test_the_middle_frame_of_every_view_is_shown() -> None:
    latents = torch.zeros(2, 1, 5, 2, 3)
    latents[1, 0, 2, 1, 2] = 1
    pictures = LatentPreview(np.array([[2.0, 0.5, -3.0], [0.0, 0.0, 0.0]])).pictures(latents)
    assert (pictures.shape, pictures.dtype) == ((2, 2, 3, 3), np.uint8)
    assert pictures[1, 1, 2].tolist() == [255, 191, 0]
    assert (pictures[0] == 128).all()


def test_the_starters_previews_look_like_its_frames() -> None:
    pipe = CollaborativeVideoPipeline.from_pretrained("starter")
    random = np.random.default_rng(99)
    clips = render_draws([draw(random, views=1, frames=1) for _ in range(24)], 128, 128)
    frames = np.stack([clip.frames for clip in clips]).reshape(24, 128, 128, 3)
    latents = encode(pipe.vae, torch.from_numpy(frames))[:, :, None]
    seen = pipe.preview(latents)
    small = frames.reshape(24, 8, 16, 8, 16, 3).mean((2, 4))
    assert seen is not None
    assert np.corrcoef(seen.ravel(), small.ravel())[0, 1] > 0.88


def test_a_map_is_kept_with_its_model(tiny_model_folder: Path, tmp_path: Path) -> None:
    pipe = CollaborativeVideoPipeline.from_pretrained(tiny_model_folder)
    assert pipe.preview(torch.zeros(1, 4, 1, 2, 2)) is None
    pipe.preview_map = LatentPreview(np.arange(15.0).reshape(5, 3) / 20)
    pipe.save_pretrained(tmp_path)
    again = CollaborativeVideoPipeline.from_pretrained(tmp_path)
    assert again.preview_map is not None
    assert np.array_equal(again.preview_map.weights, pipe.preview_map.weights)


@pytest.mark.parametrize("weights", [None, [], [[1, 2, 3]] * 4, [["a", 2, 3]] * 5, [[None, 2, 3]] * 5, [[1], [2, 3]]])
def test_a_damaged_map_is_refused(tmp_path: Path, weights: object) -> None:
    (tmp_path / "preview.json").write_text(json.dumps({"weights": weights}))
    with pytest.raises(CheckpointError, match="does not map 4 channels"):
        read_preview(tmp_path, 4)
