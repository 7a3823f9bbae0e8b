"""Options for the model, which several commands share."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from protocol.models import STARTER_NAME

from ..errors import RequestError
from ..family import LoadOptions, VideoModel
from ..memory import PRECISIONS, MemoryPlan, usual_precision
from ..weights.registry import InstalledModel, Registry
from .libraries import quiet_libraries


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds --model and its changes, --device and --dtype."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default=STARTER_NAME,
        metavar="NAME|FOLDER",
        help='"starter" (default), the name of a folder in the models folder, a folder that convert wrote, or a folder '
        "of the official files",
    )
    group.add_argument(
        "--base-model", type=Path, metavar="PATH", help="official files: folder or file of another Stable Diffusion 1.5"
    )
    group.add_argument("--no-adapter", action="store_true", help="official files: without the AnimateDiff v3 adapter")
    group.add_argument(
        "--lora", action="append", default=[], metavar="FILE[=WEIGHT]", help="official files: merge a LoRA (repeatable)"
    )
    device_option(group)
    group.add_argument(
        "--dtype", choices=PRECISIONS, help="precision (default: float16 on a GPU, float32 on a processor)"
    )


def device_option(parser: argparse._ActionsContainer) -> None:
    """Adds --device. The default is the GPU, if there is one."""
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: cuda if there is a GPU)")


def chosen_device(arguments: argparse.Namespace) -> str:
    """The device that the options ask for. Raises RequestError if this machine does not have it."""
    import torch

    from ..weights.devices import usable_device

    return str(usable_device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")))


def load_options(arguments: argparse.Namespace) -> LoadOptions:
    """The changes of the options to a model. Raises RequestError if a LoRA's weight is no number."""
    loras = tuple(_parse_lora(text) for text in arguments.lora)
    return LoadOptions(arguments.base_model, not arguments.no_adapter, loras)


def load_model(
    arguments: argparse.Namespace, registry: Registry, model: InstalledModel, options: LoadOptions
) -> VideoModel:
    """The model that the options ask for.

    Raises:
        CheckpointError: a file is missing or does not fit.
        RequestError: the options do not go together, or the device does not exist.
    """
    quiet_libraries()
    device = chosen_device(arguments)
    plan = MemoryPlan(precision=arguments.dtype or usual_precision(device))
    return registry.load(model, device, plan, options)


def _parse_lora(text: str) -> tuple[Path, float]:
    path, found, weight = text.rpartition("=")
    if not found:
        return Path(text), 1.0
    try:
        number = float(weight)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return Path(path), number
    raise RequestError(f'"{weight}" in --lora {text} is not a weight.', "Write FILE=0.8, for instance.")
