"""Cameras as plain arrays, where they come from, and pictures of them."""

from .cameras import Cameras

__all__ = ["Cameras"]
