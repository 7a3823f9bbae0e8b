"""Pluecker maps: the input of the camera encoder."""

from __future__ import annotations

import numpy as np
import torch

from ..cameras.cameras import Cameras


def plucker_maps(cameras: Cameras, device: torch.device | str = "cpu") -> torch.Tensor:
    """Pluecker coordinates (o x d, d) of the ray through every pixel's centre (CameraCtrl, eq. 5).

    The rays of a view are in the coordinates of its first frame, as in CameraCtrl's training. In a window of a longer
    video, this is the window's first frame.

    Returns:
        maps (V, F, 6, H, W), float32: moment o x d in scene units, then the unit direction d.
    """
    c2w = cameras.relative_to_first_frame()
    y, x = (torch.arange(size, device=device) + 0.5 for size in (cameras.height, cameras.width))
    pixels = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(len(y), len(x), device=device)])
    to_world, origins = (
        torch.as_tensor(each, dtype=torch.float32, device=device)
        for each in (c2w[..., :3, :3] @ np.linalg.inv(cameras.K), c2w[..., :3, 3, None, None])
    )
    with torch.autocast(pixels.device.type, enabled=False):  # half precision has too few digits for pixels
        directions = torch.einsum("vfij,jhw->vfihw", to_world, pixels)
    directions /= directions.norm(dim=2, keepdim=True)
    return torch.cat([torch.linalg.cross(origins.expand_as(directions), directions, dim=2), directions], 2)
