"""An executor without a process and without a model, which runs two jobs at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import imageio.v3 as iio
import numpy as np

from backend.executors import State
from backend.executors.events import Ended, Progressed, Ready, Received, RunJob, ViewFinished
from protocol.messages import ErrorInfo, MadeWith
from protocol.models import FrameRule, ModelInfo, ModelReference, SizeRule
from protocol.settings import SamplingSettings
from protocol.wire import Bytes, describe_array

STEP_SECONDS = 0.01
INFO = ModelInfo(
    name="tiny",
    sizes=SizeRule(native=64, multiple=8),
    frames=FrameRule(at_once=16, most=128),
    defaults=SamplingSettings(num_inference_steps=3),
    settings=("seed", "num_inference_steps"),
)
MADE = MadeWith(
    settings=SamplingSettings(num_inference_steps=3),
    model=ModelReference(name="tiny", family="fake", sha256="0" * 64),
    software="0",
)


class FakeExecutor:
    """Makes views of one colour, which depends on the seed and the view's number."""

    capacity = 2

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._cancelled: set[str] = set()
        self._stopped = False

    @property
    def state(self) -> State:
        return "busy" if self._running else "idle"

    async def start(self) -> Ready:
        return Ready(device="cpu", models=(INFO,))

    async def run(self, job: RunJob, buffers: list[Bytes]) -> AsyncGenerator[Received, None]:
        job_id, request = job.job_id, job.request
        if request.model != INFO.name:
            error = ErrorInfo(code="request", message="There is no such model.", hint="Use another.")
            yield Ended(job_id=job_id, state="failed", error=error), []
            return
        self._running.add(job_id)
        try:
            steps = request.settings.num_inference_steps or 3
            for step in range(1, steps + 1):
                await asyncio.sleep(STEP_SECONDS)
                if self._stopped or job_id in self._cancelled:
                    yield Ended(job_id=job_id, state="cancelled"), []
                    return
                yield Progressed(job_id=job_id, stage="denoising", step=step, of=steps), []
            frames = job.cameras[0].shape[1]
            for view in range(len(request.view_names)):
                images, latents = self.view(request.settings.seed, view, frames, request.width, request.height)
                described, data = describe_array(latents)
                yield ViewFinished(job_id=job_id, view=view, latents=described), [*images, data]
            yield Ended(job_id=job_id, state="done", made=MADE), []
        finally:
            self._running.discard(job_id)

    def cancel(self, job_id: str) -> None:
        self._cancelled.add(job_id)

    async def stop(self) -> None:
        self._stopped = True

    @staticmethod
    def view(seed: int, view: int, frames: int, width: int, height: int) -> tuple[list[bytes], np.ndarray]:
        """The PNG files and the latents of a view."""
        colour = (seed % 256, view, 0)
        image = iio.imwrite("<bytes>", np.full((height, width, 3), colour, np.uint8), extension=".png")
        return [image] * frames, np.full((4, frames, height // 8, width // 8), view, np.float32)
