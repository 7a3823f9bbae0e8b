"""The libraries that models are made of, on a command line."""

from __future__ import annotations


def quiet_libraries() -> None:
    """Silences warnings and progress bars of diffusers and transformers.

    Their warnings are for programmers who load models; what matters here is raised as an error. They show a progress
    bar for every file of a model, and most files take no time.
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
