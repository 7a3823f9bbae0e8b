"""Where a run of the sampler stands: all that it takes to go on from there with the same bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from protocol.files import write_whole

from ..errors import CheckpointError

STATE_VERSION = 1


@dataclass(frozen=True, eq=False)
class SolverMemory:
    """What a solver remembers of its earlier steps: tensors and plain values, by name. Empty before the first step."""

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class DrawsState:
    """Where the random streams of a run stand.

    noise: state of torch's generator. choice: state of numpy's generator. pairings: how many pairings were drawn.
    """

    noise: torch.Tensor
    choice: dict[str, Any]
    pairings: int


@dataclass(frozen=True, eq=False)
class SamplerState:
    """A run between two steps of its sampler.

    latents: (V, C, F, h, w) float32. index, recurrence: of the timestep that is next, and of its repetition, counted
    from 0. solver: what the solver remembers. renoised: how many times the latents went back a timestep.
    draws: where the random streams stand; None where the caller's pins have no streams.
    """

    latents: torch.Tensor
    index: int = 0
    recurrence: int = 0
    solver: SolverMemory = field(default_factory=SolverMemory)
    renoised: int = 0
    draws: DrawsState | None = None

    def to(self, device: torch.device) -> SamplerState:
        """The same state with its latents and the solver's tensors on a device."""
        tensors = {name: each.to(device) for name, each in self.solver.tensors.items()}
        return replace(self, latents=self.latents.to(device), solver=replace(self.solver, tensors=tensors))

    def save(self, path: Path) -> None:
        """Write the state to a file of safetensors, whole or not at all. Raises OSError."""
        tensors = {"latents": self.latents} | {f"solver.{name}": each for name, each in self.solver.tensors.items()}
        values: dict[str, Any] = {
            "version": STATE_VERSION,
            "index": self.index,
            "recurrence": self.recurrence,
            "renoised": self.renoised,
            "solver": self.solver.values,
        }
        if self.draws is not None:
            tensors["draws.noise"] = self.draws.noise
            values |= {"choice": self.draws.choice, "pairings": self.draws.pairings}
        on_cpu = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
        write_whole(path, save(on_cpu, {"state": json.dumps(values)}), durable=True)


def load_state(path: Path) -> SamplerState:
    """A state that `SamplerState.save` wrote.

    Raises:
        CheckpointError: missing, damaged, or of another version.
    """
    try:
        with safe_open(path, "pt") as file:
            values = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dictionary
        if values["version"] != STATE_VERSION:
            raise CheckpointError(f"{path} has version {values['version']} of a run's state.", "Start the run again.")
        draws = None
        if "draws.noise" in tensors:
            draws = DrawsState(tensors["draws.noise"], values["choice"], values["pairings"])
        outputs = {name.removeprefix("solver."): each for name, each in tensors.items() if name.startswith("solver.")}
        return SamplerState(
            latents=tensors["latents"],
            index=values["index"],
            recurrence=values["recurrence"],
            solver=SolverMemory(outputs, values["solver"]),
            renoised=values["renoised"],
            draws=draws,
        )
    except (OSError, SafetensorError, ValueError, LookupError, TypeError) as error:
        raise CheckpointError(f"{path} is no state of a run: {error}.", "Start the run again.") from error
