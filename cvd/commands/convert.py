"""`python -m cvd convert`: the official checkpoints as one folder of safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import RequestError
from ..takes.folders import check_writable, writing
from ..weights.model_info import INFO_FILE
from ..weights.registry import InstalledModel, Registry
from .camera_options import output_option
from .model_options import add_model_options, load_model, load_options

DESCRIPTION = (
    "Writes a model as one folder of safetensors, which loads faster and has base model, adapter and "
    "LoRAs merged. --dtype float16 halves its size."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `convert`."""
    add_model_options(parser)
    output_option(parser)
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Loads the model and writes it. It replaces an older one."""
    from ..pipeline import CollaborativeVideoPipeline

    registry, options = Registry(), load_options(arguments)
    found = registry.open(arguments.model)
    out: Path = arguments.out
    _check_output(out, found)
    model = load_model(arguments, registry, found, options)
    if not isinstance(model, CollaborativeVideoPipeline):
        raise RequestError(f'The model "{found.name}" is in one folder already.', "Use it as it is.")
    with writing(out):
        (out / INFO_FILE).unlink(missing_ok=True)  # written last: a folder that has it is whole
        model.save_pretrained(out)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{size / 1e9:.2f} GB: {out}")


def _check_output(out: Path, model: InstalledModel) -> None:
    check_writable(out)
    if out.resolve() == model.folder.resolve():
        raise RequestError("A model cannot be written over itself.", "Choose another --out.")
    if out.is_dir() and any(out.iterdir()) and not (out / INFO_FILE).is_file():
        raise RequestError(
            f"{out} holds other files, and no {INFO_FILE}.", "Choose a new folder for the model, or empty this one."
        )
