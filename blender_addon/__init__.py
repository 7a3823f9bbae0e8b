"""Collaborative Cameras: one video per animated camera, all of the same scene, from a service on this machine.

Nothing is imported before Blender registers the extension, so that any Python can use the modules without `bpy`.
"""


def register() -> None:
    """Called by Blender when the extension is enabled."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled."""
    from . import registration

    registration.unregister()
