"""One generation, from a submitted job to finished images: the only module of the service that touches the model.

It takes seconds to import, because PyTorch does; `worker` imports it when its pipes are in order.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import imageio.v3 as iio
import numpy as np
import torch

from cvd import Cameras, CollaborativeVideoPipeline
from cvd.errors import CheckpointError, CVDError, PromptWarning
from cvd.request import check_request
from cvd.takes.export import to_uint8
from cvd.weights.model_info import available_models
from protocol.errors import ProtocolError
from protocol.messages import ErrorInfo, Message, ModelInfo, Progress, Submit
from protocol.payloads import pack_frames, unpack_cameras
from protocol.wire import Bytes

from .progress import Stopwatch

log = logging.getLogger(__name__)

Send = Callable[[Message, Sequence[Bytes]], None]
Report = Callable[[Any, int, int], None]


class Generator:
    """Runs jobs with one model, which stays loaded until a job asks for another.

    The model is loaded by the first job that wants it: only that job says which, and an idle service should hold no GPU
    memory.
    """

    def __init__(self, device: str) -> None:
        """device: "cpu" or "cuda"."""
        self.device = device
        self._pipeline: CollaborativeVideoPipeline | None = None
        self._loaded = ""
        self._stopwatch = Stopwatch()

    def run(self, submit: Submit, buffers: list[Bytes], send: Send) -> None:
        """Run one job.

        send: takes its `Progress` and `Frames`; what it raises ends the job.
        Raises what `describe_failure` describes.
        """
        request, job_id = submit.request, submit.job_id

        def report(stage: Any, step: int, of: int) -> None:
            left = self._stopwatch.step(stage, step, of, time.monotonic())
            send(Progress(job_id=job_id, stage=stage, step=step, of=of, seconds_left=left), ())

        c2w, K = unpack_cameras(submit, buffers)
        cameras = Cameras(c2w, K, request.height, request.width)
        settings: dict[str, Any] = {
            "num_inference_steps": request.num_inference_steps,
            "guidance_scale": request.guidance_scale,
            "multistep": request.multistep,
            "accumulate_step": request.accumulate_step,
            "seed": request.seed,
        }
        check_request(cameras, **settings)
        kind = (request.model, request.width, request.height)
        self._stopwatch.start(kind, c2w.shape[0] * c2w.shape[1], time.monotonic())
        pipeline = self._load(request.model, report)

        def warn(message: str) -> None:
            send(Progress(job_id=job_id, stage="encoding", step=0, of=1, warning=message), ())

        with _prompt_warnings(warn):
            output = pipeline(
                request.prompt,
                cameras,
                negative_prompt=request.negative_prompt,
                on_step=lambda progress: report(progress.stage, progress.step, progress.of),
                **settings,
            )
        videos = to_uint8(output.videos)
        for view, video in enumerate(videos):
            report("saving", view, len(videos))
            send(*pack_frames(job_id, view, [encode_png(image) for image in video]))

    def _load(self, model: str, report: Report) -> CollaborativeVideoPipeline:
        """The pipeline of `model`. The one loaded before goes first, so that both need not fit in memory."""
        if self._pipeline is not None and model == self._loaded:
            return self._pipeline
        report("loading", 0, 1)
        self._pipeline = None
        dtype = torch.float16 if self.device == "cuda" else torch.float32
        self._pipeline = CollaborativeVideoPipeline.from_pretrained(model, device=self.device, dtype=dtype)
        self._loaded = model
        report("loading", 1, 1)
        return self._pipeline


@contextmanager
def _prompt_warnings(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell of what the model does not read of a prompt, to the user, who does not see this process's output."""
    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("always", PromptWarning)

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, PromptWarning):
                tell(str(message))
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def encode_png(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 sRGB as a PNG file. Equal images give equal bytes."""
    return iio.imwrite("<bytes>", image, extension=".png")


def describe_failure(error: Exception) -> ErrorInfo:
    """What went wrong, for the user. Errors that were made for users speak for themselves."""
    if isinstance(error, CVDError | ProtocolError):
        return ErrorInfo(code=error.code, message=error.message, hint=error.hint)
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return ErrorInfo(
            code="out_of_memory",
            message="The memory is not enough for this generation.",
            hint="Use a smaller size, fewer frames or fewer cameras, or close other programs that use the GPU.",
        )
    return ErrorInfo(
        code="internal",
        message=f"An unexpected error ended the job: {type(error).__name__}: {error}"[:2000],
        hint="The service's log has the details.",
    )


def installed_models() -> tuple[ModelInfo, ...]:
    """The models that can be asked for by name. When they are missing the log says so; jobs may still name a folder."""
    try:
        found = available_models()
    except CheckpointError as error:
        log.warning("No model is installed: %s", error)
        return ()
    return tuple(
        ModelInfo(
            name=info.name,
            native_size=info.native_size,
            size_multiple=info.size_multiple,
            max_frames=info.max_frames,
            num_inference_steps=info.num_inference_steps,
            guidance_scale=info.guidance_scale,
        )
        for info in found
    )
