"""How torch's threads on the processor wait for each other. It must be set before torch is imported."""

from collections.abc import MutableMapping

SPINS = "10000"
"""Number of times that a waiting thread of GNU OpenMP checks again before it sleeps. By default it checks for
milliseconds. If other programs run on the same cores, such threads keep other threads from working. A U-Net call of the
starter model then takes several times as long. On an idle machine this setting makes such a call about a quarter
slower. Large models are hardly slower."""


def share_the_processor(environment: MutableMapping[str, str]) -> None:
    """Sets how long waiting threads spin, if the environment does not set it."""
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPINS)
