"""Records of takes: how they are made, and their cameras."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from protocol.models import ModelReference
from protocol.settings import SamplingSettings
from protocol.takes import TakeRecord, view_name

from ..cameras import Cameras


def make_record(
    cameras: Cameras,
    *,
    prompt: str,
    negative_prompt: str = "",
    settings: SamplingSettings,
    model: ModelReference,
    seconds: float,
    scale: float = 1.0,
    anchored: Sequence[str] = (),
    warnings: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> TakeRecord:
    """The record of a take that is not part of a Blender scene.

    anchored: names of the first views, which came from an earlier take. The others are as in `TakeRecord`.
    """
    new = range(len(anchored), cameras.views)
    return TakeRecord(
        software=software(),
        created=time.time(),
        seconds=seconds,
        prompt=prompt,
        negative_prompt=negative_prompt,
        settings=settings,
        model=model,
        view_names=(*anchored, *map(view_name, new)),
        width=cameras.width,
        height=cameras.height,
        c2w=cameras.c2w.tolist(),
        K=cameras.K.tolist(),
        scale=scale,
        anchored_views=len(anchored),
        warnings=tuple(warnings),
        options=dict(options or {}),
    )


def cameras_of(record: TakeRecord) -> Cameras:
    """A take's cameras. Raises CameraError or RequestError if they are wrong."""
    return Cameras(np.array(record.c2w), np.array(record.K), record.height, record.width)


def software() -> str:
    """The version of this program."""
    try:
        return version("collaborative-cameras")
    except PackageNotFoundError:
        return "not installed as a package"
