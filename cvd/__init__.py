"""Collaborative Video Diffusion as a library: any cameras, any number of views.

from cvd import Cameras, CollaborativeVideoPipeline
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cameras.cameras import Cameras
    from .pipeline import CollaborativeVideoPipeline

__all__ = ["Cameras", "CollaborativeVideoPipeline"]

_HOMES = {"Cameras": "cvd.cameras", "CollaborativeVideoPipeline": "cvd.pipeline"}


def __getattr__(name: str) -> Any:
    # torch takes seconds to import and reads its settings then; what does not need it, need not wait for it.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cvd' has no attribute {name!r}")
