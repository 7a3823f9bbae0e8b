"""The command line: `python -m cvd COMMAND`. It exits with 0, or 1 after an error of one line (2: wrong arguments)."""

from __future__ import annotations

import argparse
import sys

from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from ..errors import CVDError
from ..training import cli as training_cli
from . import benchmark, cameras, convert, evaluate, generate, videos


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cvd", description="Collaborative Video Diffusion.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (generate, videos, cameras, convert, evaluate, benchmark):
        command.add_parser(subparsers)
    training_cli.add_parser(subparsers)
    arguments = parser.parse_args(argv)
    for library in (diffusers_logging, transformers_logging):
        # Their warnings are for people who load models by hand. Here, what matters is raised as an error.
        library.set_verbosity_error()
        library.disable_progress_bar()  # every file of a model has one, and most load at once
    try:
        arguments.func(arguments)
    except CVDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0
