"""Two processes that take their own steps and average their parameters."""

import os
import time
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from support.tiny_training import tiny_model, trainer

from cvd.training import parallel
from cvd.training.autoencoder import DecoderStage
from cvd.training.batches import Batch
from cvd.training.loop import Settings, start_accelerator


def _join(rank: int, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )


class _UnevenStage(DecoderStage):
    """A stage that is much slower in the second process."""

    def forward(self, batch: Batch) -> torch.Tensor:
        time.sleep(0.3 * int(os.environ["RANK"]))
        return super().forward(batch)


def _limited_member(rank: int, folder: str, port: int) -> None:
    _join(rank, port)
    stage = _UnevenStage(tiny_model().vae, Path(folder))
    stage.validation_size = 1
    training = trainer(stage, Path(folder), Settings(minutes=0.06, batch_size=1))
    training.fit()
    torch.save({"step": training.step, "elapsed": training.elapsed}, f"{folder}/{rank}.pt")


def _member(rank: int, folder: str, port: int) -> None:
    _join(rank, port)
    accelerator = start_accelerator(Path(folder))
    parameter = torch.nn.Parameter(torch.full((3,), float(rank)))
    parallel.meet(accelerator, [parameter])
    longest = parallel.longest(accelerator, 10.0 + rank)
    stage = DecoderStage(tiny_model().vae, Path(folder))
    stage.validation_size = 1
    training = trainer(stage, Path(folder), Settings(steps=3, batch_size=1))
    first = next(training._batches())
    training.fit()
    weights = {name: value.detach() for name, value in stage.trained.items()}
    torch.save(
        {"parameter": parameter.detach(), "longest": longest, "weights": weights, "frames": first.frames},
        f"{folder}/{rank}.pt",
    )


@pytest.mark.slow
def test_processes_see_other_data_and_meet_at_the_mean(tmp_path: Path, free_port: int):
    mp.spawn(_member, args=(str(tmp_path), free_port), nprocs=2)

    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    for result in (first, second):
        torch.testing.assert_close(result["parameter"], torch.full((3,), 0.5))
        assert result["longest"] == pytest.approx(11.0)
    assert not torch.equal(first["frames"], second["frames"])
    for name, value in first["weights"].items():
        assert torch.equal(second["weights"][name], value), name
    assert len(list((tmp_path / "milestones").iterdir())) == 1


@pytest.mark.slow
def test_processes_of_different_speed_end_a_limited_time_together(tmp_path: Path, free_port: int):
    members = mp.spawn(_limited_member, args=(str(tmp_path), free_port), nprocs=2, join=False)
    deadline = time.monotonic() + 120
    try:
        while not members.join(timeout=1):
            assert time.monotonic() < deadline, "one process waits for the other"
    finally:
        for process in members.processes:
            process.kill()

    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert first == second


def test_a_process_alone_stays_as_it_is(tmp_path: Path):
    accelerator = start_accelerator(tmp_path)
    parameter = torch.nn.Parameter(torch.ones(3))
    parallel.meet(accelerator, [parameter])
    assert parallel.longest(accelerator, 5.0) == 5.0
    torch.testing.assert_close(parameter.detach(), torch.ones(3))
