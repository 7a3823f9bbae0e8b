"""The command line: `python -m cvd COMMAND`, exit code 0, or a one-line error and 1 (2 for wrong arguments)."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from ..errors import CVDError, PromptWarning
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
        # Their warnings speak to people who load models by hand; what matters here is raised as an error.
        library.set_verbosity_error()
        library.disable_progress_bar()  # one for every file of a model, of which most take no time
    try:
        with _plain_prompt_warnings():
            arguments.func(arguments)
    except CVDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


@contextmanager
def _plain_prompt_warnings() -> Iterator[None]:
    """Shows them in a line: where in the code they come from is of no use to who wrote the prompt."""
    usual = warnings.formatwarning

    def plain(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if issubclass(category, PromptWarning):
            return f"warning: {message}\n"
        return usual(message, category, filename, lineno, line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", PromptWarning)
        warnings.formatwarning = plain
        try:
            yield
        finally:
            warnings.formatwarning = usual
