"""How torch's processor threads wait for each other; to be set before torch is imported."""

from collections.abc import MutableMapping

SPINS = "10000"
"""GNU OpenMP lets a thread that waits spin for milliseconds. Beside other work, on as many threads as there are cores,
those that spin keep the others from working, and a U-Net call of the starter model takes several times as long. On an
idle machine the shorter wait makes such a call about a quarter slower; large models hardly notice."""


def share_the_processor(environment: MutableMapping[str, str]) -> None:
    """Sets how long threads spin, in an environment that says nothing about it."""
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPINS)
