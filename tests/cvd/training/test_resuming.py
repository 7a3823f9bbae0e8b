"""Checkpoints: a continued training gives the same result as an uninterrupted one, and old checkpoints are deleted."""

import os
from pathlib import Path

import pytest
import torch
from support.tiny_training import tiny_model, trainer

from cvd.training.autoencoder import AutoencoderStage
from cvd.training.checkpoints import newest_checkpoint, write_checkpoint
from cvd.training.errors import TrainingError
from cvd.training.loop import Settings
from cvd.training.video import CameraStage, MotionStage

SETTINGS = Settings(steps=16, batch_size=1)


def train(folder: Path, settings: Settings = SETTINGS, resume: Path | None = None) -> dict[str, torch.Tensor]:
    stage = MotionStage(tiny_model(), folder)
    stage.validation_size = 1
    training = trainer(stage, folder, settings)
    training.fit(resume)
    return training.ema.average | {f"live {name}": value.detach() for name, value in stage.trained.items()}


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path):
    whole = train(tmp_path / "whole")

    resumed = train(tmp_path / "resumed", resume=tmp_path / "whole" / "milestones" / "step_0000008.pt")

    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


def test_an_interrupted_training_goes_on_from_its_newest_checkpoint(tmp_path: Path):
    lines: list[str] = []
    train(tmp_path, Settings(steps=2, batch_size=1))
    stage = MotionStage(tiny_model(), tmp_path)
    stage.validation_size = 1

    trainer(stage, tmp_path, Settings(steps=3, batch_size=1), log=lines.append).fit()

    assert "step 2" in lines[0]
    assert newest_checkpoint(tmp_path).name == "step_0000003.pt"


def test_old_checkpoints_go_and_milestones_stay(tmp_path: Path):
    for step in range(1, 7):
        write_checkpoint(tmp_path, step, {"step": step}, milestone=step == 2)

    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == [
        f"step_000000{step}.pt" for step in (4, 5, 6)
    ]
    assert [path.name for path in (tmp_path / "milestones").iterdir()] == ["step_0000002.pt"]


def test_what_follows_an_older_checkpoint_is_newer_than_what_once_followed_it(tmp_path: Path):
    for moment, step in enumerate((6, 7, 8, 3, 4)):
        path = write_checkpoint(tmp_path, step, {"step": step}, milestone=False)
        os.utime(path, (moment, moment))

    write_checkpoint(tmp_path, 5, {"step": 5}, milestone=False)

    assert {path.name[-4] for path in (tmp_path / "checkpoints").iterdir()} == {"3", "4", "5"}
    assert newest_checkpoint(tmp_path).name == "step_0000005.pt"


def test_time_and_steps_both_limit_a_training():
    settings = Settings(minutes=10, steps=100)
    assert settings.progress(step=50, elapsed=60) == pytest.approx(0.5)
    assert settings.progress(step=1, elapsed=300) == pytest.approx(0.5)
    assert settings.progress(step=200, elapsed=0) == 1
    with pytest.raises(TrainingError, match="--minutes"):
        Settings()


def test_a_checkpoint_of_another_stage_is_refused(tmp_path: Path):
    train(tmp_path, Settings(steps=1, batch_size=1))
    with pytest.raises(TrainingError, match="other parameters than stage camera"):
        trainer(CameraStage(tiny_model(), tmp_path), tmp_path, SETTINGS).fit()


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path):
    file = tmp_path / "step.pt"
    file.write_bytes(content)
    with pytest.raises(TrainingError, match="cannot be read"):
        trainer(MotionStage(tiny_model(), tmp_path), tmp_path, SETTINGS).fit(file)


def test_a_loss_that_is_not_finite_ends_the_training_before_it_is_saved(tmp_path: Path):
    stage = AutoencoderStage(tiny_model().vae, tmp_path)
    stage.validation_size = 1
    training = trainer(stage, tmp_path, Settings(steps=8, batch_size=1, learning_rate=1e30))
    with pytest.raises(TrainingError, match="not finite"):
        training.fit()
    assert newest_checkpoint(tmp_path) is None
