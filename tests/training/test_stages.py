"""Two steps of every stage, on a tiny model and a tiny pool: which parameters move, and that a stage resumes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

from cvd.pipeline import CollaborativeVideoPipeline
from cvd.starter.captions import VOCABULARY
from cvd.training import pool as pool_module
from cvd.training.autoencoder import AutoencoderStage, build_autoencoder
from cvd.training.errors import TrainingError
from cvd.training.image import ImageStage
from cvd.training.latents import LatentPool, encode_pool
from cvd.training.loop import Limits, fit
from cvd.training.model import (
    Sizes,
    build_camera_encoder,
    build_collaborative_unet,
    build_image_unet,
    save_tokenizer,
    ship,
)
from cvd.training.pool import Pool, render_clips, render_stills
from cvd.training.text import build_text_encoder, build_tokenizer
from cvd.training.video import CameraStage, EpipolarStage, JointStage, MotionStage

SIZES = Sizes(autoencoder=(8, 8, 8, 8), unet=(32, 32), cross_attention_levels=1, text=16, frames=4)
TWO_STEPS = Limits(minutes=60, steps=2, validate_minutes=60)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a tiny encoded pool, an autoencoder and a tokenizer."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool_module, "FRAMES", SIZES.frames)
        render_stills(folder / "pool" / "stills", 6, seed=0)
        render_clips(folder / "pool" / "clips", 4, seed=0)
    torch.manual_seed(0)
    vae = build_autoencoder(SIZES.autoencoder)
    vae.save_pretrained(folder / "vae")
    encode_pool(vae, folder / "pool" / "stills")
    encode_pool(vae, folder / "pool" / "clips")
    save_tokenizer(build_tokenizer(VOCABULARY), folder / "tokenizer")
    return folder


def snapshot(*networks: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {
        f"{i}.{name}": p.detach().clone()
        for i, network in enumerate(networks)
        for name, p in network.named_parameters()
    }


def moved(before: dict[str, torch.Tensor], *networks: torch.nn.Module) -> set[str]:
    return {name for name, value in snapshot(*networks).items() if not torch.equal(value, before[name])}


@pytest.fixture
def networks(run: Path):
    torch.manual_seed(1)
    tokenizer = CLIPTokenizer.from_pretrained(run / "tokenizer")
    unet = build_collaborative_unet(build_image_unet(SIZES), SIZES.frames)
    camera_encoder = build_camera_encoder(SIZES)
    text_encoder = build_text_encoder(tokenizer, SIZES.text)
    return unet, camera_encoder, text_encoder, tokenizer


@pytest.mark.parametrize(
    ("stage_class", "trains"),
    [
        (MotionStage, lambda name: ".motion." in name and "qkv_merge" not in name),
        (CameraStage, lambda name: name.startswith("1.") or "qkv_merge" in name),
        (EpipolarStage, lambda name: ".epipolar_module." in name),
        (JointStage, lambda name: name.startswith("1.") or ".motion_modules." in name),
    ],
)
def test_a_video_stage_moves_its_own_parameters_only(stage_class, trains, run: Path, networks, tmp_path: Path):
    unet, camera_encoder, text_encoder, tokenizer = networks
    for _, module in unet.collaborative_modules():  # as an earlier stage leaves them: no gradient is blocked
        for layer in (
            module.motion.proj_out,
            module.motion.transformer_blocks[0].qkv_merge,
            module.epipolar_module.proj_out,
        ):
            torch.nn.init.normal_(layer.weight, std=0.1)
    clips, vae = LatentPool.open(run / "pool" / "clips"), build_autoencoder(SIZES.autoencoder)
    stage = stage_class(unet, camera_encoder, text_encoder, tokenizer, vae, clips, clips, tmp_path, batch_size=2)
    before = snapshot(unet, camera_encoder, text_encoder, vae)

    fit(stage, tmp_path, TWO_STEPS)

    changed = moved(before, unet, camera_encoder, text_encoder, vae)
    assert all(trains(name) for name in changed)
    own = {name for name in before if trains(name)}
    assert len(changed) > 0.9 * len(own), sorted(own - changed)
    assert (tmp_path / "final.png").exists()


def test_the_image_stage_trains_the_text_encoder_with_the_unet(run: Path, tmp_path: Path):
    tokenizer = CLIPTokenizer.from_pretrained(run / "tokenizer")
    unet, text_encoder = build_image_unet(SIZES), build_text_encoder(tokenizer, SIZES.text)
    vae, stills = build_autoencoder(SIZES.autoencoder), LatentPool.open(run / "pool" / "stills")
    before = snapshot(unet, text_encoder, vae)

    fit(ImageStage(unet, text_encoder, tokenizer, vae, stills, tmp_path, batch_size=4), tmp_path, TWO_STEPS)

    changed = moved(before, unet, text_encoder, vae)
    assert {name[0] for name in changed} == {"0", "1"}
    assert len(changed) > 0.9 * len(snapshot(unet, text_encoder))


def test_the_autoencoder_learns_and_scales_its_latents_to_unit_variance(run: Path, tmp_path: Path):
    stills, vae = Pool.open(run / "pool" / "stills"), build_autoencoder(SIZES.autoencoder)
    stage = AutoencoderStage(vae, stills, stills, tmp_path / "vae", batch_size=4)
    first = stage.loss().item()

    fit(stage, tmp_path, Limits(minutes=60, steps=60, validate_minutes=60, ema_decay=0.8))

    assert stage.loss().item() < 0.8 * first
    encode_pool(vae, run / "pool" / "stills")
    assert np.std(LatentPool.open(run / "pool" / "stills").latents.astype(np.float32)) == pytest.approx(1, abs=0.05)


def test_a_stage_goes_on_where_it_was_interrupted(run: Path, tmp_path: Path):
    def stage() -> AutoencoderStage:
        torch.manual_seed(2)
        return AutoencoderStage(build_autoencoder(SIZES.autoencoder), stills, stills, tmp_path / "vae", batch_size=4)

    stills, lines = Pool.open(run / "pool" / "stills"), []
    fit(stage(), tmp_path, TWO_STEPS)
    fit(stage(), tmp_path, Limits(minutes=60, steps=3, validate_minutes=60), log=lines.append)

    assert "step 3" in lines[0]


def test_a_run_ships_as_a_folder_that_the_pipeline_loads(run: Path, networks, tmp_path: Path):
    unet, camera_encoder, text_encoder, _ = networks
    unet.save_pretrained(run / "unet")
    camera_encoder.save_pretrained(run / "camera_encoder")
    text_encoder.save_pretrained(run / "text_encoder")

    ship(run, tmp_path / "weights")

    pipeline = CollaborativeVideoPipeline.from_pretrained(tmp_path / "weights")
    for name, value in snapshot(unet).items():
        torch.testing.assert_close(snapshot(pipeline.unet)[name], value, atol=1e-3, rtol=1e-3)


def test_an_unfinished_pool_says_what_to_run(tmp_path: Path):
    with pytest.raises(TrainingError, match="train render"):
        Pool.open(tmp_path)
