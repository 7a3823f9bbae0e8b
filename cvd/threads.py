"""How torch's processor threads wait for each other; to be set before torch is imported."""

from collections.abc import MutableMapping

SPINS = "10000"
"""GNU OpenMP lets a thread that waits spin for milliseconds. Beside other work, on as many threads as there are cores,
those that spin keep the others from working, and a U-Net call takes ten times as long. A shorter wait costs next to
nothing on an idle machine."""


def share_the_processor(environment: MutableMapping[str, str]) -> None:
    """Sets how long threads spin, in an environment that says nothing about it."""
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPINS)
