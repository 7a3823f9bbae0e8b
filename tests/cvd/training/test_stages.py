"""Two steps of every stage: which parameters change, and which files are written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from support.tiny_training import FACTOR, SIDE, tiny_model, trainer

from cvd.cameras import Cameras
from cvd.pipeline import CollaborativeVideoPipeline
from cvd.training import autoencoder
from cvd.training.autoencoder import AutoencoderStage, DecoderStage, reconstruction_loss
from cvd.training.batches import Batch, Batches, Mixture
from cvd.training.datasets import Procedural, Request
from cvd.training.diffusion import embed
from cvd.training.errors import TrainingError
from cvd.training.image import ImageStage
from cvd.training.latents import encode
from cvd.training.loop import Settings
from cvd.training.model import LATENT_CHANNELS
from cvd.training.video import CameraStage, EpipolarStage, JointStage, MotionStage

TWO_STEPS = Settings(steps=2, batch_size=2)
PARTS = ("unet", "camera_encoder", "vae", "text_encoder")


def snapshot(model: CollaborativeVideoPipeline) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name}": parameter.detach().clone()
        for part in PARTS
        for name, parameter in getattr(model, part).named_parameters()
    }


def in_motion(name: str) -> bool:
    return ".motion." in name and "qkv_merge" not in name


STAGES = {
    "autoencoder": (lambda model, out: AutoencoderStage(model.vae, out), lambda name: name.startswith("vae.")),
    "decoder": (
        lambda model, out: DecoderStage(model.vae, out),
        lambda name: name.startswith(("vae.decoder.", "vae.post_quant_conv.")),
    ),
    "image": (
        ImageStage.of_model,
        lambda name: name.startswith("text_encoder.") or (name.startswith("unet.") and ".motion_modules." not in name),
    ),
    "motion": (MotionStage, in_motion),
    "camera": (CameraStage, lambda name: name.startswith("camera_encoder.") or "qkv_merge" in name),
    "epipolar": (EpipolarStage, lambda name: ".epipolar_module." in name),
    "joint": (JointStage, lambda name: name.startswith(("camera_encoder.", "text_encoder.", "unet."))),
}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_moves_its_own_parameters_only(name: str, tmp_path: Path):
    make, trains = STAGES[name]
    model = tiny_model()
    before = snapshot(model)
    stage = make(model, tmp_path)
    stage.validation_size = 2

    trainer(stage, tmp_path / name, TWO_STEPS).fit()

    after = snapshot(model)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert all(trains(key) for key in changed)
    own = {key for key in before if trains(key)}
    # Biases before a normalisation, and words that are in no caption, have no gradient.
    assert len(changed) > 0.9 * len(own), sorted(own - changed)
    assert (tmp_path / name / "final.png").stat().st_size > 0
    assert list((tmp_path / name / "logs").iterdir())


def test_a_video_stage_leaves_a_model_that_the_pipeline_loads(tmp_path: Path):
    model = tiny_model()
    stage = EpipolarStage(model, tmp_path)
    training = trainer(stage, tmp_path / "epipolar", TWO_STEPS)
    training.fit()

    loaded = CollaborativeVideoPipeline.from_pretrained(tmp_path)

    weights = loaded.unet.state_dict()
    for name, average in training.ema.average.items():
        torch.testing.assert_close(weights[name.removeprefix("unet.")], average)


@pytest.mark.slow
def test_the_autoencoder_learns_and_scales_its_latents_to_unit_variance(tmp_path: Path):
    stage = AutoencoderStage(tiny_model().vae, tmp_path)
    stage.validation_size = 32
    training = trainer(stage, tmp_path / "autoencoder", Settings(steps=60, batch_size=4, ema_decay=0.8))
    with torch.no_grad():
        first = stage(stage.validation).item()

    training.fit()

    with torch.no_grad():
        assert stage(stage.validation).item() < 0.8 * first
    written = type(stage.vae).from_pretrained(tmp_path / "vae")
    assert encode(written, stage.validation.frames[:, 0]).std().item() == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_a_models_latents_stay_near_what_its_unet_has_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The loss keeps the latents of a model near what they were. Without a model it does not."""
    # The weight is larger here, because an untrained autoencoder has a pixel loss of 4, a trained one of 0.2.
    monkeypatch.setattr(autoencoder, "DRIFT_WEIGHT", 20 * autoencoder.DRIFT_WEIGHT)

    scenes = AutoencoderStage(tiny_model().vae, tmp_path)
    trainer(scenes, tmp_path / "autoencoder", TWO_STEPS)
    frames = scenes.validation.frames[:, 0]

    def drift(of_model: bool) -> float:
        model, folder = tiny_model(), tmp_path / str(of_model)
        scale = model.vae.config.scaling_factor / encode(model.vae, frames).std().item()
        model.vae.register_to_config(scaling_factor=scale)  # before the stage copies the autoencoder
        before = encode(model.vae, frames)
        stage = AutoencoderStage(model.vae, folder, model if of_model else None)
        trainer(stage, folder / "autoencoder", Settings(steps=40, batch_size=4, ema_decay=0.8)).fit()
        written = AutoencoderKL.from_pretrained(folder / "vae")
        assert (written.config.scaling_factor == scale) == of_model
        written.register_to_config(scaling_factor=scale)
        return (encode(written, frames) - before).square().mean().item()

    assert drift(of_model=True) < 0.7 * drift(of_model=False)
    CollaborativeVideoPipeline.from_pretrained(tmp_path / "True")


def test_pixels_count_in_the_reconstruction_as_their_latent_does():
    pixels, weight = torch.zeros(1, 3, 16, 16), torch.tensor([[[[4.0, 1.0], [1.0, 1.0]]]])
    wrong = [pixels.clone(), pixels.clone()]
    wrong[0][..., 2:6, 2:6] = 0.5
    wrong[1][..., 10:14, 10:14] = 0.5

    heavy, light = (reconstruction_loss(each, pixels, weight).item() for each in wrong)
    even = [reconstruction_loss(each, pixels).item() for each in wrong]

    assert heavy == pytest.approx(4 * light)
    assert even[0] == pytest.approx(even[1])


def test_a_wrong_hue_counts_more_than_a_wrong_brightness():
    pixels = torch.zeros(1, 3, 8, 8)
    brighter = torch.full((3,), 0.2).view(1, 3, 1, 1).expand_as(pixels)
    redder = torch.tensor([0.2, 0.0, -0.2]).view(1, 3, 1, 1).expand_as(pixels)

    assert reconstruction_loss(redder, pixels) > 1.3 * reconstruction_loss(brighter, pixels)


def test_gradients_are_accumulated_over_batches(tmp_path: Path):
    """A step of two batches has the mean loss, and the gradient of the mean loss."""
    training = trainer(DecoderStage(tiny_model().vae, tmp_path), tmp_path, Settings(steps=1, accumulation=2))
    batches = Batches(training.data, 2, training.stage.request, rank=0, first=0).load(0)
    drawn = [next(batches), next(batches)]

    loss, norm = training._update(iter(drawn))

    fresh = DecoderStage(tiny_model().vae, tmp_path)
    expected = torch.stack([fresh(batch) for batch in drawn]).mean()
    expected.backward()
    gradients = [value.grad for value in fresh.trained.values()]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert norm.item() == pytest.approx(torch.nn.utils.get_total_norm(gradients).item(), rel=1e-4)


@pytest.mark.parametrize("precision", ["bf16"])
def test_training_in_mixed_precision_keeps_its_parameters_in_full(precision: str, tmp_path: Path):
    model = tiny_model()
    before = snapshot(model)
    stage = EpipolarStage(model, tmp_path)

    trainer(stage, tmp_path, TWO_STEPS, mixed_precision=precision).fit()

    assert all(parameter.dtype == torch.float32 for parameter in stage.trained.values())
    assert any(not torch.equal(value, before[name]) for name, value in snapshot(model).items())


@pytest.mark.parametrize("make", [EpipolarStage, JointStage])
def test_scenes_that_train_together_do_not_see_each_other(make: type[EpipolarStage], tmp_path: Path):
    stage = make(tiny_model(), tmp_path)
    data = Mixture([Procedural(4 * FACTOR, 4 * FACTOR, FACTOR)])
    batch = data.batch(np.random.default_rng(0), 2, stage.request, caption_dropout=0.0)
    first, second = (scene_of(batch, scene, scenes=2) for scene in range(2))
    assert not np.allclose(first.cameras.c2w, second.cameras.c2w)
    noisy = torch.randn(4, LATENT_CHANNELS, stage.request.frames, 4, 4, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        together = predicted(stage, batch, noisy)
        alone = [predicted(stage, each, noisy[scene::2]) for scene, each in enumerate((first, second))]
        unsynchronised = predicted(stage, batch, noisy, epipolar=None)

    for scene, expected in enumerate(alone):
        torch.testing.assert_close(together[scene::2], expected, rtol=1e-4, atol=1e-4)
    assert (together - unsynchronised).abs().amax((1, 2, 3, 4)).min() > 1e-2  # synchronisation has an effect


def scene_of(batch: Batch, scene: int, scenes: int) -> Batch:
    """The captions and cameras of one scene of a batch."""
    c2w, K = (array[scene::scenes] for array in (batch.cameras.c2w, batch.cameras.K))
    cameras = Cameras(c2w, K, batch.cameras.height, batch.cameras.width)
    return replace(batch, captions=batch.captions[scene::scenes], frames=None, cameras=cameras, weight=None)


def predicted(stage: EpipolarStage, batch: Batch, noisy: torch.Tensor, **conditioning: object) -> torch.Tensor:
    text = embed(stage.model.tokenizer, stage.text_encoder, batch.captions)
    return stage.unet(noisy, torch.tensor(700), text, **(stage._conditioning(batch) | conditioning)).sample


class NoCameras(Procedural):
    has_cameras = False


def test_a_stage_that_learns_from_cameras_refuses_data_without_them(tmp_path: Path):
    with pytest.raises(TrainingError, match="cameras"):
        trainer(CameraStage(tiny_model(), tmp_path), tmp_path, TWO_STEPS, NoCameras(SIDE, SIDE, FACTOR))


def test_the_epipolar_stage_asks_for_pairs_as_long_as_the_model_makes(tmp_path: Path):
    assert EpipolarStage(tiny_model(), tmp_path).request == Request(views=2, frames=4)
