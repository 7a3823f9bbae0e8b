"""Camera geometry that the Blender side and the model share, in numpy alone.

Conventions: `c2w` is a camera-to-world matrix (4, 4) with OpenCV's axes: x points right, y down, z forward.
`K` is a matrix (3, 3) of intrinsics in pixels. Its origin is the upper left corner of the image, so the centre of the
first pixel lies at (0.5, 0.5). A size is a tuple (height, width) in pixels. V is the number of views, F of frames.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from itertools import product
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# ------------------------------------------------------------------------------------------------------------- axes

OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
"""Matrix (4, 4) that changes camera axes: `c2w @ OPENCV_FROM_OPENGL` is the same camera with the other axes.

The cameras of OpenGL and Blender look along -z with y up. Those of OpenCV look along z with y down. The matrix is its
own inverse, so it works in both directions.
"""

# ------------------------------------------------------------------------------------------------- sizes of images

MAX_SIDE = 4096
"""Largest height and width, in pixels, that a request to the service may ask for."""


def resized_intrinsics(K: ArrayLike, old: tuple[float, float], new: tuple[float, float]) -> Array:
    """Returns K of an image that is stretched to another size. The camera sees the same as before.

    Args:
        K: (..., 3, 3) in pixels of the old size.
        old, new: (height, width) in pixels, above 0.
    """
    stretch = np.diag([new[1] / old[1], new[0] / old[0], 1.0])
    return stretch @ np.asarray(K, np.float64)


def cropped_intrinsics(K: ArrayLike, old: tuple[float, float], new: tuple[float, float]) -> Array:
    """Returns K of an image that is scaled until it covers another size, and is then cut around its centre.

    Pixels keep their shape.

    Args:
        K: (..., 3, 3) in pixels of the old size.
        old, new: (height, width) in pixels, above 0.
    """
    return _scaled_intrinsics(K, old, new, max(new[0] / old[0], new[1] / old[1]))


def widened_intrinsics(K: ArrayLike, old: tuple[float, float], new: tuple[float, float]) -> Array:
    """Returns K of an image that is scaled until it fits into another size, and sees more around its edges there.

    Pixels keep their shape. The old image is the part `fitting_part` of the new one.

    Args:
        K: (..., 3, 3) in pixels of the old size.
        old, new: (height, width) in pixels, above 0.
    """
    return _scaled_intrinsics(K, old, new, min(new[0] / old[0], new[1] / old[1]))


def _scaled_intrinsics(K: ArrayLike, old: tuple[float, float], new: tuple[float, float], scale: float) -> Array:
    """K of an image that is scaled, and whose centre becomes the centre of an image of the size `new`."""
    shift = [[scale, 0, (new[1] - scale * old[1]) / 2], [0, scale, (new[0] - scale * old[0]) / 2], [0, 0, 1]]
    return np.array(shift) @ np.asarray(K, np.float64)


def fitting_part(aspect: float, size: tuple[float, float]) -> tuple[float, float]:
    """Returns (height, width) of the largest part of an image that has an aspect ratio. It lies in the middle.

    Args:
        aspect: width divided by height, above 0.
        size: (height, width) of the image in pixels, above 0.
    """
    height, width = size
    return min(height, width / aspect), min(width, height * aspect)


def size_of_area(aspect: float, side: float, multiple: int) -> tuple[int, int]:
    """Returns (height, width) near an aspect ratio, with about as many pixels as a square has.

    Height and width are rounded to multiples, so the aspect ratio of the result differs a little. `resized_intrinsics`
    takes this into account: pixels are then slightly oblong, and nothing in the image is distorted. `covering_size`
    keeps them square.

    Args:
        aspect: width divided by height, above 0.
        side: the side of the square in pixels, above 0.
        multiple: what height and width are multiples of, 1 or more. Neither is ever smaller.
    """

    def rounded(length: float) -> int:
        return multiple * max(round(length / multiple), 1)

    root = float(np.sqrt(aspect))
    return rounded(side / root), rounded(side * root)


@functools.lru_cache(maxsize=64)
def covering_size(aspect: float, side: float, multiple: int, largest: int | None = None) -> tuple[int, int]:
    """Returns (height, width) of an image that a view of some aspect ratio fits into, with square pixels.

    Height and width are multiples, so the image sees more than the view (`widened_intrinsics`). Of all sizes this one
    has the best of two things: the view has about as many pixels as a square, and few pixels lie outside of the view.

    Args:
        aspect: width of the view divided by its height, above 0.
        side: the side of the square in pixels, above 0.
        multiple: what height and width are multiples of, 1 or more. Neither is ever smaller.
        largest: what neither height nor width exceeds, in pixels, `multiple` or more. None sets no limit.
    """

    def covering(length: float) -> int:
        """The smallest multiple that is not shorter; a rounding error is no pixel."""
        return multiple * max(math.ceil(length / multiple - 1e-9), 1)

    def cost(size: tuple[int, int]) -> float:
        seen = math.prod(fitting_part(aspect, size))
        return abs(math.log(seen / side**2)) + math.log(math.prod(size) / seen)

    limit = largest or math.inf
    longest = 2 * side * max(aspect, 1 / aspect) ** 0.5
    lengths = range(multiple, covering(min(longest, limit)) + 1, multiple)
    sizes = [(length, covering(length * aspect)) for length in lengths]
    sizes += [(covering(length / aspect), length) for length in lengths]
    return min((size for size in sizes if max(size) <= limit), key=cost)


# -------------------------------------------------------------------------------------------------- times and poses


def sample_times(start: float, end: float, count: int) -> Array:
    """Returns (count,) evenly spread times from `start` to `end`, with both ends. A single time is `start`.

    Args:
        start, end: in any unit, for example frames of a scene.
        count: 0 or more.
    """
    return np.linspace(start, end, count)


def frame_indices(available: int, frames: int) -> NDArray[np.intp]:
    """Returns (frames,) evenly spread indices into `available` frames, with both ends. A single index is 0.

    Indices are rounded to the nearest frame, and halves to the even one, as in the official code.

    Args:
        available: 1 or more. It may be less than `frames`, and indices then repeat.
        frames: 0 or more.
    """
    return sample_times(0, available - 1, frames).round().astype(np.intp)


def interpolated(matrices: Array, at: Array) -> Array:
    """Interpolates matrices linearly between neighbouring frames.

    Args:
        matrices: (..., F, M, N), one for each of two or more frames.
        at: (F',) frames to return, with fractions, from 0 to F - 1.

    Returns:
        (..., F', M, N).
    """
    before, share = _neighbours(matrices.shape[-3], at)
    share = share[:, None, None]
    return (1 - share) * matrices[..., before, :, :] + share * matrices[..., before + 1, :, :]


def interpolated_poses(c2w: Array, at: Array) -> Array:
    """Interpolates poses between neighbouring frames: rotations by `slerp`, camera centres linearly.

    Args:
        c2w: (..., F, 4, 4), rigid, one for each of two or more frames.
        at: (F',) frames to return, with fractions, from 0 to F - 1.

    Returns:
        (..., F', 4, 4).
    """
    before, share = _neighbours(c2w.shape[-3], at)
    poses = interpolated(c2w, at)
    poses[..., :3, :3] = slerp(c2w[..., before, :3, :3], c2w[..., before + 1, :3, :3], share)
    return poses


def scaled_poses(c2w: Array, factor: float) -> Array:
    """Returns c2w (..., 4, 4) of the same cameras in other units: distances times `factor`, which is above 0."""
    poses = c2w.copy()
    poses[..., :3, 3] *= factor
    return poses


def slerp(first: Array, second: Array, share: ArrayLike) -> Array:
    """Interpolates spherically between rotations: the shortest turn from one to the other, at an even speed.

    The result is precise for all angles. A half turn has two shortest ways, and either of them may be the result.

    Args:
        first, second: (..., 3, 3) rotation matrices.
        share: (...) how much of the turn is done, from 0 (`first`) to 1 (`second`).
    """
    start, end = quaternions_of(first), quaternions_of(second)
    end = np.where((start * end).sum(-1, keepdims=True) < 0, -end, end)  # q and -q are one rotation; take the nearer
    # The angle between the quaternions, from 0 to 90 degrees. An arc cosine would lose half of its digits near 0.
    angle = 2 * np.arctan2(np.linalg.norm(end - start, axis=-1), np.linalg.norm(end + start, axis=-1))[..., None]

    def weight(part: Array) -> Array:
        """sin(part * angle) / sin(angle), with its limit where the angle is 0."""
        return part * np.sinc(part * angle / np.pi) / np.sinc(angle / np.pi)

    done = np.asarray(share, np.float64)[..., None]
    return rotations_of(weight(1 - done) * start + weight(done) * end)


def _neighbours(frames: int, at: Array) -> tuple[NDArray[np.intp], Array]:
    """The frame before each time, and the share of the way to the frame after it."""
    before = np.clip(np.floor(at).astype(np.intp), 0, frames - 2)
    return before, at - before


def quaternions_of(rotations: Array) -> Array:
    """Returns (..., 4) unit quaternions, real part first, of rotations (..., 3, 3)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.moveaxis(rotations, (-2, -1), (0, 1))
    # Four times the outer product of the quaternion with itself. Every row is a multiple of the quaternion; the one
    # with the largest diagonal entry is never near zero, so that no angle is a special case (Shepperd's method).
    outer = np.stack(
        [
            *(1 + xx + yy + zz, zy - yz, xz - zx, yx - xy),
            *(zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx),
            *(xz - zx, xy + yx, 1 - xx + yy - zz, yz + zy),
            *(yx - xy, xz + zx, yz + zy, 1 - xx - yy + zz),
        ],
        -1,
    ).reshape(*rotations.shape[:-2], 4, 4)
    largest = np.diagonal(outer, axis1=-2, axis2=-1).argmax(-1)
    row = np.take_along_axis(outer, largest[..., None, None], -2)[..., 0, :]
    return row / np.linalg.norm(row, axis=-1, keepdims=True)


def rotations_of(quaternions: Array) -> Array:
    """Returns (..., 3, 3) rotations of quaternions (..., 4) of any length above 0, real part first."""
    unit = quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True)
    w, x, y, z = np.moveaxis(unit, -1, 0)
    return np.stack(
        [
            *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ],
        -1,
    ).reshape(*unit.shape[:-1], 3, 3)


# ------------------------------------------------------------------------------------------------ official patterns

Pattern = Literal["circle", "upper_hemi", "interpolate"]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
"""The camera patterns of the official release. Their views start from one pose and spread out."""

PATTERN_FOCAL_LENGTH = 223.578 / 256
"""Focal length of the patterns' cameras, divided by the side of their square images."""

PATTERN_TARGET = np.array([0.0, 0.0, 1.0])
"""The point that the patterns' cameras look at, in the coordinates of frame 0."""


def pattern_poses(pattern: Pattern, views: int, frames: int = 16, camera_dist: float = 0.5) -> Array:
    """Returns c2w (V, F, 4, 4) of an official pattern, for any number of views.

    Frame 0 is the identity for every view. The last frame looks at `PATTERN_TARGET`, and its x axis is horizontal.

    Args:
        views, frames: 1 or more. A single frame is frame 0.
        camera_dist: how far the cameras move, in units of the distance to the target, 0 or more.
    """
    number = np.arange(views)
    if pattern == "circle":
        angles = 2 * np.pi * number / views
    else:
        angles = np.pi * number / max(views - 1, 1) + (np.pi if pattern == "upper_hemi" else 0.0)
    ends = camera_dist * pattern_points(pattern, angles)
    return path_to(ends, look_at(ends), frames)


def pattern_points(pattern: Pattern, angles: ArrayLike) -> Array:
    """Returns (..., 3) where cameras of a pattern end, in units of the camera distance.

    Args:
        angles: (...) in radians, one for each camera.
    """
    angles = np.asarray(angles, np.float64)
    if pattern == "interpolate":
        return np.stack([np.cos(angles), 0.3 * np.cos(angles + 0.5), -0.2 * np.sin(angles)], -1)
    return np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], -1)


def pattern_intrinsics(size: tuple[int, int]) -> Array:
    """Returns K (3, 3) of the patterns' cameras for an image of `size`, which is (height, width) in pixels.

    The shorter side of the image has the official field of view.
    """
    height, width = size
    focal = PATTERN_FOCAL_LENGTH * min(size)
    return np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def look_at(origin: Array, target: Array = PATTERN_TARGET) -> Array:
    """Returns (..., 3, 3) rotations of cameras that look at a point, with horizontal x axes. The world's y points down.

    Args:
        origin: (..., 3) centres of the cameras. None of them is above, below or at the target.
        target: (3,) the point.
    """
    z = (target - origin) / np.linalg.norm(target - origin, axis=-1, keepdims=True)
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], -1)


def path_to(end: Array, rotation: Array, frames: int = 16) -> Array:
    """Returns c2w (..., F, 4, 4) of cameras that move from the identity to a pose, evenly in place and angle.

    Args:
        end: (..., 3) centres of the last frame's cameras.
        rotation: (..., 3, 3) rotations of the last frame's cameras.
        frames: F, 1 or more. A single frame is the identity.
    """
    ends = np.tile(np.eye(4), (*end.shape[:-1], 2, 1, 1))
    ends[..., 1, :3, :3], ends[..., 1, :3, 3] = rotation, end
    return interpolated_poses(ends, sample_times(0, 1, frames))


# ----------------------------------------------------------------------------------------- what several cameras see

OVERLAP_DEPTHS = (0.5, 1.0, 2.0)
"""Depths at which views are compared, in units of the distance to what the cameras look at."""

OVERLAP_GRID = 16
"""Points that are followed from one view to another, in each row and each column of the image."""

ROUNDING = 1e-6
"""Smaller distances than this share of the coordinates count as rounding: Blender's numbers have 32 bits."""

PARALLEL = 1e-6
"""Smallest eigenvalue of the cameras' normal matrix. Axes within about a thousandth of a radian count as parallel."""


def frusta_overlap(
    c2w: Array, K: Array, size: tuple[int, int], distance: float, depths: Sequence[float] = OVERLAP_DEPTHS
) -> Array:
    """Measures how much of each view the other views see. Nothing in the scene hides anything here.

    Points on a grid in the image of the first view are placed at several depths. The result is the share of these
    points that fall into the image of the second view.

    Args:
        c2w: (V, F, 4, 4), rigid, in any unit.
        K: (V, F, 3, 3) in pixels.
        size: (height, width) of all images in pixels.
        distance: from the cameras to what they look at, in the unit of `c2w`, above 0. See `target_distance`.
        depths: along the optical axis, in units of `distance`, above 0.

    Returns:
        (V, V, F) in [0, 1]. Entry [i, j, f] is the share of view i that view j sees in frame f.
    """
    height, width = size
    between = np.linalg.inv(c2w)[None] @ c2w[:, None]  # from the axes of view i to those of view j
    turn = K[None] @ between[..., :3, :3] @ np.linalg.inv(K)[:, None]
    shift = K[None] @ between[..., :3, 3:]
    cells = (np.arange(OVERLAP_GRID) + 0.5) / OVERLAP_GRID
    seen = np.zeros(between.shape[:3])
    for depth, row in product(depths, cells):  # one row at a time, for the sake of memory
        points = np.stack([cells * width, np.full_like(cells, row * height), np.ones_like(cells)])
        x, y, z = np.moveaxis(turn @ points + shift / (depth * distance), -2, 0)
        seen += ((x >= 0) & (x <= width * z) & (y >= 0) & (y <= height * z)).mean(-1)  # false behind the camera: z < 0
    return seen / (len(depths) * len(cells))


def target_distance(c2w: Array) -> float | None:
    """Estimates how far away the point is that all cameras look at, in the unit of `c2w`.

    The point is the one nearest to all optical axes, by least squares. The result is its mean depth. It is None where
    the axes are parallel, as those of a static camera are. It is also None where a camera has the point behind it.

    Args:
        c2w: (..., 4, 4), rigid, of all cameras.
    """
    poses = c2w.reshape(-1, 4, 4)
    forward = poses[:, :3, 2]
    centres = poses[:, :3, 3] - poses[:, :3, 3].mean(0)  # precise far from the origin too
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]  # projections across the axes
    normal = across.mean(0)
    if np.linalg.eigvalsh(normal)[0] < PARALLEL:
        return None
    point = np.linalg.solve(normal, (across @ centres[:, :, None]).mean(0))[:, 0]
    depths = ((point - centres) * forward).sum(-1)
    # A camera that only turns has its own centre for the point.
    return float(depths.mean()) if depths.min() > ROUNDING * np.abs(poses[:, :3, 3]).max() else None
