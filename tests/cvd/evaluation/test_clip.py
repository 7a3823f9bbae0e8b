"""CLIP scores with a tiny random model."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.clip_files import write_tiny_clip
from transformers import CLIPModel, CLIPTokenizer
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from cvd.errors import CheckpointError, RequestError
from cvd.evaluation.clip import Clip, clip_frame_score, clip_text_score, read_reference


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    write_tiny_clip(folder)
    return folder


@pytest.fixture(scope="module")
def clip(folder: Path) -> Clip:
    return Clip(folder)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def test_embeddings_are_transformers_own(clip: Clip, folder: Path) -> None:
    images = noise(3, 32, 32)
    pixels = (torch.tensor(images / 255.0) - torch.tensor(OPENAI_CLIP_MEAN)) / torch.tensor(OPENAI_CLIP_STD)
    tokens = CLIPTokenizer.from_pretrained(folder)("a cube", return_tensors="pt")
    with torch.no_grad():
        expected = CLIPModel.from_pretrained(folder).eval()(pixel_values=pixels.permute(0, 3, 1, 2).float(), **tokens)
    for ours, theirs in (
        (clip.embed_images(images), expected.image_embeds),
        (clip.embed_text("a cube")[None], expected.text_embeds),
    ):
        np.testing.assert_allclose(ours / np.linalg.norm(ours, axis=1, keepdims=True), theirs.numpy(), atol=1e-5)


def test_images_are_cropped_at_the_centre(clip: Clip) -> None:
    wide = noise(1, 32, 64)
    np.testing.assert_allclose(clip.embed_images(wide), clip.embed_images(wide[:, :, 16:48]), atol=1e-5)


def test_batches_are_put_together(clip: Clip) -> None:
    images = noise(40, 32, 32)
    np.testing.assert_allclose(clip.embed_images(images)[-1], clip.embed_images(images[-1:])[0], atol=1e-5)


def test_a_models_own_colours_are_used(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    images = noise(1, 32, 32)
    assert np.abs(Clip(tmp_path).embed_images(images) - Clip(folder).embed_images(images)).max() > 1e-3


def test_long_prompts_are_cut(clip: Clip) -> None:
    assert np.isfinite(clip.embed_text("a cube " * 100)).all()


def test_scores_by_hand() -> None:
    assert clip_text_score(np.array([[2.0, 0], [0, 3]]), np.array([5.0, 0])) == pytest.approx(0.5)
    video = np.array([[[1.0, 0], [1, 0], [0, 1]]])
    assert clip_frame_score(video) == pytest.approx(0.5)
    assert np.isnan(clip_frame_score(video[:, :1]))


def test_a_folder_that_is_no_clip_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a CLIP model"):
        Clip(tmp_path)


def test_the_reference_is_all_images_or_a_takes_frames(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="holds no images"):
        read_reference(tmp_path, clip)
    for name in ("a.png", "b/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(noise(40, 32)).save(tmp_path / name)
    assert read_reference(tmp_path, clip).shape == (2, 12)
    (tmp_path / "view_00").mkdir()
    Image.fromarray(noise(32, 32)).save(tmp_path / "view_00" / "0001.png")
    assert read_reference(tmp_path, clip).shape == (1, 12)
