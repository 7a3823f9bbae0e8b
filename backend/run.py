"""One job from its start to its end. Its results are kept, and it runs again when its worker has died."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from protocol.messages import ErrorInfo, JobInfo, Message, error_info
from protocol.payloads import pack_preview, pack_view
from protocol.wire import Bytes

from .executors import Executor
from .executors.events import Ended, Lost, Previewed, Progressed, Received, Saved, ViewFinished, Warned
from .store import Store, StoreError
from .translation import progress_message, run_job, view_parts

log = logging.getLogger(__name__)

Tell = Callable[[Message, Sequence[Bytes]], Awaitable[None]]


class Run:
    """Carries out one job.

    When its worker dies, the job runs again and goes on from the state that was saved last. The job fails when its
    worker dies twice without a saved step between.
    """

    def __init__(self, job: JobInfo, executor: Executor, store: Store, tell: Tell) -> None:
        """tell: sends a message to all who listen to the job."""
        self._job, self._executor, self._store, self._tell = job, executor, store, tell
        self._cancelled = False
        self._trouble: StoreError | None = None
        self._told: set[int | str] = set()  # numbers of views, and warnings: a second run makes them again
        self._deaths = 0  # since the last saved state

    def cancel(self) -> None:
        """Stop the job. It ends as cancelled, unless it ends first."""
        self._cancelled = True
        self._executor.cancel(self._job.job_id)

    async def carry_out(self) -> JobInfo:
        """Run the job, and return it as it ended. The disk has it, too, unless the disk is the reason of a failure."""
        try:
            self._store.update(self._job)
            job = self._over(await self._run_to_its_end())
            if job.state == "done":
                self._store.add_take(job)
            self._store.update(job)
        except StoreError as error:
            job = self._over(Ended(job_id=self._job.job_id, state="failed", error=error.info()))
            keep_end(self._store, job)
        except Exception as error:  # what nobody thought of ends this job, and neither the service nor other jobs
            log.exception("Job %s failed", self._job.job_id)
            job = self._over(Ended(job_id=self._job.job_id, state="failed", error=internal_error(error)))
            keep_end(self._store, job)
        return job

    def _over(self, ended: Ended) -> JobInfo:
        return msgspec.structs.replace(
            self._job, state=ended.state, finished=time.time(), made=ended.made, error=ended.error
        )

    async def _run_to_its_end(self) -> Ended:
        """Run the job, and run it again after a loss. Raises StoreError when the disk does not keep its results."""
        job_id = self._job.job_id
        command, buffers = run_job(
            self._job, *self._store.cameras(job_id), state_file=str(self._store.state_file(job_id))
        )
        while not self._cancelled:
            async with contextlib.aclosing(self._executor.run(command, buffers)) as events:
                async for received in events:
                    await self._follow(received)
            last = received[0]
            if self._trouble is not None:
                raise self._trouble
            if isinstance(last, Ended):
                return last
            assert isinstance(last, Lost), "the last event of a run"
            self._deaths += 1
            if self._deaths > 1:
                return Ended(job_id=job_id, state="failed", error=last.error)
            log.warning("Job %s runs again, from its saved state if there is one", job_id)
        return Ended(job_id=job_id, state="cancelled")

    async def _follow(self, received: Received) -> None:
        event, buffers = received
        match event:
            case Progressed():
                await self._tell(progress_message(event), ())
            case Warned():
                if event.warning not in self._told:
                    self._told.add(event.warning)
                    await self._tell(progress_message(event), ())
            case Previewed():
                await self._tell(*pack_preview(event.job_id, event.step, event.of, buffers))
            case Saved():
                self._deaths = 0
            case ViewFinished():
                if event.view not in self._told:
                    self._told.add(event.view)
                    await self._keep(event, buffers)

    async def _keep(self, event: ViewFinished, buffers: Sequence[Bytes]) -> None:
        """Send a view, and then keep it. When the disk is full, clients still get the view, and the job ends."""
        images, latents = view_parts(event, buffers)
        await self._tell(*pack_view(event.job_id, event.view, images, latents))
        try:
            self._store.add_view(event.job_id, event.view, images, latents)
        except StoreError as error:
            self._trouble = error
            self._executor.cancel(event.job_id)


def internal_error(error: Exception) -> ErrorInfo:
    """What clients hear of a mistake of ours."""
    return error_info(
        "internal", f"The service made a mistake: {type(error).__name__}.", "Its log has the details: please report it."
    )


def keep_end(store: Store, job: JobInfo) -> None:
    """Keep a job's end. When the disk refuses it, the log says so: the job is over in any case."""
    try:
        store.update(job)
    except StoreError as error:
        log.error("%s", error)
