"""The command line: `python -m cvd COMMAND`. It exits with 0, or 1 after an error of one line (2: wrong arguments)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import CVDError

COMMANDS = {
    "generate": ("cvd.commands.generate", "generate one video per camera, all of the same scene"),
    "videos": ("cvd.commands.videos", "make videos of a folder with view_NN/0001.png and so on"),
    "cameras": ("cvd.commands.cameras", "convert camera files, plot trajectories"),
    "convert": ("cvd.commands.convert", "write official checkpoints as one folder of safetensors"),
    "evaluate": ("cvd.commands.evaluate", "measure how consistent a generation is"),
    "benchmark": ("cvd.commands.benchmark", "compare one U-Net call with diffusers' AnimateDiff"),
    "train": ("cvd.training.cli", "train a stage of CVD"),
}
"""Each command's module, and what it does. A module has `DESCRIPTION` and `add_arguments`. Only the module of the
command that is called is imported, because some take seconds."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="python -m cvd", description="Collaborative Video Diffusion.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (place, text) in COMMANDS.items():
        if words[:1] == [name]:
            module = import_module(place)
            module.add_arguments(subparsers.add_parser(name, help=text, description=module.DESCRIPTION))
        else:
            subparsers.add_parser(name, help=text)
    arguments = parser.parse_args(words)
    try:
        arguments.func(arguments)
    except CVDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0
