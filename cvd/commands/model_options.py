"""Which model to load: options that several commands share."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from ..errors import CheckpointError, RequestError
from ..pipeline import CollaborativeVideoPipeline
from ..weights.devices import usable_device
from ..weights.model_info import INFO_FILE, OFFICIAL_INFO, STARTER_NAME, ModelInfo, find_info
from ..weights.official import EPIPOLAR_FILE

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--model and what changes it, --device and --dtype."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="starter",
        metavar="FOLDER",
        help='"starter" (default), a folder written by convert, or a folder with the official files',
    )
    group.add_argument(
        "--base-model", metavar="PATH", help="official files: another Stable Diffusion 1.5, folder or file"
    )
    group.add_argument("--no-adapter", action="store_true", help="official files: without the AnimateDiff v3 adapter")
    group.add_argument(
        "--lora", action="append", default=[], metavar="FILE[=WEIGHT]", help="official files: merge a LoRA (repeatable)"
    )
    group.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda or cuda:N")
    group.add_argument(
        "--dtype", choices=DTYPES, help="of the weights (default: float16 on a GPU, float32 on a processor)"
    )


def find_model(arguments: argparse.Namespace) -> ModelInfo:
    """What the model that the options ask for was trained for, without loading it.

    Raises:
        CheckpointError: there is no such model. RequestError: options that do not go together, or no such device.
    """
    usable_device(arguments.device)
    if not _is_official(arguments):
        if arguments.base_model or arguments.no_adapter or arguments.lora:
            raise RequestError("--base-model, --no-adapter and --lora go with a folder of the official files.")
        return find_info(arguments.model)
    for text in arguments.lora:
        _parse_lora(text)
    return OFFICIAL_INFO


def load_model(arguments: argparse.Namespace) -> CollaborativeVideoPipeline:
    """The pipeline that the options ask for.

    Raises:
        CheckpointError: a file is missing or does not fit. RequestError: options that do not go together.
    """
    find_model(arguments)
    on_gpu = arguments.device.startswith("cuda")
    dtype = DTYPES[arguments.dtype] if arguments.dtype else (torch.float16 if on_gpu else torch.float32)
    if not _is_official(arguments):
        return CollaborativeVideoPipeline.from_pretrained(arguments.model, dtype=dtype, device=arguments.device)
    return CollaborativeVideoPipeline.from_official(
        arguments.model,
        base_model=arguments.base_model,
        adapter=not arguments.no_adapter,
        lora=[_parse_lora(text) for text in arguments.lora],
        dtype=dtype,
        device=arguments.device,
    )


def _is_official(arguments: argparse.Namespace) -> bool:
    folder = Path(arguments.model)
    if arguments.model == STARTER_NAME or (folder / INFO_FILE).is_file():
        return False
    if (folder / EPIPOLAR_FILE).is_file():
        return True
    raise CheckpointError(
        f"{folder} is not a model: it has neither {INFO_FILE} nor {EPIPOLAR_FILE}.",
        "Give a folder written by `python -m cvd convert`, or one with the official files.",
    )


def _parse_lora(text: str) -> tuple[str, float]:
    path, found, weight = text.rpartition("=")
    if not found:
        return text, 1.0
    try:
        number = float(weight)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return path, number
    raise RequestError(f'"{weight}" in --lora {text} is not a weight.', "Write FILE=0.8, for instance.")
