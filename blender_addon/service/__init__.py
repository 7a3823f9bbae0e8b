"""The generation service as this Blender sees it: its process, the socket thread, the session."""
