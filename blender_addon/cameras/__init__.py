"""Cameras out of Blender."""
