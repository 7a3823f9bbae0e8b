"""Two processes that train on their own and meet at their mean."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from cvd.training import parallel


def _member(rank: int, folder: str) -> None:
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    parameter = torch.nn.Parameter(torch.full((3,), float(rank)))
    longest = parallel.meet([parameter], elapsed=10.0 + rank)
    torch.save({"parameter": parameter.detach(), "longest": longest}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_processes_meet_at_the_mean_and_agree_on_the_time(tmp_path: Path):
    mp.spawn(_member, args=(str(tmp_path),), nprocs=2)
    for rank in range(2):
        result = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(result["parameter"], torch.full((3,), 0.5))
        assert result["longest"] == pytest.approx(11.0)


def test_a_process_alone_stays_as_it_is():
    parameter = torch.nn.Parameter(torch.ones(3))
    assert parallel.meet([parameter], elapsed=5.0) == 5.0
    torch.testing.assert_close(parameter.detach(), torch.ones(3))
    assert parallel.rank() == 0
