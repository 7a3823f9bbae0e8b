"""Takes of random pixels, for the tests in Blender."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from blender.places import MODULE
from blender.scenes import random_take

FRAMES = 16
SIZE = 12


def write_take(
    folder: Path,
    names: list[str],
    start: int | None,
    end: int | None,
    seed: int = 0,
    size: tuple[int, int] = (SIZE, SIZE),
    **fields: Any,
) -> np.ndarray:
    """A take of random pixels, as the add-on writes one, or the command line if it has no range.

    size: (height, width). fields: what the record has in place of a still camera at the origin.
    Returns its frames (V, F, H, W, 3).
    """
    takes, messages, models, settings = (
        importlib.import_module(f"{MODULE}.protocol.{name}") for name in ("takes", "messages", "models", "settings")
    )
    images = random_take(folder, len(names), FRAMES, size[1], size[0], seed)
    cameras = {name: np.tile(np.eye(side), (len(names), FRAMES, 1, 1)) for name, side in (("c2w", 4), ("K", 3))}
    own = settings.SamplingSettings(num_inference_steps=1, guidance_scale=5.0)
    about = {
        "made": messages.MadeWith(
            settings=own, model=models.ModelReference(name="tiny", family="cvd", sha256=""), software="test"
        ),
        "created": 0.0,
        "seconds": 1.0,
        "job_id": None,
        "files": takes.take_files(folder),
        "scene": start and takes.SceneSpan(name="Scene", frame_start=start, frame_end=end, aspect=1.0),
    }
    request = messages.GenerateRequest(prompt="", view_names=tuple(names), width=size[1], height=size[0])
    takes.write_record(folder, takes.record_of(request, **(cameras | about | fields)))
    return images


def nearest(frame: int, start: int, end: int) -> int:
    """The frame that has to show, by looking at all of them."""
    times = np.linspace(start, end, FRAMES)
    return int(np.abs(times - frame).argmin())
