"""A take while its files arrive. A folder without take.json is not whole."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..protocol.files import write_whole
from ..protocol.messages import Done, GenerateRequest, ViewFrames
from ..protocol.payloads import unpack_view
from ..protocol.takes import SceneSpan, frame_path, latents_path, record_of, take_files, write_record
from ..protocol.wire import Bytes


@dataclass(frozen=True, eq=False)
class UnfinishedTake:
    """What a take is made from, and the folder that its files go to.

    c2w: (V, F, 4, 4), OpenCV axes, scene units. K: (V, F, 3, 3) in pixels of the request's size. Both are as sent.
    scene: the scene and the scene frames that the F frames are spread over. shown: as in `TakeRecord`.
    """

    folder: Path
    request: GenerateRequest
    c2w: np.ndarray
    K: np.ndarray
    scene: SceneSpan
    shown: tuple[float, float] | None = None

    def save_view(self, message: ViewFrames, buffers: Sequence[Bytes]) -> None:
        """Write the frames and the latents of one view.

        Raises OSError, and MalformedMessageError when the buffers are not those of a view.
        """
        images, latents = unpack_view(message, buffers)
        for frame, image in enumerate(images):
            write_whole(frame_path(self.folder, message.view, frame), bytes(image))
        content = io.BytesIO()
        np.save(content, latents, allow_pickle=False)
        write_whole(latents_path(self.folder, message.view), content.getvalue())

    def finish(self, done: Done) -> None:
        """Write the take's record: all views are there. Raises OSError."""
        record = record_of(
            self.request,
            self.c2w,
            self.K,
            made=done.made,
            created=time.time(),
            seconds=done.seconds,
            job_id=done.job_id,
            files=take_files(self.folder),
            scene=self.scene,
            shown=self.shown,
        )
        write_record(self.folder, record)
