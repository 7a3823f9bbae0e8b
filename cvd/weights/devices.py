"""Where a model runs, and in which precision."""

from __future__ import annotations

import torch

from ..errors import RequestError
from ..memory import Precision

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def precision_of(dtype: torch.dtype) -> Precision:
    """The precision that a type of numbers stands for. Raises RequestError for one that no model computes in."""
    for precision, each in DTYPES.items():
        if each == dtype:
            return precision
    raise RequestError(f"No model computes in {dtype}.", f"Use one of {', '.join(DTYPES)}.")


def usable_device(device: torch.device | str) -> torch.device:
    """The device, if PyTorch can use it on this machine.

    Raises:
        RequestError: there is no such device, or PyTorch cannot use it.
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise RequestError(f'"{device}" is not a device.', "Use cpu, cuda or cuda:N.") from error
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise RequestError(
            f"PyTorch finds {torch.cuda.device_count()} CUDA devices here, so not {device}.",
            "Use --device cpu, or install a driver and the CUDA build of PyTorch.",
        )
    return found
