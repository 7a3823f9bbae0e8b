"""Windows of frames that overlap, for videos that are too long for one U-Net call."""

from __future__ import annotations

import torch


def window_starts(frames: int, length: int) -> list[int]:
    """First frames of the windows of `length` frames that cover `frames` frames.

    Windows overlap by half, the last one by more. A video that fits into one window has one of its own length.
    """
    if frames <= length:
        return [0]
    stride = max(length // 2, 1)
    return [*range(0, frames - length, stride), frames - length]


def blend_weights(length: int) -> torch.Tensor:
    """Weights (length,) of a window's frames in an overlap: largest in the middle, never zero."""
    ramp = torch.arange(1, length + 1, dtype=torch.float32)
    return torch.minimum(ramp, ramp.flip(0))


def shared_noise(noise: torch.Tensor, length: int, generator: torch.Generator) -> torch.Tensor:
    """Noise of a long video. All windows have the same noise in other orders (FreeNoise, section 3.2).

    Args:
        noise: noise (V, C, F, h, w). Its first `length` frames are kept and used again.

    Returns:
        noise (V, C, F, h, w). After the first window, each half window is a shuffle of the frames one window before.
    """
    frames, half = noise.shape[2], max(length // 2, 1)
    shared = noise.clone()
    for start in range(length, frames, half):
        stop = min(start + half, frames)
        order = torch.randperm(half, generator=generator)[: stop - start] + start - length
        shared[:, :, start:stop] = shared[:, :, order]
    return shared
