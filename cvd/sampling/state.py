"""The state of a sampler's run: all that is needed to continue it with the same bytes."""

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
    """The memory of a solver: tensors and plain values of earlier steps, by name. It is empty before the first step."""

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class DrawsState:
    """The state of a run's random streams.

    noise: state of torch's generator. choice: state of numpy's generator. pairings: number of drawn pairings.
    """

    noise: torch.Tensor
    choice: dict[str, Any]
    pairings: int


@dataclass(frozen=True, eq=False)
class SamplerState:
    """A run between two steps of its sampler.

    latents: latents (V, C, F, h, w), float32. index, recurrence: numbers of the next timestep and recurrence, from 0.
    solver: memory of the solver. renoised: number of times that the latents went back a timestep.
    draws: state of the random streams; None without streams.
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
        CheckpointError: the file is missing, damaged, or of another version.
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
