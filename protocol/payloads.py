"""What the buffers of a message mean: the cameras behind `Submit`, frames and latents behind `ViewFrames`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import MalformedMessageError
from .messages import MAX_FRAMES, GenerateRequest, JobPreview, Submit, ViewFrames, new_id, shortened
from .wire import Bytes, describe_array, describe_png, read_array


def pack_submit(
    request: GenerateRequest, c2w: np.ndarray, K: np.ndarray, job_id: str | None = None
) -> tuple[Submit, list[Bytes]]:
    """A `Submit` and its buffers.

    c2w: (V, F, 4, 4) camera-to-world, OpenCV axes. K: (V, F, 3, 3) in pixels. V is the number of `view_names`.
    job_id: the job's id, for a submission that is sent again; None for a new one.
    Raises MalformedMessageError when the shapes do not fit each other or the request.
    """
    descriptions, buffers = zip(*(describe_array(np.asarray(a, np.float64)) for a in (c2w, K)), strict=True)
    message = Submit(job_id=job_id or new_id(), request=request, buffers=descriptions)
    _check_cameras(message)
    return message, list(buffers)


def unpack_cameras(message: Submit, buffers: Sequence[Bytes]) -> tuple[np.ndarray, np.ndarray]:
    """(c2w, K) of a `Submit`, as `pack_submit` took them. Raises MalformedMessageError when the shapes differ."""
    _check_cameras(message)
    return read_array(message.buffers[0], buffers[0]), read_array(message.buffers[1], buffers[1])


def pack_view(
    job_id: str, view: int, images: Sequence[Bytes], latents: np.ndarray, reply_to: str | None = None
) -> tuple[ViewFrames, list[Bytes]]:
    """A `ViewFrames` and its buffers.

    images: the PNG files of the view's frames, in order. latents: (C, F, h, w) float32.
    """
    described = [*map(describe_png, images), describe_array(np.asarray(latents, np.float32))]
    message = ViewFrames(
        job_id=job_id, view=view, reply_to=reply_to, buffers=tuple(description for description, _ in described)
    )
    return message, [data for _, data in described]


def pack_preview(job_id: str, step: int, of: int, images: Sequence[Bytes]) -> tuple[JobPreview, list[Bytes]]:
    """A `JobPreview` and its buffers. images: a PNG file for each view."""
    descriptions, buffers = zip(*map(describe_png, images), strict=True)
    return JobPreview(job_id=job_id, step=step, of=of, buffers=descriptions), list(buffers)


def unpack_view(message: ViewFrames, buffers: Sequence[Bytes]) -> tuple[list[Bytes], np.ndarray]:
    """(images, latents) of a `ViewFrames`, as `pack_view` took them.

    Raises MalformedMessageError for other buffers, such as latents of another shape.
    """
    *images, latents = message.buffers or (None,)
    if not images or latents is None or any(image.encoding != "png" for image in images if image is not None):
        raise MalformedMessageError("A view must come as one PNG file for every frame, and its latents.")
    array = read_array(latents, buffers[-1])
    if array.ndim != 4 or array.dtype != np.float32:
        raise MalformedMessageError(f"A view's latents came as {array.dtype} of shape {array.shape}, not (C, F, h, w).")
    return list(buffers[:-1]), array


def _check_cameras(message: Submit) -> None:
    """Raise MalformedMessageError unless the buffers are c2w (V, F, 4, 4) and K (V, F, 3, 3), float64."""
    found = [(buffer.encoding, buffer.dtype, buffer.shape) for buffer in message.buffers]
    views = len(message.request.view_names)
    frames = found[0][2][1] if found and len(found[0][2]) == 4 else 0
    expected = [("raw", "float64", (views, frames, n, n)) for n in (4, 3)]
    if found != expected or not 1 <= frames <= MAX_FRAMES:
        raise MalformedMessageError(
            f"The cameras of {views} views must come as c2w ({views}, F, 4, 4) and K ({views}, F, 3, 3), raw float64, "
            f"with 1 to {MAX_FRAMES} frames; they came as {shortened(str(found), 200)}.",
            "Send one camera-to-world matrix and one K per view and frame.",
        )
