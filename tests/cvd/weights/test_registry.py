"""Models by name: the list, their descriptions, and a second family of models."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from support.second_family import INFO, NAME, FlowFamily, FlowModel, write_flow_model

from cvd import family
from cvd.cameras.patterns import pattern_cameras
from cvd.commands.cli import main
from cvd.errors import CheckpointError, RequestError
from cvd.family import LoadOptions
from cvd.memory import usual_precision
from cvd.pipeline import CollaborativeVideoPipeline
from cvd.request import Request
from cvd.weights.model_info import ALL_SETTINGS
from cvd.weights.registry import Registry
from protocol.settings import SamplingSettings
from protocol.takes import read_record


@pytest.fixture
def models(official_folder: Path, tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A user's models folder: an official model, one of our own, and entries that are no models."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "official one").symlink_to(official_folder)
    (folder / "tiny").symlink_to(tiny_model_folder)
    (folder / "empty").mkdir()
    (folder / "damaged").mkdir()
    (folder / "damaged" / "model.json").write_text("{")
    (folder / ".hidden").symlink_to(tiny_model_folder)
    (folder / "starter").symlink_to(tiny_model_folder)
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.fixture
def second_family() -> Iterator[None]:
    family.register(NAME, FlowFamily())
    yield
    del family.FAMILIES[NAME]


def test_models_are_known_by_the_names_of_their_folders(models: Path) -> None:
    infos = {info.name: info for info in Registry(models).infos()}
    assert list(infos) == ["starter", "official one", "tiny"]
    assert infos["starter"].sizes.native == 128
    assert infos["starter"].learned is not None
    assert infos["official one"].defaults.guidance_scale == 8.5
    assert (infos["tiny"].family, infos["tiny"].settings) == ("cvd", ALL_SETTINGS)
    assert [info.name for info in Registry(models / "nowhere").infos()] == ["starter"]


@pytest.mark.parametrize("name", ["nothing", "../models/tiny", "damaged/../tiny", ".hidden", "notes.txt", "", "."])
def test_a_name_is_never_a_path(models: Path, name: str) -> None:
    for asked in (name, str(models / name)):
        with pytest.raises(RequestError, match="there are: starter, official one, tiny"):
            Registry(models).find(asked)


def test_a_damaged_model_says_so_when_it_is_asked_for(models: Path) -> None:
    with pytest.raises(CheckpointError, match="not valid JSON"):
        Registry(models).find("damaged")


def test_an_official_folder_is_loaded_by_its_name(models: Path, official_folder: Path) -> None:
    registry = Registry(models)
    model = registry.load(registry.find("official one"))
    cameras = pattern_cameras("circle", 2, 64, 96, 2)
    request = Request("a cube", cameras, settings=SamplingSettings(num_inference_steps=1, guidance_scale=8.5))
    expected = CollaborativeVideoPipeline.from_official(official_folder)
    assert np.array_equal(
        model.generate(request).videos, expected("a cube", cameras, num_inference_steps=1, guidance_scale=8.5).videos
    )


def test_a_hash_tells_models_apart(models: Path, official_folder: Path, tiny_model_folder: Path) -> None:
    registry = Registry(models)
    tiny, official = registry.find("tiny"), registry.find("official one")
    first = registry.reference(tiny)
    assert (first.name, first.family, len(first.sha256)) == ("tiny", "cvd", 64)
    assert Registry(models).reference(tiny) == first
    assert registry.reference(official).sha256 != first.sha256

    (models / "copy").mkdir()
    shutil.copytree(tiny_model_folder, models / "copy", dirs_exist_ok=True)
    copy = registry.find("copy")
    assert registry.reference(copy).sha256 == first.sha256
    weights = models / "copy" / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert registry.reference(copy).sha256 != first.sha256

    lora = models / "lora.safetensors"
    lora.write_bytes(b"any")
    hashes = {registry.reference(official, LoadOptions(lora=((lora, each),))).sha256 for each in (0.5, 0.6)}
    hashes |= {registry.reference(official, LoadOptions(adapter=adapter)).sha256 for adapter in (True, False)}
    assert len(hashes) == 4


def test_what_a_user_names_on_the_command_line_may_be_a_folder(models: Path, tiny_model_folder: Path) -> None:
    assert Registry(models).open(str(tiny_model_folder)).info.name == "tiny"
    assert Registry(models).open("tiny").folder == models / "tiny"
    for wrong in ("/nowhere", str(models / "empty")):
        with pytest.raises(CheckpointError):
            Registry(models).open(wrong)


def test_precision_follows_the_device() -> None:
    assert [usual_precision(device) for device in ("cpu", "cuda", "cuda:1")] == ["float32", "float16", "float16"]


@pytest.mark.usefixtures("second_family")
def test_a_second_family_fits(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_flow_model(models / "flowing")
    registry = Registry(models)
    assert INFO in registry.infos()
    assert isinstance(registry.load(registry.find("flowing")), FlowModel)
    generate = ("generate", "--model", str(models / "flowing"), "--pattern", "circle", "--size", "48x32")
    assert main([*generate, "--prompt", "x" * 50, "--frames", "5", "--seed", "4", "--out", str(tmp_path / "a")]) == 0
    record = read_record(tmp_path / "a")
    assert (record.model.family, record.frame_count, record.settings.seed) == (NAME, 5, 4)
    assert np.load(tmp_path / "a" / "view_01" / "latents.npy").shape == (2, 2, 2, 3)
    frame = iio.imread(tmp_path / "a" / "view_01" / "0005.png")
    assert frame.shape == (32, 48, 3)
    assert np.abs(frame.astype(int) - 128).max() <= 1
    # Without a number of frames, the model makes the nearest one to 16.
    assert main([*generate, "--out", str(tmp_path / "b")]) == 0
    assert read_record(tmp_path / "b").frame_count == 17
    assert main([*generate, "--frames", "6", "--out", str(tmp_path / "c")]) == 1
    assert "makes no videos of 6 frames. Use 5 frames" in capsys.readouterr().err
    for words, message in (
        (("--guidance", "3"), "has no setting guidance_scale"),
        (("--negative-prompt", "dark"), "takes no negative_prompt"),
        (("--anchor", str(tmp_path / "a"), "--frames", "5"), "takes no anchors"),
    ):
        assert main([*generate[:5], "--prompt", "x", *words, "--out", str(tmp_path / "c")]) == 1
        assert message in capsys.readouterr().err
    assert main([*generate, "--draft", "--out", str(tmp_path / "d")]) == 0
    assert read_record(tmp_path / "d").settings.num_inference_steps == 1


def test_a_family_that_nobody_registered_is_no_model(models: Path) -> None:
    write_flow_model(models / "flowing")
    assert json.loads((models / "flowing" / "model.json").read_text())["family"] == NAME
    with pytest.raises(CheckpointError, match="is not a model"):
        Registry(models).find("flowing")
