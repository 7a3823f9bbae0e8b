"""Messages of the add-on and their answers, without a service and without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

from blender_addon.protocol.messages import Done, MadeWith, ServiceMessage
from blender_addon.protocol.models import FrameRule, ModelInfo, ModelReference, SizeRule
from blender_addon.protocol.payloads import pack_view
from blender_addon.protocol.settings import SamplingSettings
from blender_addon.protocol.takes import SceneSpan
from blender_addon.protocol.wire import Bytes
from blender_addon.service.submission import CameraExport, Submission

VIEWS, FRAMES, SIZE = 2, 4, 64
TINY = ModelInfo(
    name="tiny",
    sizes=SizeRule(native=64, multiple=8),
    frames=FrameRule(at_once=16, most=16),
    defaults=SamplingSettings(num_inference_steps=4, guidance_scale=5.0),
    settings=("seed", "num_inference_steps", "guidance_scale", "scheduler", "multistep", "accumulate_step"),
)


def submission(output_folder: Path, frames: int = FRAMES, aspect: float = 1.0, **fields: Any) -> Submission:
    """Two cameras of a 1920 x 1080 render that move apart, with settings for a quick generation."""
    c2w = np.tile(np.eye(4), (VIEWS, frames, 1, 1))
    c2w[1, :, 0, 3] = np.linspace(0, 0.5, frames)
    K = np.tile(np.array([[1600.0, 0, 960], [0, 1600, 540], [0, 0, 1]]), (VIEWS, frames, 1, 1))
    asked: dict[str, Any] = {
        "scene": SceneSpan(name="Scene", frame_start=1, frame_end=48, aspect=aspect),
        "prompt": "a red cube",
        "negative_prompt": "",
        "model": "tiny",
        "settings": SamplingSettings(seed=3, num_inference_steps=1),
        "size": (SIZE, SIZE),
    }
    cameras = CameraExport(("A", "B"), c2w, K, 1920, 1080, aspect)
    return Submission(cameras=cameras, output_folder=output_folder, **(asked | fields))


def view_message(job_id: str, view: int, frames: int = FRAMES) -> tuple[ServiceMessage, list[Bytes]]:
    """One view of random pixels and random latents."""
    rng = np.random.default_rng(view)
    pixels = rng.integers(0, 256, (frames, SIZE, SIZE, 3), dtype=np.uint8)
    images = [iio.imwrite("<bytes>", image, extension=".png") for image in pixels]
    return pack_view(job_id, view, images, rng.normal(size=(4, frames, SIZE // 8, SIZE // 8)).astype(np.float32))


def done_message(job_id: str) -> Done:
    """The last message of a successful job."""
    made = MadeWith(
        settings=SamplingSettings(seed=3, num_inference_steps=1, guidance_scale=5.0),
        model=ModelReference(name="tiny", family="cvd", sha256="0" * 64),
        software="test",
        warnings=("It does not read this.",),
    )
    return Done(job_id=job_id, seconds=1.5, made=made)
