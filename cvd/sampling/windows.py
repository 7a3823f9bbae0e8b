"""Videos longer than the model makes at once: overlapping windows of frames, denoised together."""

from __future__ import annotations

import torch


def window_starts(frames: int, length: int) -> list[int]:
    """First frames of windows of `length` frames that cover `frames` frames and overlap by half, the last one by more.

    A video that fits into one window has one, of its own length.
    """
    if frames <= length:
        return [0]
    stride = max(length // 2, 1)
    return [*range(0, frames - length, stride), frames - length]


def blend_weights(length: int) -> torch.Tensor:
    """(length,) weights of a window's frames where it overlaps another: highest in its middle, never zero."""
    ramp = torch.arange(1, length + 1, dtype=torch.float32)
    return torch.minimum(ramp, ramp.flip(0))


def shared_noise(noise: torch.Tensor, length: int, generator: torch.Generator) -> torch.Tensor:
    """Noise of a long video whose windows start from the same noise, in other orders (FreeNoise, section 3.2).

    Args:
        noise: (V, C, F, h, w), of which the first `length` frames are kept and used again.

    Returns:
        (V, C, F, h, w), where each half window after the first window is a shuffle of the frames a window before.
    """
    frames, half = noise.shape[2], max(length // 2, 1)
    shared = noise.clone()
    for start in range(length, frames, half):
        stop = min(start + half, frames)
        order = torch.randperm(half, generator=generator)[: stop - start] + start - length
        shared[:, :, start:stop] = shared[:, :, order]
    return shared
