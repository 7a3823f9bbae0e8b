"""Fixtures that several packages' tests share."""

import os
from pathlib import Path

import pytest

# Before torch is imported. One thread: the models of the tests are too small for more, and threads that wait for each
# other on a busy machine are slow.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def official_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the official release's files, tiny. Tests that change it take a copy."""
    from support.official_files import write_official_files

    folder = tmp_path_factory.mktemp("official")
    write_official_files(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of our own format with a tiny random model. Tests that change it take a copy."""
    from support.tiny_model import write_tiny_model

    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_model(folder)
    return folder
