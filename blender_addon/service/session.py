"""One Blender's dealings with the service: what its operators ask for, and the `tick` that moves everything on.

`Session` holds the state that the panel draws and the socket thread behind it. Its methods are called on Blender's main
thread only and return at once. Nothing happens between them unless somebody calls `tick`: a timer in a window, a loop
in a script (`wait`).
"""

from __future__ import annotations

import queue
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from ..problem import AddonError, Problem
from .backend_process import Launch
from .service_link import ServiceLink
from .state import BackendState, BackendStopped, Event, JobDone, State
from .submission import Submission

TICK_BUDGET = 0.008
"""Seconds of Blender's main thread that one tick may take, but for a single step of an import that takes longer."""

JOIN_TIMEOUT = 8.0

ImportTake = Callable[[Path], Iterator[None]]
OnProgress = Callable[[State], None]


class BusyError(AddonError):
    """Something was asked for that has to wait for what is going on."""

    code = "busy"


class GenerationFailedError(AddonError):
    """A generation that `wait` waited for has failed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message, problem.hint)
        self.problem = problem


class Session:
    """The state, the socket thread if there is one, and the import of a finished take in steps."""

    def __init__(self) -> None:
        self.state = State()
        self._link: ServiceLink | None = None
        self._import_take: ImportTake | None = None
        self._importing: Iterator[None] | None = None

    @property
    def active(self) -> bool:
        """Whether `tick` has anything to do."""
        return self._link is not None or self._importing is not None

    @property
    def backend_started(self) -> bool:
        """Whether the service runs or is on its way."""
        return self._link is not None

    @property
    def generating(self) -> bool:
        """Whether a job is at work or its result is being imported."""
        return self.state.job is not None or self._importing is not None

    def start_backend(self, launch: Launch, client_name: str) -> None:
        """Start the service. Raises BusyError when it runs already."""
        if self._link is not None:
            raise BusyError("The backend is running already.")
        self.state.problem = None
        self.state.backend = BackendState.STARTING
        self._link = ServiceLink(launch, client_name)
        self._link.start()

    def stop_backend(self) -> None:
        """End the service; a job at work is lost."""
        if self._link is not None:
            self.state.backend = BackendState.STOPPING
            self._link.stop()

    def generate(self, submission: Submission, import_take: ImportTake) -> None:
        """Ask for a generation. `import_take` is called with the take's folder when all its files are there.

        Raises BusyError while another one is at work or no backend was started.
        """
        if self.generating:
            raise BusyError("A generation is running.", "Wait for it, or cancel it.")
        if self._link is None or self.state.backend is BackendState.STOPPING:
            raise BusyError("The backend is not running.", "Start it.")
        self._import_take = import_take
        self.state.begin_job()
        self._link.submit(submission)

    def cancel(self) -> None:
        """Ask the service to stop the job at work, which takes at most one denoising step."""
        if self._link is not None and self.state.job is not None:
            self.state.job.cancelling = True
            self._link.cancel()

    def report(self, problem: Problem) -> None:
        """Show a problem in the panel."""
        self.state.problem = problem

    def tick(self, budget: float = TICK_BUDGET) -> bool:
        """Take in what the socket thread reports and go on importing, for about `budget` seconds.

        Returns whether anything changed.
        """
        deadline = time.perf_counter() + budget
        changed = False
        while time.perf_counter() < deadline and self._advance():
            changed = True
        return changed

    def wait(self, on_progress: OnProgress | None = None, timeout: float | None = None) -> Path:
        """Tick until the generation at work is done and imported; for scripts, which have no timer.

        on_progress: called with the state after every change and at least about once a second.
        Returns the take's folder. Raises GenerationFailedError when it failed or was cancelled, TimeoutError after
        `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        reported = 0.0
        while self.generating:
            changed = self.tick()
            if on_progress and (changed or time.monotonic() - reported > 1.0):
                reported = time.monotonic()
                on_progress(self.state)
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"The generation was not done after {timeout:g} seconds.")
            if not changed:
                time.sleep(0.02)
        if self.state.problem:
            raise GenerationFailedError(self.state.problem)
        if self.state.notice:
            raise GenerationFailedError(Problem("cancelled", self.state.notice))
        return self.state.take_folder

    def wait_for_backend(self, timeout: float = 120.0) -> None:
        """Tick until the backend that was started or stopped is so. Raises GenerationFailedError when it cannot be."""
        deadline = time.monotonic() + timeout
        while self.state.backend in (BackendState.STARTING, BackendState.STOPPING):
            if time.monotonic() > deadline:
                raise TimeoutError(f"The backend was not ready after {timeout:g} seconds.")
            if not self.tick():
                time.sleep(0.02)
        if self.state.backend is BackendState.FAILED:
            raise GenerationFailedError(self.state.problem)

    def close(self) -> None:
        """End the service and wait for the thread; Blender is closing or the add-on is being disabled."""
        if self._link is not None:
            self._link.stop()
            self._link.join(JOIN_TIMEOUT)
            self._link = None
        self._importing = None
        self.state = State()

    def _advance(self) -> bool:
        """One step of work. False when there is none."""
        if self._importing is not None:
            self._import_step()
            return True
        if self._link is None:
            return False
        try:
            event = self._link.events.get_nowait()
        except queue.Empty:
            return False
        self._apply(event)
        return True

    def _apply(self, event: Event) -> None:
        self.state.apply(event)
        if isinstance(event, BackendStopped):
            self._link = None
        elif isinstance(event, JobDone):
            self._importing = self._import_take(event.folder)

    def _import_step(self) -> None:
        try:
            next(self._importing)
        except StopIteration:
            self._importing = None
        except AddonError as error:
            self._importing = None
            self.state.problem = error.problem
        except Exception as error:  # a mistake of ours: the artist must see it, and the timer has to go on
            self._importing = None
            traceback.print_exc()
            hint = "Its frames are on disk: import the take again."
            self.state.problem = Problem("internal", f"The take could not be shown: {error!r}.", hint)
