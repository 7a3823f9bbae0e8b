"""The one session of this Blender, and the timer that moves it on in a window.

Scripts have no timer: they call `session.tick()` or `session.wait()`.

    bpy.ops.collaborative_cameras.generate()
    folder = runtime.session.wait(on_progress=lambda state: print(state.job))
"""

from __future__ import annotations

import atexit
import os

import bpy

from .preferences import preferences, user_folder
from .service.backend_process import Launch
from .service.session import Session

TIMER_SECONDS = 0.1

session = Session()


def start_backend(context: bpy.types.Context) -> None:
    """Start the service as the preferences say. Raises `session.BusyError` when it runs already."""
    chosen = preferences(context)
    launch = Launch(
        folder=user_folder("service"),
        parent_pid=os.getpid(),
        python=bpy.path.abspath(chosen.python),
        project=bpy.path.abspath(chosen.project),
    )
    session.start_backend(launch, f"Blender {bpy.app.version_string}")
    ensure_timer()


def ensure_timer() -> None:
    """Have `session.tick` called while there is something to do. In background mode timers never fire: no harm."""
    if not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, persistent=True)


def _on_timer() -> float | None:
    was_generating = session.generating
    session.tick()
    _redraw_sidebars()
    if was_generating and not session.generating and not bpy.app.background:
        _push_undo_step()
    return TIMER_SECONDS if session.active else None


def _redraw_sidebars() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def _push_undo_step() -> None:
    """Make an imported take a step of its own, so that undoing what came before does not take it away unseen."""
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window):
        bpy.ops.ed.undo_push(message="Generate")


def register() -> None:
    atexit.register(session.close)  # Blender's own way out does not pass through `unregister` everywhere


def unregister() -> None:
    atexit.unregister(session.close)
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    session.close()
