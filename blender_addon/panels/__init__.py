"""What the artist sees: one panel in the 3D viewport's sidebar."""

from .sidebar import register, unregister

__all__ = ["register", "unregister"]
