"""`python -m cvd train`: training of a given model, shipping a model, and error messages."""

from pathlib import Path

import pytest
import torch
from support.tiny_training import tiny_model

from cvd.commands.cli import main
from cvd.pipeline import CollaborativeVideoPipeline
from cvd.training.checkpoints import newest_checkpoint
from cvd.training.model import save_model
from cvd.weights.model_info import read_info


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_model(tiny_model(), folder)
    return folder


def train(*arguments: object) -> int:
    return main(["train", *map(str, arguments)])


@pytest.mark.slow
def test_a_model_is_trained_on_and_comes_out_whole(model: Path, tmp_path: Path, capsys):
    run = tmp_path / "run"
    arguments = ("epipolar", "--model", model, "--data", "procedural", "--folder", run, "--batch-size", 1)

    assert train(*arguments, "--steps", 1) == 0
    assert train(*arguments, "--steps", 2) == 0

    assert "goes on from" in capsys.readouterr().out
    assert newest_checkpoint(run / "epipolar").name == "step_0000002.pt"
    before, after = (CollaborativeVideoPipeline.from_pretrained(folder).unet.state_dict() for folder in (model, run))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(".epipolar_module." in name for name in changed)
    assert read_info(run) == read_info(model)


def test_the_image_part_of_a_model_is_trained_in_place(model: Path, tmp_path: Path):
    arguments = ("--data", "procedural", "--steps", 1, "--batch-size", 2, "--learning-rate", 0.1)
    assert train("image", "--model", model, "--folder", tmp_path, *arguments) == 0

    before, after = (CollaborativeVideoPipeline.from_pretrained(f).unet.state_dict() for f in (model, tmp_path))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any(".motion_modules." in name for name in changed)


@pytest.mark.slow
def test_a_run_ships_in_half_precision_as_the_pipeline_loads_it(model: Path, tmp_path: Path, capsys):
    assert train("ship", "--folder", model, "--out", tmp_path / "weights") == 0

    assert "MB" in capsys.readouterr().out
    shipped, whole = (CollaborativeVideoPipeline.from_pretrained(f) for f in (tmp_path / "weights", model))
    for name, value in whole.unet.state_dict().items():
        torch.testing.assert_close(shipped.unet.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    assert shipped.info == whole.info


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("ship",), "Train stage autoencoder"),
        (("encode",), "Train stage autoencoder"),
        (("image",), "Train stage autoencoder"),
        (("epipolar", "--model", "MODEL"), "Give --data"),
        (("epipolar", "--model", "nowhere", "--data", "procedural"), "nowhere"),
        (("epipolar", "--model", "MODEL", "--data", "nowhere"), "no folder nowhere"),
        (("motion", "--model", "MODEL", "--data", "procedural", "--resume", "nowhere.pt"), "no checkpoint nowhere.pt"),
        (("motion", "--model", "MODEL", "--data", "procedural", "--mix", "1", "2"), "--mix"),
        (("motion", "--model", "MODEL", "--data", "procedural", "--steps", "0"), "limit above 0"),
        (("autoencoder",), "train render"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, complaint: str, model: Path, tmp_path: Path, capsys):
    arguments = [str(model) if word == "MODEL" else word for word in arguments]

    assert train(*arguments, "--folder", tmp_path / "run") == 1

    error = capsys.readouterr().err
    assert complaint in error
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1


def test_a_run_names_the_stage_that_is_missing(model: Path, tmp_path: Path, capsys):
    whole = CollaborativeVideoPipeline.from_pretrained(model)
    whole.vae.save_pretrained(tmp_path / "vae")
    assert train("motion", "--folder", tmp_path, "--data", "procedural") == 1
    assert "Train stage image" in capsys.readouterr().err
