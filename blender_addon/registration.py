"""Registers every module that adds something to Blender, in the order in which they need each other."""

from . import panels, preferences, properties, runtime
from .operators import backend, cameras, generation, measuring, problems, settings, takes, viewing
from .takes import moving

MODULES = (
    preferences,
    properties,
    runtime,
    moving,
    backend,
    cameras,
    generation,
    measuring,
    problems,
    settings,
    takes,
    viewing,
    panels,
)


def register() -> None:
    """Register all, or none when one of them fails."""
    registered = []
    try:
        for module in MODULES:
            module.register()
            registered.append(module)
    except Exception:
        for module in reversed(registered):
            module.unregister()
        raise


def unregister() -> None:
    """Undo `register`."""
    for module in reversed(MODULES):
        module.unregister()
