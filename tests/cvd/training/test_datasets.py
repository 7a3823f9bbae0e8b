"""Data sets on rendered clips: frames, cameras and captions of a sample fit each other."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from support.tiny_training import FACTOR, SIDE, SIZES, tiny_model
from support.training_layouts import numbered_frames, write_realestate_clip

from cvd.starter.captions import ground_pattern
from cvd.starter.procedural import draw
from cvd.starter.render import render
from cvd.starter.world import IMAGE_SIZE, PALETTE
from cvd.training.batches import Batches, Mixture
from cvd.training.datasets import PoolData, Procedural, RealEstate, Request, Sample, Videos, open_dataset
from cvd.training.datasets.videos import warp
from cvd.training.emphasis import STILL_SOLID_WEIGHT, VIDEO_SOLID_WEIGHT
from cvd.training.errors import TrainingError
from cvd.training.latents import encode, encode_pool, encoder_fingerprint
from cvd.training.model import build_autoencoder
from cvd.training.pool import render_clips, render_stills

PAIR = Request(views=2, frames=4)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def number_of(frame: np.ndarray, frames: np.ndarray) -> int:
    """The index of a frame in the clip."""
    return int(np.abs(frames.astype(int) - frame).mean((1, 2, 3)).argmin())


# ------------------------------------------------------------------------------------------------- RealEstate10K


def test_a_clip_is_folded_at_its_middle_into_two_videos_with_the_cameras_of_their_frames(tmp_path: Path):
    clip = write_realestate_clip(tmp_path, "kitchen", seed=0, frames=20, width=64, height=64)
    data = RealEstate(tmp_path, 64, 64, "train")
    frames = np.stack([iio.imread(tmp_path / "frames" / "kitchen" / f"{1000 * n}.png") for n in range(20)])
    strides = set()
    for seed in range(12):
        sample = data.sample(rng(seed), PAIR)

        numbers = np.array([[number_of(frame, frames) for frame in video] for video in sample.frames])
        assert sample.caption == clip.caption
        assert numbers[0, 0] == numbers[1, 0]
        stride = numbers[1, 1] - numbers[1, 0]
        strides.add(stride)
        np.testing.assert_array_equal(np.diff(numbers), [[-stride] * 3, [stride] * 3])
        c2w = clip.path.c2w[0]
        expected = np.linalg.inv(c2w[numbers[0, 0]]) @ c2w[numbers]
        np.testing.assert_allclose(sample.cameras.c2w, expected, atol=1e-9)
    assert len(strides) > 1


def test_wide_frames_are_cropped_as_their_intrinsics_are(tmp_path: Path):
    """A rendering with the sample's cameras gives the sample's frames."""
    clip = write_realestate_clip(tmp_path, "hall", seed=3, frames=7, width=224, height=128)
    sample = RealEstate(tmp_path, 64, 64, "train").sample(rng(), PAIR)

    for view in range(2):
        c2w = clip.path.c2w[0, 3] @ sample.cameras.c2w[view]
        times = clip.times[[3, 2, 1, 0]] if view == 0 else clip.times[3:]
        expected = render([clip.scene] * 4, c2w, 64, 64, sample.cameras.K[view], times)
        assert np.abs(expected.astype(float) - sample.frames[view]).mean() < 3


def test_a_still_and_a_single_video_start_at_the_identity(tmp_path: Path):
    write_realestate_clip(tmp_path, "hall", seed=0, frames=9, width=64, height=64)
    data = RealEstate(tmp_path, 64, 64, "train")
    for request in (Request(), Request(views=1, frames=4)):
        sample = data.sample(rng(), request)
        assert sample.frames.shape == (1, request.frames, 64, 64, 3)
        np.testing.assert_allclose(sample.cameras.c2w[0, 0], np.eye(4), atol=1e-12)


def test_frames_without_an_image_are_left_out(tmp_path: Path):
    write_realestate_clip(tmp_path, "hall", seed=0, frames=8, width=64, height=64)
    (tmp_path / "frames" / "hall" / "0.png").unlink()
    assert RealEstate(tmp_path, 64, 64, "train").sample(rng(), PAIR).frames.shape[1] == 4
    (tmp_path / "frames" / "hall" / "1000.png").unlink()
    with pytest.raises(TrainingError, match="long enough"):
        RealEstate(tmp_path, 64, 64, "train").sample(rng(), PAIR)


def test_clips_are_held_out_for_validation(tmp_path: Path):
    for number in range(3):
        write_realestate_clip(tmp_path, f"clip{number}", seed=number, frames=7, width=16, height=16)
    train, validation = (RealEstate(tmp_path, 16, 16, split) for split in ("train", "validation"))
    assert set(train.names) | set(validation.names) == {"clip0", "clip1", "clip2"}
    assert not set(train.names) & set(validation.names)


# ------------------------------------------------------------------------------------------------------- videos


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A video file and a folder of frames, 40 numbered frames each."""
    frames = numbered_frames(40)
    iio.imwrite(tmp_path / "file.mp4", frames, fps=25)
    (tmp_path / "folder").mkdir()
    for number, frame in enumerate(frames):
        iio.imwrite(tmp_path / "folder" / f"{number:04d}.png", frame)
    (tmp_path / "captions.json").write_text(json.dumps({"file": "grey", "folder": "grey too"}))
    return tmp_path


@pytest.mark.parametrize(("name", "caption"), [("file", "grey"), ("folder", "grey too")])
def test_videos_are_sampled_with_even_strides(name: str, caption: str, videos: Path):
    data = Videos(videos, 32, 32, FACTOR, "train")
    data.names = [name]
    found = set()
    for seed in range(10):
        sample = data.sample(rng(seed), Request(views=1, frames=4))
        brightness = sample.frames[0].mean((1, 2, 3)) / 4
        stride = brightness[1] - brightness[0]
        assert sample.caption == caption
        assert sample.cameras is None
        assert sample.frames.shape == (1, 4, 32, 32, 3)
        np.testing.assert_allclose(np.diff(brightness), stride, atol=0.6)  # rounding errors of the codec
        assert stride > 0.5
        found.add((round(brightness[0]), round(stride)))
    assert len(found) > 5


def test_a_copy_is_warped_by_the_homography_that_it_comes_with(tmp_path: Path):
    """The colour of a pixel is its position in the original."""
    y, x = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5, indexing="ij")
    ramp = np.round(np.stack([3 * x, 3 * y, np.full_like(x, 99)], -1)).astype(np.uint8)
    (tmp_path / "ramp").mkdir()
    for number in range(6):
        iio.imwrite(tmp_path / "ramp" / f"{number}.png", ramp)

    sample = Videos(tmp_path, 64, 64, 8, "train").sample(rng(1), PAIR)

    original, copy = sample.frames
    np.testing.assert_array_equal(original[0], copy[0])
    np.testing.assert_allclose(sample.homographies[0], np.eye(3), atol=1e-12)
    _, seen = warp(original, sample.homographies)
    assert sample.weight[0].all()
    assert sample.weight[1, 0].all()
    assert 0.2 < sample.weight[1, 3].mean() < seen[3].mean() < 1
    inner = np.argwhere(seen[3])[::50]
    for row, column in inner:
        source = np.linalg.inv(sample.homographies[3]) @ (column + 0.5, row + 0.5, 1)
        # Beyond the centres of the outermost pixels the colour is constant.
        expected = 3 * np.clip(source[:2] / source[2], 0.5, 63.5)
        np.testing.assert_allclose(copy[3, row, column, :2], expected, atol=1.5)
    assert (copy[3][~seen[3]] == 0).all()


def test_a_file_that_is_no_video_is_named(tmp_path: Path):
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises(TrainingError, match=r"broken\.mp4"):
        Videos(tmp_path, 32, 32, FACTOR, "train").sample(rng(), PAIR)


# --------------------------------------------------------------------------------------------- procedural, pools


def test_procedural_scenes_never_end_and_repeat_with_their_seed():
    data = Procedural(SIDE, SIDE, FACTOR)
    first, again, other = (data.sample(rng(seed), PAIR) for seed in (0, 0, 1))
    assert first.frames.shape == (2, 4, SIDE, SIDE, 3)
    np.testing.assert_array_equal(first.frames, again.frames)
    assert not np.array_equal(first.frames, other.frames)
    np.testing.assert_array_equal(first.frames[0, 0], first.frames[1, 0])


def test_scenes_of_several_colours_are_drawn_more_often_than_they_occur():
    data, random = Procedural(8, 8, 8), rng()
    captions = [data.sample(random, Request()).caption for _ in range(150)]
    occur = [draw(random, 1, 1).caption for _ in range(300)]
    assert np.mean([is_of_one_colour(each) for each in occur]) > 0.55
    assert 0.17 < np.mean([is_of_one_colour(each) for each in captions]) < 0.42


def is_of_one_colour(caption: str) -> bool:
    return len({word for word in caption.replace(",", "").split() if word in PALETTE}) == 2  # including the ground's


def test_solids_count_more_than_ground_and_sky(pool: Path):
    for data in (Procedural(IMAGE_SIZE, IMAGE_SIZE, FACTOR), PoolData(pool, FACTOR, None, "train")):
        for request, weight in ((PAIR, VIDEO_SOLID_WEIGHT), (Request(), STILL_SOLID_WEIGHT)):
            sample = data.sample(rng(), request)
            assert sample.weight.shape == (request.views, request.frames, 8, 8)
            assert set(np.unique(sample.weight)) == {1, weight}
            assert 0.02 < (sample.weight == weight).mean() < 0.7


def test_a_pool_whose_cells_are_not_the_models_latents_is_refused(pool: Path):
    with pytest.raises(TrainingError, match="cells of 16 pixels, but a latent of the model covers 8"):
        PoolData(pool, 8, None, "train").sample(rng(), PAIR)


def test_videos_have_more_patterned_grounds_than_stills():
    data = Procedural(16, 16, 16)

    def patterned(request: Request) -> float:
        captions = [data.sample(rng(seed), request).caption for seed in range(60)]
        return float(np.mean([ground_pattern(each) != "plain" for each in captions]))

    assert patterned(Request(frames=2)) > patterned(Request()) + 0.05


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    render_stills(folder / "stills", 3, seed=0)
    render_clips(folder / "clips", 2, seed=0, frames=4)
    return folder


def test_a_pool_gives_its_latents_in_place_of_its_frames(pool: Path):
    vae = tiny_model().vae
    without = PoolData(pool, FACTOR, encoder_fingerprint(vae), "train").sample(rng(), PAIR)
    encode_pool(vae, pool / "clips")
    with_latents = PoolData(pool, FACTOR, encoder_fingerprint(vae), "train").sample(rng(), PAIR)

    assert without.latents is None
    assert with_latents.frames is None
    expected = encode(vae, torch.from_numpy(without.frames).flatten(0, 1)).unflatten(0, (2, 4))
    torch.testing.assert_close(torch.from_numpy(with_latents.latents).float(), expected, atol=2e-3, rtol=2e-3)
    np.testing.assert_array_equal(without.cameras.c2w, with_latents.cameras.c2w)
    pixels_too = PoolData(pool, FACTOR, encoder_fingerprint(vae), "train").sample(rng(), Request(2, 4, pixels=True))
    np.testing.assert_array_equal(pixels_too.frames, without.frames)


def test_latents_of_another_autoencoder_are_refused(pool: Path):
    torch.manual_seed(1)
    encode_pool(build_autoencoder(SIZES.autoencoder), pool / "stills")
    other = encoder_fingerprint(tiny_model().vae)
    with pytest.raises(TrainingError, match="another autoencoder"):
        PoolData(pool, FACTOR, other, "train").sample(rng(), Request())


def test_a_fingerprint_survives_half_precision_and_a_new_decoder():
    vae = tiny_model().vae
    before = encoder_fingerprint(vae)
    torch.nn.init.normal_(vae.decoder.conv_out.weight)
    assert encoder_fingerprint(vae) == before
    assert encoder_fingerprint(vae.half()) == before
    torch.nn.init.normal_(vae.encoder.conv_in.weight)
    assert encoder_fingerprint(vae) != before


def test_clips_of_another_length_than_the_models_are_refused(pool: Path):
    with pytest.raises(TrainingError, match="4 frames, the model makes 16"):
        PoolData(pool, FACTOR, None, "train").sample(rng(), Request(views=2, frames=16))


# ----------------------------------------------------------------------------------------- batches and choosing


def test_data_sets_are_mixed_by_their_weights(videos: Path):
    plain = Videos(videos, SIDE, SIDE, FACTOR, "train")
    plain.names = ["folder"]
    mixture = Mixture([Procedural(SIDE, SIDE, FACTOR), plain], [7, 3])
    batches = [mixture.batch(rng(seed), 1, Request(2, 2), 0.0) for seed in range(60)]
    share = np.mean([batch.homographies is None for batch in batches])
    assert 0.5 < share < 0.9
    assert all((batch.cameras is None) != (batch.homographies is None) for batch in batches)


def test_batches_are_the_same_for_any_number_of_workers_and_from_any_start():
    mixture = Mixture([Procedural(SIDE, SIDE, FACTOR)])
    whole = Batches(mixture, 2, Request(), rank=0, first=0).load(0)
    seeds = [next(whole).seed for _ in range(5)]
    for workers, first in ((0, 2), (2, 0), (2, 1)):
        batches = Batches(mixture, 2, Request(), rank=0, first=first).load(workers)
        assert [next(batches).seed for _ in range(5 - first)] == seeds[first:]


class Noted(Procedural):
    """Procedural scenes that records its samples."""

    def __init__(self):
        super().__init__(SIDE, SIDE, FACTOR)
        self.given: list[Sample] = []

    def sample(self, rng: np.random.Generator, request: Request) -> Sample:
        self.given.append(super().sample(rng, request))
        return self.given[-1]


def test_a_batch_has_the_first_views_of_all_scenes_before_their_second_ones():
    data = Noted()
    batch = Mixture([data]).batch(rng(), 3, PAIR, caption_dropout=0.0)
    samples = data.given

    assert batch.captions == [sample.caption for sample in samples] * 2
    assert len(set(batch.captions)) == len(samples) == 3
    for row, (view, sample) in enumerate((view, sample) for view in range(2) for sample in samples):
        np.testing.assert_array_equal(batch.frames[row], sample.frames[view])
        np.testing.assert_array_equal(batch.cameras.c2w[row], sample.cameras.c2w[view])
        np.testing.assert_array_equal(batch.cameras.K[row], sample.cameras.K[view])
        np.testing.assert_array_equal(batch.weight[row], sample.weight[view])


def test_captions_are_dropped_for_guidance():
    mixture = Mixture([Procedural(8, 8, 8)])
    captions = mixture.batch(rng(), 100, Request(), caption_dropout=0.1).captions
    assert 2 <= captions.count("") <= 20


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, 2, 3]])
def test_every_data_set_has_one_positive_weight(weights: list[float]):
    with pytest.raises(TrainingError, match="--mix"):
        Mixture([Procedural(8, 8, 8), Procedural(8, 8, 8)], weights)


def test_a_folder_says_what_it_is(tmp_path: Path, pool: Path, videos: Path):
    write_realestate_clip(tmp_path / "estate", "hall", seed=0, frames=2, width=16, height=16)
    for where, kind in (("procedural", Procedural), (pool, PoolData), (tmp_path / "estate", RealEstate)):
        assert type(open_dataset(where, 16, FACTOR, None)) is kind
    assert type(open_dataset(videos, 16, FACTOR, None)) is Videos
    (tmp_path / "empty").mkdir()
    for where, complaint in ((tmp_path / "none", "no folder"), (tmp_path / "empty", "no video")):
        with pytest.raises(TrainingError, match=complaint):
            open_dataset(where, 16, FACTOR, None)
