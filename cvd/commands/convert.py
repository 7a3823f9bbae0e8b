"""`python -m cvd convert`: the official checkpoints as one folder of safetensors."""

from __future__ import annotations

import argparse
from typing import Any

from .camera_options import output_option
from .model_options import add_model_options, load_model


def add_parser(subparsers: Any) -> None:
    """Adds `convert` to the command line."""
    parser = subparsers.add_parser(
        "convert",
        help="official checkpoints to one folder of safetensors",
        description="Writes a model as one folder of safetensors, which loads faster and has base model, adapter and "
        "LoRAs merged. --dtype float16 halves its size.",
    )
    add_model_options(parser)
    output_option(parser)
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Loads the model and writes it."""
    load_model(arguments).save_pretrained(arguments.out)
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{size / 1e9:.2f} GB: {arguments.out}")
