"""The cost of one U-Net call, compared with diffusers' AnimateDiff U-Net on the same batch."""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

import psutil
import torch
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from ..cameras.patterns import pattern_cameras
from ..conditioning.epipolar import EpipolarBias, EpipolarContext
from ..conditioning.plucker import plucker_maps
from ..errors import RequestError
from ..models.camera_encoder import CameraPoseEncoder
from ..models.unet import CollaborativeUNet
from ..weights.devices import usable_device

GUIDANCE_BRANCHES = 2
SCALE_FACTOR = 8
"""Number of pixels that a latent of the official model covers in each direction."""


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


UNCOUNTED = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
"""Operations that PyTorch's counter does not count: it counts attention on GPUs only."""


@dataclass(frozen=True)
class Cost:
    """The cost of one U-Net call.

    Attributes:
        seconds: time of every repeat.
        flops: number of floating point operations.
        peak_bytes: largest memory in use, without weights and inputs.
    """

    seconds: tuple[float, ...]
    flops: int
    peak_bytes: int

    @property
    def median_seconds(self) -> float:
        """Median over the repeats."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Comparison:
    """The costs of `CollaborativeUNet` and of `UNetMotionModel` on one batch. The calls alternate."""

    ours: Cost
    animatediff: Cost

    @property
    def time_ratio(self) -> float:
        """Median of the ratios of neighbouring calls. So slow changes of the machine's speed do not matter."""
        pairs = zip(self.ours.seconds, self.animatediff.seconds, strict=True)
        return statistics.median(ours / yardstick for ours, yardstick in pairs)


def compare(
    unet_config: dict[str, Any],
    views: int = 2,
    frames: int = 16,
    size: int = 256,
    repeats: int = 3,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    scale_factor: int = SCALE_FACTOR,
) -> Comparison:
    """Times calls of `CollaborativeUNet` and of `UNetMotionModel` in turns, with random weights.

    Args:
        unet_config: arguments of `CollaborativeUNet`; `UNetMotionModel` gets the same arguments.
        views, frames: number of views, and of frames of each view.
        size: width and height of the videos in pixels.
        repeats: number of timed calls of each network, after one call that is not timed.
        dtype, device: type and device of weights and inputs.
        scale_factor: number of pixels that a latent covers in each direction.

    Raises:
        RequestError: the network does not accept such a batch, or there is nothing to measure.
    """
    defaults = signature(CollaborativeUNet).parameters
    longest = unet_config.get("motion_max_seq_length", defaults["motion_max_seq_length"].default)
    most_frames = min(longest, signature(CameraPoseEncoder).parameters["max_frames"].default)
    if min(views, repeats) < 1 or not 1 <= frames <= most_frames:
        hint = f"Use at least one view and one repeat, and 1 to {most_frames} frames."
        raise RequestError(f"{views} views of {frames} frames, {repeats} times, cannot be measured.", hint)
    if size % scale_factor:
        raise RequestError(f"{size} pixels are not a multiple of {scale_factor}, as the model needs.")
    device = str(usable_device(device))
    torch.manual_seed(0)
    with torch.device(device):
        ours = CollaborativeUNet(**unet_config).to(dtype).eval().requires_grad_(False)
        plain = _animatediff_unet(ours).to(dtype).eval().requires_grad_(False)
        batch = GUIDANCE_BRANCHES * views
        sample = torch.randn(batch, ours.config.in_channels, frames, *[size // scale_factor] * 2, dtype=dtype)
        text = torch.randn(batch, 77, ours.config.cross_attention_dim, dtype=dtype)
        timestep = torch.tensor(500)
    features, context = _conditioning(ours, views, frames, size, scale_factor, dtype, device)

    def call_ours() -> None:
        ours(sample, timestep, text, features, context)

    def call_plain() -> None:
        plain(sample, timestep, text.repeat_interleave(frames, dim=0))

    calls = {"ours": call_ours, "animatediff": call_plain}
    with torch.inference_mode():
        peaks, flops = {}, {}
        for name, call in calls.items():
            with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
                peaks[name] = _peak_bytes(call, device)
            flops[name] = counter.get_total_flops()
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(repeats):
            for name, call in calls.items():
                seconds[name].append(_timed(call, device))
    return Comparison(**{name: Cost(tuple(seconds[name]), flops[name], peaks[name]) for name in calls})


def _animatediff_unet(ours: CollaborativeUNet) -> UNetMotionModel:
    own = {"cross_attention_levels", "without_baseline"}
    config = {name: value for name, value in ours.config.items() if name not in own and not name.startswith("_")}
    return UNetMotionModel(**config)


def _conditioning(
    unet: CollaborativeUNet, views: int, frames: int, size: int, scale_factor: int, dtype: torch.dtype, device: str
) -> tuple[list[torch.Tensor], EpipolarContext]:
    """Camera features and epipolar context. A generation computes them once, so they are outside the timed call."""
    cameras = pattern_cameras("circle", views, size, size, frames)
    encoder = CameraPoseEncoder(
        channels=tuple(unet.config.block_out_channels),
        num_attention_heads=unet.config.motion_num_attention_heads,
        downscale_factor=scale_factor,
    ).to(device=device, dtype=dtype)
    maps = plucker_maps(cameras, device).transpose(1, 2).to(dtype)
    partners = [(view + 1) % views for view in range(views)]
    bias = EpipolarBias(cameras, dtype, device, without_baseline=unet.config.without_baseline)
    with torch.inference_mode():
        return encoder(maps), EpipolarContext(bias, partners, 0.3)


def _timed(call: Callable[[], None], device: str) -> float:
    _synchronise(device)
    start = time.perf_counter()
    call()
    _synchronise(device)
    return time.perf_counter() - start


def _peak_bytes(call: Callable[[], None], device: str) -> int:
    """Largest memory during the call, less that before it: from the GPU's allocator, or from the process's memory."""
    gc.collect()
    if device.startswith("cuda"):
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    process, done = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        done.set()
        watcher.join()
    return peak - before


def _synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
