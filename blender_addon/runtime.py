"""The one session of this Blender, and the timer that moves it on in a window.

Scripts have no timer. They call `session.tick()`, or `session.wait()` for one job:

    bpy.ops.collaborative_cameras.generate()
    folder = runtime.session.wait(on_progress=lambda state: print(state.jobs))

Several jobs may be at work. `session.last_job` is the id of the one that was asked for last, and `wait(job_id=...)`
waits for any of them.
"""

from __future__ import annotations

import atexit
import os
import traceback

import bpy

from .preferences import preferences, user_folder
from .problem import Problem
from .service.backend_process import Launch
from .service.session import Session

TIMER_SECONDS = 0.1

session = Session()


def start_backend(context: bpy.types.Context) -> None:
    """Use a running service, or start one as the preferences say. Raises BusyError when there is one already."""
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
    """Have `session.tick` called while there is something to do. Timers never fire in background mode: no harm."""
    if not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, persistent=True)


def push_undo_step(message: str) -> None:
    """Make what was just done a step of its own, so that undo does not take it away with what came before."""
    if bpy.app.background:
        return
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.ed.undo_push(message=message)


def _on_timer() -> float | None:
    try:
        session.tick()
        _redraw_sidebars()
    except Exception as error:  # a mistake of ours: Blender would drop the timer and say nothing
        traceback.print_exc()
        session.report(Problem("internal", f"The add-on failed: {error!r}.", "Save your work and restart Blender."))
    return TIMER_SECONDS if session.active else None


def _redraw_sidebars() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def register() -> None:
    atexit.register(session.close)  # Blender's own way out does not pass through `unregister` everywhere


def unregister() -> None:
    atexit.unregister(session.close)
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    session.close()
