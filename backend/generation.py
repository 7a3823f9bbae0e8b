"""One generation, from a job to finished images. No other module of the service uses the model.

Its import takes seconds, because PyTorch's does. `worker` imports it when its pipes are ready.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import imageio.v3 as iio
import msgspec
import numpy as np
import torch

from cvd import Cameras
from cvd.errors import CVDError
from cvd.family import VideoModel
from cvd.request import Hooks, Request, Step
from cvd.sampling.state import load_state
from cvd.takes.export import to_uint8
from cvd.weights.registry import InstalledModel, Registry
from protocol.errors import ProtocolError
from protocol.messages import ErrorInfo, MadeWith, Stage, error_info
from protocol.wire import Bytes, describe_array, read_array

from . import __version__
from .executors.events import Previewed, Progressed, RunJob, Saved, ViewFinished, Warned
from .progress import Stopwatch

log = logging.getLogger(__name__)

PREVIEW_SECONDS = 1.0
"""Least time between two previews of a job: they cost milliseconds."""

Report = Callable[[Stage, int, int], None]


class Send(Protocol):
    """Takes an event of a job, with its buffers. What it raises ends the job."""

    def __call__(self, event: msgspec.Struct, buffers: Sequence[Bytes] = ()) -> None: ...


class Generator:
    """Runs jobs with one model, which stays loaded until a job asks for another.

    The first job that asks for a model loads it. Only a job says which one, and an idle service holds no GPU memory.
    """

    def __init__(self, registry: Registry, device: str, save_seconds: float) -> None:
        """registry: knows the installed models. device: "cpu" or "cuda".

        save_seconds: the least time between two saved states of a job.
        """
        self._registry, self._device, self._save_seconds = registry, device, save_seconds
        self._model: VideoModel | None = None
        self._loaded: InstalledModel | None = None
        self._stopwatch = Stopwatch()

    def run(self, job: RunJob, buffers: Sequence[Bytes], send: Send) -> MadeWith:
        """Run one job, and return what it used beyond its request.

        buffers: as `RunJob` describes them. send: takes the job's events, all but `Ended`.
        Raises what `describe_failure` describes.
        """
        installed = self._registry.find(job.request.model)
        request = _request_of(job, buffers)
        request.check(installed.info)

        def report(stage: Stage, step: int, of: int) -> None:
            left = self._stopwatch.step(stage, step, of, time.monotonic())
            send(Progressed(job_id=job.job_id, stage=stage, step=step, of=of, seconds_left=left))

        cameras = request.cameras
        kind = (installed.name, cameras.width, cameras.height)
        self._stopwatch.start(kind, cameras.views * cameras.frames, time.monotonic())
        model = self._load(installed, report)
        told: list[str] = []

        def warn(warning: str) -> None:
            told.append(warning)
            send(Warned(job_id=job.job_id, warning=warning))

        state_file = Path(job.state_file)
        save = Saver(state_file, self._save_seconds, lambda: send(Saved(job_id=job.job_id)))
        show = Previewer(model, job.job_id, send)

        def on_step(step: Step) -> None:
            save(step)
            show(step)

        hooks = Hooks(
            on_progress=lambda progress: report(progress.stage, progress.step, progress.of),
            on_step=on_step,
            on_warning=warn,
        )
        output = model.generate(request, hooks, load_state(state_file) if state_file.exists() else None)
        for view, (video, latents) in enumerate(zip(to_uint8(output.videos), output.latents, strict=True)):
            report("saving", view, cameras.views)
            described, data = describe_array(latents)
            images = [encode_png(image) for image in video]
            send(ViewFinished(job_id=job.job_id, view=view, latents=described), [*images, data])
        return MadeWith(
            settings=request.resolved(installed.info),
            model=self._registry.reference(installed),
            software=__version__,
            warnings=tuple(told),
        )

    def _load(self, installed: InstalledModel, report: Report) -> VideoModel:
        """The loaded model. The model that was loaded before is dropped first, because memory may not hold both."""
        if self._model is not None and installed == self._loaded:
            return self._model
        report("loading", 0, 1)
        self._model = None
        self._model, self._loaded = self._registry.load(installed, self._device), installed
        report("loading", 1, 1)
        return self._model


class Saver:
    """Saves the sampler's state after a step, unless it was saved a short time ago."""

    def __init__(self, path: Path, seconds: float, on_saved: Callable[[], None]) -> None:
        """seconds: the least time between two saved states, and before the first. on_saved: called after each."""
        self._path, self._seconds, self._on_saved = path, seconds, on_saved
        self._last = time.monotonic()

    def __call__(self, step: Step) -> None:
        """A step is over. When the disk refuses the state, the log says so: the run can do without."""
        if time.monotonic() - self._last < self._seconds:
            return
        try:
            step.state.save(self._path)
        except OSError as error:
            log.warning("The sampler's state could not be saved: %s", error)
        else:
            self._on_saved()
        self._last = time.monotonic()


class Previewer:
    """Sends small pictures of what a step predicts, unless some were sent a short time ago."""

    def __init__(self, model: VideoModel, job_id: str, send: Send) -> None:
        self._model, self._job_id, self._send = model, job_id, send
        self._last = 0.0

    def __call__(self, step: Step) -> None:
        """A step is over."""
        if time.monotonic() - self._last < PREVIEW_SECONDS:
            return
        self._last = time.monotonic()
        pictures = self._model.preview(step.clean())
        if pictures is not None:
            event = Previewed(job_id=self._job_id, step=step.state.index, of=step.of)
            self._send(event, [encode_png(picture) for picture in pictures])


def _request_of(job: RunJob, buffers: Sequence[Bytes]) -> Request:
    """The job's request, as the library takes it. Raises CameraError."""
    asked = job.request
    c2w, K = (read_array(description, data) for description, data in zip(job.cameras, buffers, strict=True))
    cameras = Cameras(c2w, K, height=asked.height, width=asked.width)
    return Request(asked.prompt, cameras, negative_prompt=asked.negative_prompt, settings=asked.settings)


def encode_png(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 sRGB as a PNG file. Equal images give equal bytes."""
    return iio.imwrite("<bytes>", image, extension=".png")


def describe_failure(error: Exception) -> ErrorInfo:
    """What went wrong, for the user. Errors that were made for users keep their own words."""
    if isinstance(error, CVDError | ProtocolError):
        return error_info(error.code, error.message, error.hint)
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return ErrorInfo(
            code="out_of_memory",
            message="The memory is not enough for this generation.",
            hint="Use a smaller size, fewer frames or fewer cameras, or close other programs that use the GPU.",
        )
    return error_info(
        "internal",
        f"An unexpected error ended the job: {type(error).__name__}: {error}",
        "The service's log has the details.",
    )
