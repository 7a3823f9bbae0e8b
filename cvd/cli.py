"""The command line: `python -m cvd COMMAND`, exit code 0, or a one-line error and 1 (2 for wrong arguments)."""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any

from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from .commands import benchmark, cameras, convert, evaluate, generate, videos
from .errors import CVDError, PromptWarning
from .training import cli as training_cli


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cvd", description="Collaborative Video Diffusion.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (generate, videos, cameras, convert, evaluate, benchmark):
        command.add_parser(subparsers)
    training_cli.add_parser(subparsers)
    arguments = parser.parse_args(argv)
    # Their warnings speak to people who load models by hand; what matters here is raised as an error.
    diffusers_logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            _show_prompt_warnings_plainly()
            arguments.func(arguments)
    except CVDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _show_prompt_warnings_plainly() -> None:
    """Where in the code it was noticed is of no use to who wrote the prompt."""
    show = warnings.showwarning

    def show_plainly(message: Any, category: type[Warning], *place: Any) -> None:
        if issubclass(category, PromptWarning):
            print(f"warning: {message}", file=sys.stderr)
        else:
            show(message, category, *place)

    warnings.showwarning = show_plainly
    warnings.simplefilter("always", PromptWarning)
