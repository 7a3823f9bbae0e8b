"""One Blender's use of the service: what its operators ask for, and the `tick` that moves everything on.

`Session` holds the state that the panel draws, and the socket thread behind it. Its methods are called on Blender's
main thread only, and return at once. Nothing happens between them unless somebody calls `tick`: a timer in a window, a
loop in a script (`wait`).
"""

from __future__ import annotations

import collections
import queue
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..problem import AddonError, Problem, problem_of
from ..protocol.errors import ProtocolError
from ..protocol.messages import Cancelled, new_id
from .backend_process import Launch
from .commands import CancelJob, StopService, SubmitJob
from .events import BackendStopped, Event, TakeWritten
from .pending import PendingJob
from .service_link import ServiceLink
from .state import BackendState, State
from .submission import Submission

TICK_BUDGET = 0.008
"""Seconds of Blender's main thread that one tick may take, unless a single step of an import takes longer."""

JOIN_TIMEOUT = 8.0

ImportTake = Callable[[Path], Iterator[None]]
OnProgress = Callable[[State], None]


class BusyError(AddonError):
    """Something was asked for that has to wait for what is going on."""

    code = "busy"


class GenerationFailedError(AddonError):
    """What `wait` waited for has failed. problem: why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message, problem.hint)
        self.problem = problem


@dataclass(frozen=True, eq=False)
class _Import:
    """A finished take that is being shown, one step at a time."""

    job_id: str
    steps: Iterator[None]


class Session:
    """The state, the socket thread if there is one, and the imports of finished takes.

    state: what the panel shows; others only read it. last_job: id of the job that was asked for last.
    """

    def __init__(self) -> None:
        self.state = State()
        self.last_job: str | None = None
        self._link: ServiceLink | None = None
        self._unfinished: tuple[PendingJob, ...] = ()  # what the last link left, for the next one
        self._import_take: dict[str, ImportTake] = {}
        self._imports: collections.deque[_Import] = collections.deque()

    @property
    def active(self) -> bool:
        """Whether `tick` has anything to do."""
        return self._link is not None or bool(self._imports)

    @property
    def backend_started(self) -> bool:
        """Whether there is a service, or one is on its way."""
        return self._link is not None

    def start_backend(self, launch: Launch, client_name: str) -> None:
        """Find a running service, or start one, and ask it for the jobs that are unfinished.

        Raises BusyError when there is one already.
        """
        if self._link is not None:
            raise BusyError("The backend is running already.")
        self.state.start_backend()
        self._link = ServiceLink(launch, client_name, self._unfinished)
        self._unfinished = ()
        self._link.start()

    def stop_backend(self) -> None:
        """End the service that this Blender started; its unfinished jobs are lost.

        A service that this Blender did not start is left, and goes on with the jobs: the next start asks for them.
        """
        if self._link is not None:
            self.state.backend = BackendState.STOPPING
            self._link.tell(StopService())

    def generate(self, submission: Submission, import_take: ImportTake) -> str:
        """Ask for a generation. Returns the job's id.

        import_take: function that shows a take, one step at each iteration. It gets the take's folder when all files
        are there. Raises BusyError when no backend was started.
        """
        if self._link is None or self.state.backend is BackendState.STOPPING:
            raise BusyError("The backend is not running.", "Start it.")
        job_id = new_id()
        self._import_take[job_id] = import_take
        self.last_job = job_id
        self.state.begin_job(job_id, submission.prompt)
        self._link.tell(SubmitJob(job_id, submission))
        return job_id

    def cancel(self, job_id: str | None = None) -> None:
        """Stop a job, or with None all jobs. The service needs one denoising step at most."""
        for known in [job_id] if job_id else list(self.state.jobs):
            if known not in self.state.jobs:
                continue
            if self._link is None:
                self._unfinished = tuple(job for job in self._unfinished if job.job_id != known)
                self._apply(Cancelled(job_id=known))
            else:
                self.state.jobs[known].cancelling = True
                self._link.tell(CancelJob(known))

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

    def wait(
        self, on_progress: OnProgress | None = None, timeout: float | None = None, job_id: str | None = None
    ) -> Path:
        """Tick until a job is done and its take is imported; for scripts, which have no timer.

        on_progress: called with the state after every change and at least about once a second. job_id: None for the
        job that was asked for last. Returns the take's folder.

        Raises GenerationFailedError when the job failed or was cancelled, and when the backend is gone; then the next
        start of the backend asks for the job again. Raises TimeoutError after `timeout` seconds.
        """
        job_id = job_id or self.last_job
        if job_id is None:
            raise GenerationFailedError(Problem("no_job", "No generation was asked for.", "Generate first."))
        deadline = None if timeout is None else time.monotonic() + timeout
        reported = 0.0
        while self._is_busy_with(job_id):
            changed = self.tick()
            if on_progress and (changed or time.monotonic() - reported > 1.0):
                reported = time.monotonic()
                on_progress(self.state)
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"The generation was not done after {timeout:g} seconds.")
            if not changed:
                time.sleep(0.02)
        return self._outcome(job_id)

    def wait_for_backend(self, timeout: float = 120.0) -> None:
        """Tick until the backend that was started or stopped is so.

        Raises GenerationFailedError when it cannot be, and TimeoutError after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while self.state.backend in (BackendState.STARTING, BackendState.STOPPING):
            if time.monotonic() > deadline:
                raise TimeoutError(f"The backend was not ready after {timeout:g} seconds.")
            if not self.tick():
                time.sleep(0.02)
        if self.state.backend_problem:
            raise GenerationFailedError(self.state.backend_problem)

    def close(self) -> None:
        """End or leave the service and wait for the thread; Blender is closing or the add-on is being disabled."""
        if self._link is not None:
            self._link.tell(StopService())
            self._link.join(JOIN_TIMEOUT)
        self.state = State()
        self.last_job, self._link, self._unfinished = None, None, ()
        self._import_take.clear()
        self._imports.clear()

    def _is_busy_with(self, job_id: str) -> bool:
        """Whether more ticks can bring the job on."""
        if any(item.job_id == job_id for item in self._imports):
            return True
        return job_id in self.state.jobs and self._link is not None

    def _outcome(self, job_id: str) -> Path:
        if job_id in self.state.failures:
            raise GenerationFailedError(self.state.failures[job_id])
        if job_id in self.state.takes:
            return self.state.takes[job_id]
        left = Problem("stopped", "The backend goes on with the generation.", "Start it to fetch the take.")
        raise GenerationFailedError(self.state.backend_problem or left)

    def _advance(self) -> bool:
        """One step of work. False when there is none."""
        if self._imports:
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
        match event:
            case BackendStopped(_, unfinished):
                self._link, self._unfinished = None, unfinished
            case TakeWritten(job_id, folder):
                self._imports.append(_Import(job_id, _lazily(self._import_take[job_id], folder)))
        self._import_take = {known: call for known, call in self._import_take.items() if known in self.state.jobs}

    def _import_step(self) -> None:
        """Go on with the oldest import. What is wrong with it ends it, and nothing else."""
        current = self._imports[0]
        try:
            next(current.steps)
            return
        except StopIteration:
            pass
        except (AddonError, ProtocolError) as error:
            self.state.fail_job(current.job_id, problem_of(error))
        except Exception as error:  # a mistake of ours: the artist must see it, and the timer has to go on
            traceback.print_exc()
            hint = "Its frames are on disk: import the take again."
            self.state.fail_job(current.job_id, Problem("internal", f"The take could not be shown: {error!r}.", hint))
        self._imports.popleft()


def _lazily(import_take: ImportTake, folder: Path) -> Iterator[None]:
    """The steps of an import. What `import_take` itself raises is raised by the first of them."""
    yield from import_take(folder)
