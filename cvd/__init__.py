"""Collaborative Video Diffusion as a library: any cameras, any number of views.

from cvd import Cameras, CollaborativeVideoPipeline
"""

from .cameras import Cameras
from .pipeline import CollaborativeVideoPipeline

__all__ = ["Cameras", "CollaborativeVideoPipeline"]
