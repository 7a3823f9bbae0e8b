"""Camera poses of the starter model's videos, by direct alignment of their ground with frame 0.

Small frames of plain solids have too few features for an essential matrix. Its error is ten degrees on renderings of
64 x 64 pixels. But the height and pitch of frame 0's camera above the ground are known. So the depth of every ground
pixel is known, and the sky is at infinity.

The pose of a later frame maps frame 0's pixels to pixels of the same colours. This is direct visual odometry with known
depths (Kerl et al., 2013). Every frame is aligned with frame 0, so errors do not add up. Objects of frame 0 are left
out. A robust loss ignores other pixels that do not move like the ground. The asked poses are not used, but the asked
lenses are.

The ground must be checkered or dotted. On a plain ground only the movement of the horizon is visible. On a striped
ground a movement along the stripes is not visible.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.spatial.transform import Rotation

from ...cameras.cameras import Cameras
from ...starter.captions import ground_pattern
from ...starter.world import ground_from_camera
from ..camera_fidelity import CameraFidelity, PoseError, rotation_angle, translation_angle
from .objects import Frames, find_objects

Array = NDArray[np.floating]

NEAR_BLUR, EXACT_BLUR = 1 / 64, 1.0
"""Standard deviations of the blur of compared frames, because sharp edges cannot be aligned. The first alignment is
coarse (a share of the image's larger side), the second is exact (pixels)."""

OUTLIERS = (0.1, 0.03)
"""Difference of colour, in [0, 1], at which a pixel's weight is halved, in the coarse and in the exact alignment. It
reduces the influence of pixels that do not move like the ground."""

SMALLEST_MOVEMENT = 0.1
"""Smallest distance of a measured frame's camera from frame 0's, in the world's units. With less movement, the noise is
larger than the parallax."""

MOST_STEPS = 25
SMALLEST_STEP = 2e-4
"""Step size, in radians and scene units, below which the optimisation ends: a fiftieth of a pixel at 128 x 128."""

NEAREST_DEPTH = 0.01
TELLING_GROUNDS = ("checkered", "dotted")


def asks_for_telling_ground(prompt: str) -> bool:
    """Whether a prompt asks for a ground that shows every movement of the camera.

    >>> asks_for_telling_ground("a red cube on a green checkered floor")
    True
    """
    return ground_pattern(prompt) in TELLING_GROUNDS


def aligned_camera_fidelity(videos: Frames, cameras: Cameras) -> CameraFidelity:
    """Errors of the poses, relative to frame 0, that `follow_camera` finds in videos (V, F, H, W, 3)."""
    errors: list[PoseError] = []
    for view, video in enumerate(videos):
        found = np.linalg.inv(follow_camera(video, cameras.K[view]))
        asked = np.linalg.inv(cameras.relative_to_first_frame()[view])
        for frame in np.flatnonzero(np.linalg.norm(asked[:, :3, 3], axis=-1) >= SMALLEST_MOVEMENT).tolist():
            rotation = rotation_angle(found[frame, :3, :3], asked[frame, :3, :3])
            translation = translation_angle(found[frame, :3, 3], asked[frame, :3, 3])
            errors.append(PoseError(view, frame, 0, rotation, translation))
    return CameraFidelity(errors, skipped=cameras.views * (cameras.frames - 1) - len(errors))


def follow_camera(video: Frames, K: Array) -> Array:
    """Camera-to-world poses relative to frame 0, in the starter world's units.

    Args:
        video: (F, H, W, 3) sRGB.
        K: (F, 3, 3) camera matrices in pixels.

    Returns:
        (F, 4, 4) poses.
    """
    rays, inverse_depth = _ground_seen(K[0], *video.shape[1:3])
    blurs = (max(NEAR_BLUR * max(video.shape[1:3]), EXACT_BLUR), EXACT_BLUR)
    blurred = [gaussian_filter(video / 255.0, (0, blur, blur, 0)) for blur in blurs]
    free = ~binary_dilation(_hidden(video, K), iterations=round(2 * blurs[0]))
    rays, inverse_depth = rays[free], inverse_depth[free]
    world_to_camera = np.tile(np.eye(4), (len(video), 1, 1))
    for frame in range(1, len(video)):
        last, before = world_to_camera[frame - 1], world_to_camera[max(frame - 2, 0)]
        # Cameras move smoothly, so the start value repeats the last movement.
        pose = last @ np.linalg.inv(before) @ last
        for images, outlier in zip(blurred, OUTLIERS, strict=True):
            pose = _align(images[0, free], images[frame], K[frame], rays, inverse_depth, pose, outlier)
        world_to_camera[frame] = pose
    return np.linalg.inv(world_to_camera)


def _ground_seen(K: Array, height: int, width: int) -> tuple[Array, Array]:
    """Frame 0's pixels: rays (H, W, 3) of depth 1, and inverse depths (H, W) of the ground; 0 for the sky."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(K).T
    pose = ground_from_camera()
    return rays, np.maximum(-(rays @ pose[1, :3]), 0) / pose[1, 3]


def _hidden(video: Frames, K: Array) -> NDArray[np.bool_]:
    """(H, W) bool: True where objects hide frame 0's ground and sky."""
    objects = find_objects(video[:1], np.eye(4)[None], K[:1])[0]
    hidden = np.zeros(video.shape[1:3], bool)
    for region in objects:
        hidden |= region.mask
    return hidden


def _align(
    colours: Array, image: Array, K: Array, rays: Array, inverse_depth: Array, pose: Array, outlier: float
) -> Array:
    """The world-to-camera pose (4, 4) that maps points to pixels of the same colours, by Gauss-Newton.

    Args:
        colours: (N, 3) colours of the points, from frame 0.
        image: (H, W, 3) later frame.
        K: (3, 3) camera matrix of the later frame.
        rays, inverse_depth: (N, 3) and (N,), the points.
        pose: (4, 4) start value.
        outlier: difference of colour at which a point's weight is halved.
    """
    for _ in range(MOST_STEPS):
        points = rays @ pose[:3, :3].T + inverse_depth[:, None] * pose[:3, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y = (points[:, i] / points[:, 2] * K[i, i] + K[i, 2] for i in (0, 1))
            inside = (points[:, 2] > NEAREST_DEPTH) & _is_inside(x, y, image)
        points, nearness = points[inside], inverse_depth[inside]
        found, across, down = _sample(image, x[inside], y[inside])
        difference = found - colours[inside]
        # Chain rule: derivatives of colour by pixel, of pixel by point, and of point by rotation and translation.
        across, down = across * (K[0, 0] / points[:, 2:]), down * (K[1, 1] / points[:, 2:])
        along = -(across * points[:, :1] + down * points[:, 1:2]) / points[:, 2:]
        by_point = np.stack([across, down, along], -1)
        by_rotation = np.cross(points[:, None], by_point)
        jacobian = np.concatenate([by_rotation, nearness[:, None, None] * by_point], -1).reshape(-1, 6)
        weights = np.repeat(1 / (1 + np.square(difference / outlier).sum(-1)), 3)
        normal = (jacobian * weights[:, None]).T @ jacobian
        # The small diagonal keeps movements near zero that the image does not show.
        damped = normal + 1e-4 * np.diag(np.diag(normal)) + 1e-9 * np.eye(6)
        step = -np.linalg.solve(damped, jacobian.T @ (weights * difference.ravel()))
        change = np.eye(4)
        change[:3, :3], change[:3, 3] = Rotation.from_rotvec(step[:3]).as_matrix(), step[3:]
        pose = change @ pose
        if np.abs(step).max() < SMALLEST_STEP:
            break
    return pose


def _is_inside(x: Array, y: Array, image: Array) -> NDArray[np.bool_]:
    """Which points are between the centres of the image's outermost pixels."""
    height, width = image.shape[:2]
    return (x >= 0.5) & (x < width - 0.5) & (y >= 0.5) & (y < height - 0.5)


def _sample(image: Array, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """An image's colours (N, 3) at points, bilinear, and their derivatives along x and y."""
    column, row = np.floor(x - 0.5).astype(int), np.floor(y - 0.5).astype(int)
    right, low = (x - 0.5 - column)[:, None], (y - 0.5 - row)[:, None]
    corners = [image[row + i, column + j] for i in (0, 1) for j in (0, 1)]
    upper, lower = corners[0] + right * (corners[1] - corners[0]), corners[2] + right * (corners[3] - corners[2])
    across = (1 - low) * (corners[1] - corners[0]) + low * (corners[3] - corners[2])
    return upper + low * (lower - upper), across, lower - upper
