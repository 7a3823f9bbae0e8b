"""What every training test needs."""

import socket

import pytest
from accelerate.state import AcceleratorState


@pytest.fixture(autouse=True)
def fresh_accelerator():
    """accelerate keeps its settings for the whole process; each training here has its own."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
