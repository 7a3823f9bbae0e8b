"""Epipolar geometry between two views, and the attention bias that follows from it (CVD, section 4.2).

The bias favours the pixels of another view that may show the same scene point. They are near the epipolar line. The
bias depends only on the cameras, so it is computed once for every ordered pair of views and resolution. Attention
heads, layers, guidance branches and denoising steps share it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ..cameras.cameras import Cameras
from ..memory import BIAS_BUDGET

Array = NDArray[np.float64]
Slope = float | Literal["horizontal"]
WithoutBaseline = Literal["line", "point"]
"""What a pixel attends to if two cameras have no baseline: a pseudo-line through its counterpart, or only the
counterpart. The official weights were trained with "line"."""

CROSSING_SLOPES: tuple[Slope, Slope] = (0.0, 0.5)
"""Slopes of two lines that cross in a point."""

DEGENERATE_BASELINE = 1e-4
"""Share of the cameras' largest distance. Baselines below it count as zero: their epipolar lines are not reliable."""

SMALLEST_EXTENT = 0.1
"""Smallest extent of the cameras in scene units. Closer cameras are spread to it. The official formula adds 1e-6 to the
length of a line's normal, which shrinks with the baseline. So biases would change in small scenes."""


def fundamental_matrices(c2w_query: Array, K_query: Array, c2w_key: Array, K_key: Array) -> Array:
    """F with y^T F x = 0 for projections x, y of one point into the query's and the key's camera.

    F = K_key^-T [t]_x R K_query^-1, where (R, t) maps the query camera's coordinates to the key camera's.

    Args:
        c2w_query, c2w_key: poses (..., 4, 4). K_query, K_key: intrinsics (..., 3, 3) in pixels.

    Returns:
        F (..., 3, 3); zero if the two centres coincide.
    """
    relative = np.linalg.inv(c2w_key) @ c2w_query
    rotation, t = relative[..., :3, :3], relative[..., :3, 3]
    cross = np.zeros_like(rotation)
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -t[..., 2], t[..., 1], -t[..., 0]
    cross -= np.swapaxes(cross, -1, -2)
    return np.swapaxes(np.linalg.inv(K_key), -1, -2) @ cross @ rotation @ np.linalg.inv(K_query)


def pixel_grid(height: int, width: int, rows: int, columns: int) -> Array:
    """Homogeneous full-image coordinates of a feature map's pixels, row by row: (rows * columns, 3).

    Pixels are integer-centred, as in the training of the official weights: the first pixel of the full image is at 0.
    All other code of this package puts it at 0.5.
    """
    sy, sx = height / rows, width / columns
    y, x = np.meshgrid(sy * np.arange(rows) + (sy - 1) / 2, sx * np.arange(columns) + (sx - 1) / 2, indexing="ij")
    return np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)


def epipolar_lines(fundamental: Array, pixels: Array) -> Array:
    """Lines l = F x in the key's image: from fundamental (F, 3, 3) and pixels (L, 3) to (F, L, 3)."""
    return np.einsum("fij,lj->fli", fundamental, pixels)


def pseudo_lines(pixels: Array, homography: Array, slope: Slope, height: int, width: int) -> Array:
    """Lines for frames without a baseline. All points of a ray are then at one pixel, and F gives no line.

    The lines go through this pixel, K_key R K_query^-1 x, at one random angle for all pixels. The weights were trained
    with such lines (CVD, section 4.3). A pixel that the other camera does not see has no counterpart. Its line is zero,
    so it attends to all pixels.

    Args:
        pixels: pixels (L, 3). homography: (F, 3, 3) from the query's pixels to the key's.
        slope: angle of the lines' normal as a fraction of pi, or "horizontal".
        height, width: size of the key's image.

    Returns:
        lines (F, L, 3)
    """
    mapped = np.einsum("fij,lj->fli", homography, pixels)
    in_front = mapped[..., 2] > 0
    x, y = np.moveaxis(mapped[..., :2] / np.where(in_front, mapped[..., 2], 1)[..., None], -1, 0)
    a, b = (0.0, -1.0) if slope == "horizontal" else (np.cos(slope * np.pi), np.sin(slope * np.pi))
    lines = np.stack([np.full_like(x, a), np.full_like(x, b), -a * x - b * y], -1)
    seen = in_front & (np.abs(x + 0.5 - width / 2) <= width / 2) & (np.abs(y + 0.5 - height / 2) <= height / 2)
    return np.where(seen[..., None], lines, 0.0)


def bias_from_lines(lines: torch.Tensor, pixels: torch.Tensor, height: int) -> torch.Tensor:
    """Additive attention bias from the distance of every key pixel to every query pixel's line.

    d(x, y) = |y . l_x| / (|(l_x1, l_x2)| + 1e-6)
    band    = 3 / (H // 2) * max over all x, y of d
    bias    = -max(d - band, 0) * 3 / (band + 1e-6)

    Args:
        lines: lines (F, L, 3) of the query pixels. pixels: key pixels (L, 3). height: H of the full image.

    Returns:
        bias (F, L, L), query by key, at most 0.
    """
    norm = lines[..., :2].norm(dim=-1, keepdim=True) + 1e-6
    with torch.autocast(lines.device.type, enabled=False):  # half precision has too few digits for pixels
        distance = (lines / norm @ pixels.T).abs_()
    band = 3 / (height // 2) * distance.amax((-1, -2), keepdim=True)
    bias = distance.sub_(band).clamp_(min=0).mul_(-3 / (band + 1e-6))
    return bias.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)


def bias_without_baseline(
    pixels: Array,
    homography: Array,
    slope: Slope,
    without_baseline: WithoutBaseline,
    height: int,
    width: int,
    device: torch.device | str,
) -> torch.Tensor:
    """The bias of `pseudo_lines` with one slope, or of two lines that cross in the counterpart.

    Arguments are as in `pseudo_lines`.

    Returns:
        bias (F, L, L), query by key, at most 0.
    """
    slopes = (slope,) if without_baseline == "line" else CROSSING_SLOPES
    keys = torch.as_tensor(pixels, dtype=torch.float32, device=device)
    lines = [pseudo_lines(pixels, homography, each, height, width) for each in slopes]
    biases = [
        bias_from_lines(torch.as_tensor(each, dtype=torch.float32, device=device), keys, height) for each in lines
    ]
    return torch.stack(biases).sum(0)


class PairBias(Protocol):
    """Source of the attention bias between two views: cameras (`EpipolarBias`) or, in training, homographies."""

    def pair(
        self, query: int, key: int, rows: int, columns: int, slope: Slope, in_use: frozenset[tuple[int, int]]
    ) -> torch.Tensor:
        """Bias (F, L, L) between the pixels of two views on a feature map of rows x columns.

        in_use: pairs (query, key) of the current U-Net call. Its layers use them many times.
        """


class EpipolarBias:
    """Attention biases between the views of one set of cameras. They are computed at their first use, and kept.

    Frames without a baseline have pseudo-lines with a new slope in every U-Net call. Only these frames are then
    computed again, in place. If `without_baseline` is "point", nothing is computed again.

    Args:
        cameras: cameras of V views and F frames.
        dtype, device: dtype and device of the U-Net's activations, and of the biases.
        budget: bytes of biases to keep. The least recently used pair is removed first. Pairs in use are kept.
        without_baseline: what a pixel attends to without a baseline, as in training.
    """

    def __init__(
        self,
        cameras: Cameras,
        dtype: torch.dtype,
        device: torch.device | str,
        budget: int = BIAS_BUDGET,
        without_baseline: WithoutBaseline = "line",
    ) -> None:
        self.cameras, self.dtype, self.device, self.budget = cameras, dtype, device, budget
        self.without_baseline = without_baseline
        centres = cameras.c2w[..., :3, 3]
        self._extent = np.linalg.norm(centres[:, None] - centres[None], axis=-1).max()
        self._extent = max(self._extent, np.linalg.norm(centres - centres[:, :1], axis=-1).max())
        self._kept: OrderedDict[tuple[int, int, int, int], tuple[torch.Tensor, Slope]] = OrderedDict()

    def pair(
        self,
        query: int,
        key: int,
        rows: int,
        columns: int,
        slope: Slope,
        in_use: frozenset[tuple[int, int]] = frozenset(),
    ) -> torch.Tensor:
        """Bias between the pixels of view `query` and those of view `key` on a feature map of rows x columns.

        Args:
            in_use: pairs of the current U-Net call, which are kept.

        Returns:
            bias (F, L, L) with L = rows * columns.
        """
        name = (query, key, rows, columns)
        degenerate = self._degenerate(query, key)
        if name not in self._kept:
            bias = self._compute(query, key, rows, columns, slope, np.arange(self.cameras.frames))
            self._make_room(bias.nbytes, in_use)
        else:
            bias, last_slope = self._kept[name]
            if self.without_baseline == "line" and degenerate.size and slope != last_slope:
                bias[degenerate] = self._compute(query, key, rows, columns, slope, degenerate)
        self._kept[name] = (bias, slope)
        self._kept.move_to_end(name)
        return bias

    def _degenerate(self, query: int, key: int) -> NDArray[np.intp]:
        """Frames in which the two cameras' centres coincide."""
        c2w = self.cameras.c2w
        baseline = np.linalg.norm(c2w[query, :, :3, 3] - c2w[key, :, :3, 3], axis=-1)
        return np.flatnonzero(baseline <= DEGENERATE_BASELINE * self._extent)

    def _compute(
        self, query: int, key: int, rows: int, columns: int, slope: Slope, frames: NDArray[np.intp]
    ) -> torch.Tensor:
        camera = self.cameras
        c2w_query, c2w_key = camera.c2w[query, frames], camera.c2w[key, frames]
        K_query, K_key = camera.K[query, frames], camera.K[key, frames]
        pixels = pixel_grid(camera.height, camera.width, rows, columns)
        bias = torch.empty(len(frames), len(pixels), len(pixels), device=self.device)
        pseudo = np.isin(frames, self._degenerate(query, key))
        if pseudo.any():
            rotation = np.swapaxes(c2w_key[pseudo, :3, :3], -1, -2) @ c2w_query[pseudo, :3, :3]
            homography = K_key[pseudo] @ rotation @ np.linalg.inv(K_query[pseudo])
            bias[pseudo] = bias_without_baseline(
                pixels, homography, slope, self.without_baseline, camera.height, camera.width, self.device
            )
        if not pseudo.all():
            spread = max(SMALLEST_EXTENT / self._extent, 1)
            fundamental = fundamental_matrices(*(each[~pseudo] for each in (c2w_query, K_query, c2w_key, K_key)))
            bias[~pseudo] = bias_from_lines(
                torch.as_tensor(spread * epipolar_lines(fundamental, pixels), dtype=torch.float32, device=self.device),
                torch.as_tensor(pixels, dtype=torch.float32, device=self.device),
                camera.height,
            )
        return bias.to(self.dtype)

    def _make_room(self, nbytes: int, in_use: frozenset[tuple[int, int]]) -> None:
        held = sum(bias.nbytes for bias, _ in self._kept.values())
        for name in [name for name in self._kept if name[:2] not in in_use]:
            if held + nbytes <= self.budget:
                return
            held -= self._kept.pop(name)[0].nbytes


class EpipolarContext:
    """The partner and the bias of every view in one U-Net call.

    Args:
        bias: bias between all views.
        partners: partner of every view.
        slope: slope of the pseudo-lines in this call.
        free_branches: number of guidance branches, from the outermost on, that have no synchronisation.
        scenes: number of scenes in a training batch, each seen by N views. A view's videos of all scenes form one long
            video, and so do its frames in the bias.
        views: N views of the batch, with all their partners; None: all views.

    Attributes:
        partners: place in the batch of the partner of each of the N views.
    """

    def __init__(
        self,
        bias: PairBias,
        partners: Sequence[int],
        slope: Slope,
        free_branches: int = 0,
        scenes: int = 1,
        views: Sequence[int] | None = None,
    ) -> None:
        views = range(len(partners)) if views is None else views
        self._pairs = [(view, partners[view]) for view in views]
        self.partners = tuple(views.index(key) for _, key in self._pairs)
        self.free_branches, self.scenes = free_branches, scenes
        self._bias, self._slope, self._in_use = bias, slope, frozenset(self._pairs)

    def biases(self, rows: int, columns: int) -> list[torch.Tensor]:
        """The bias (F, L, L) of each of the N views towards its partner, on a feature map of rows x columns."""
        return [self._bias.pair(view, key, rows, columns, self._slope, self._in_use) for view, key in self._pairs]
