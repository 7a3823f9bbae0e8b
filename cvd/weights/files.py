"""Reading weight files. Only tensors are read, and every tensor must belong to the model."""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ..errors import CheckpointError
from .configs import require_file

StateDict = dict[str, torch.Tensor]

IGNORED_CLASSES = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "pytorch_lightning.utilities.enums.ModelSummaryMode",
)
"""Classes that Stable Diffusion's own .ckpt files name besides their tensors."""

UNREADABLE = (
    SafetensorError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    RuntimeError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
)
"""Exceptions that damaged files cause, because torch and pickle do not check their input."""


class _Ignored:
    """Placeholder for a class that a checkpoint names and that is not needed."""


def load_part(
    model: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    rename: Callable[[str], str | None],
    expected: set[str],
    file: Path,
) -> None:
    """Assigns a file's tensors to a model. The file must hold exactly the expected tensors.

    Args:
        model: model that gets the tensors.
        tensors: tensors of the file.
        rename: function from a name in the file to our name; None: the tensor is not used.
        expected: our names of all tensors that the file must hold.
        file: path of the file, for errors.

    Raises:
        CheckpointError: tensors are missing, unknown, or have another shape. The error names the file and the first
            such tensors.
    """
    renamed = {ours: tensor for name, tensor in tensors.items() if (ours := rename(name)) is not None}
    slots = model.state_dict()
    missing, unknown = sorted(expected - renamed.keys()), sorted(renamed.keys() - expected)
    shapes = [
        f"{name} is {tuple(renamed[name].shape)}, not {tuple(slots[name].shape)}"
        for name in sorted(expected & renamed.keys())
        if renamed[name].shape != slots[name].shape
    ]
    problems = [
        f"{len(names)} {what} (first: {', '.join(names[:3])})"
        for what, names in (("tensors missing", missing), ("unknown tensors", unknown), ("wrong shapes", shapes))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{file} does not fit the model: {'; '.join(problems)}.",
            "Take the file of that name from the official release, or the one that belongs to this base model.",
        )
    model.load_state_dict(renamed, strict=False, assign=True)


def empty_model(model_class: type[nn.Module], config: dict[str, Any]) -> Any:
    """A model without memory for its weights. `load_part` assigns the weights."""
    with init_empty_weights():
        return model_class(**config)


def read_tensors(path: Path) -> StateDict:
    """Reads the tensors of a .safetensors file or a torch checkpoint. Only plain tensors are unpickled.

    A wrapping {"state_dict": ...} and the prefix "module." of names, which training code adds, are removed.

    Raises:
        CheckpointError: the file is missing, truncated, or not a checkpoint.
    """
    content = _read(path)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    return _checked(content, f"{path} does not hold a dictionary of tensors.")


def read_section(path: Path, section: str) -> StateDict:
    """Reads one of several state dicts of a torch checkpoint. The prefix "module." of names is removed.

    Raises:
        CheckpointError: for the reasons of `read_tensors`, or the section is missing.
    """
    content = _read(path)
    return _checked(content.get(section) if isinstance(content, dict) else None, f'{path} has no section "{section}".')


def _checked(content: Any, complaint: str) -> StateDict:
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise CheckpointError(complaint, "Is it the right file?")
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def _read(path: Path) -> Any:
    require_file(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Files may hold other objects of training frameworks. Only the names of their classes are read.
        with torch.serialization.safe_globals([(_Ignored, name) for name in IGNORED_CLASSES]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if found := re.search(r"GLOBAL ([\w.]+) was not an allowed global", str(error)):
            raise CheckpointError(
                f"{path} holds a Python object ({found[1]}) beside the weights, which could run code.",
                "Get the model as a .safetensors file.",
            ) from error
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: {reason}", "It may be truncated; download it again."
        ) from error
