"""The device that a model runs on."""

from __future__ import annotations

import torch

from ..errors import RequestError


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
