"""Camera poses of the starter model's videos, by fitting its world to the frames.

Frames of 64 x 64 pixels of plain solids have too few features for an essential matrix: on rendered frames it is off by
ten degrees. But the world is known up to a few numbers. The solids are fitted to frame 0, whose camera is the world's;
then the camera is followed through the video, each frame's pose being the one from which the fitted scene looks most
like the frame. The asked cameras play no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import OptimizeResult, least_squares
from scipy.spatial.transform import Rotation

from ..cameras import Cameras
from ..starter.render import render
from ..starter.world import SHAPES, Ground, Scene, Solid, ground_from_camera, intrinsics
from .camera_fidelity import (
    SMALLEST_BASELINE,
    CameraFidelity,
    PoseError,
    moved_frames,
    rotation_angle,
    translation_angle,
)
from .palette import Frames, Region, find_ground, find_objects

Array = NDArray[np.float64]

BLUR = 1.0
"""Standard deviation in pixels that frames are compared at: edges have to have a slope to be followed along."""

OUTLIER = 0.05
"""Differences of colour, in [0, 1], from which on they count linearly: what the scene cannot explain must not pull."""

STEP = 0.01
"""Of the numeric derivatives, in radians and scene units: about half a pixel."""

FIRST_ROUNDS, FINAL_ROUNDS = 6, 15
"""Of the optimisation: while a solid's shape is tried, and for what is kept."""

USUAL_SIZE = 0.36
CUBE_YAWS = (0.26, 0.78, 1.31)
"""Where the search for a cube's angle starts, radians; it looks the same after a quarter turn."""


def follow_camera(video: Frames) -> Array:
    """(F, H, W, 3) sRGB to (F, 4, 4): camera-to-world relative to frame 0, in the starter world's units."""
    still = np.tile(np.eye(4), (len(video), 1, 1))
    ground = find_ground(video[:1], still[:1])
    K = np.broadcast_to(intrinsics(video.shape[2], video.shape[1]), (1, 3, 3))
    scene = fit_scene(video[0], ground, find_objects(video[:1], still[:1], K)[0])
    poses = still
    for frame in range(1, len(video)):
        before = poses[frame - 2] if frame > 1 else poses[frame - 1]
        # The cameras move evenly: start where the last movement leads.
        guess = poses[frame - 1] @ np.linalg.inv(before) @ poses[frame - 1]
        poses[frame] = _fit_pose(video[frame], scene, guess)
    return poses


def fitted_camera_fidelity(
    videos: Frames, cameras: Cameras, smallest_baseline: float = SMALLEST_BASELINE
) -> CameraFidelity:
    """Errors of the poses that `follow_camera` finds in videos (V, F, H, W, 3), frame 0 to frame t.

    Args:
        smallest_baseline: as a share of the take's largest camera movement, as in `camera_fidelity`.
    """
    errors: list[PoseError] = []
    for view, video in enumerate(videos):
        found = np.linalg.inv(follow_camera(video))
        asked = np.linalg.inv(cameras.relative_to_first_frame()[view])
        for frame in moved_frames(cameras, view, smallest_baseline):
            rotation = rotation_angle(found[frame, :3, :3], asked[frame, :3, :3])
            translation = translation_angle(found[frame, :3, 3], asked[frame, :3, 3])
            errors.append(PoseError(view, frame, 0, rotation, translation))
    return CameraFidelity(errors, skipped=cameras.views * (cameras.frames - 1) - len(errors))


def fit_scene(frame: Frames, ground: Ground, regions: Sequence[Region]) -> Scene:
    """The solids whose picture is nearest to a frame (H, W, 3) of the world's first camera."""
    solids = [_first_guess(region) for region in regions]
    for index in range(len(solids)):
        others = solids[:index], solids[index + 1 :]
        fits = [
            _fit_solids(frame, ground, [*others[0], replace(solids[index], shape=shape, yaw=yaw), *others[1]], [index])
            for shape in SHAPES
            for yaw in (CUBE_YAWS if shape == "cube" else CUBE_YAWS[:1])
        ]
        solids = min(fits, key=lambda fit: fit[1])[0]
    if solids:
        solids = _fit_solids(frame, ground, solids, range(len(solids)), FINAL_ROUNDS)[0]
    return Scene(tuple(solids), ground)


def _fit_solids(
    frame: Frames, ground: Ground, solids: Sequence[Solid], moved: Sequence[int], rounds: int = FIRST_ROUNDS
) -> tuple[list[Solid], float]:
    """The solids with place, size and yaw of the `moved` ones fitted, and the remaining cost."""

    def with_values(values: Array) -> list[Solid]:
        fitted = list(solids)
        for index, (x, z, size, yaw) in zip(moved, values.reshape(-1, 4).tolist(), strict=True):
            fitted[index] = replace(solids[index], x=x, z=z, size=max(size, 0.05), yaw=yaw)
        return fitted

    def pictures(candidates: Array) -> Frames:
        scenes = [Scene(tuple(with_values(values)), ground) for values in candidates]
        return render(scenes, np.tile(np.eye(4), (len(scenes), 1, 1)), frame.shape[1], frame.shape[0])

    start = np.array([[solids[i].x, solids[i].z, solids[i].size, solids[i].yaw] for i in moved]).ravel()
    found = _least_difference(frame, pictures, start, rounds)
    return with_values(found.x), found.cost


def _fit_pose(frame: Frames, scene: Scene, guess: Array) -> Array:
    def posed(twist: Array) -> Array:
        change = np.eye(4)
        change[:3, :3], change[:3, 3] = Rotation.from_rotvec(twist[:3]).as_matrix(), twist[3:]
        return guess @ change

    def pictures(candidates: Array) -> Frames:
        return render(
            [scene] * len(candidates), np.array([posed(twist) for twist in candidates]), frame.shape[1], frame.shape[0]
        )

    return posed(_least_difference(frame, pictures, np.zeros(6), FINAL_ROUNDS).x)


def _least_difference(frame: Frames, pictures: Callable[[Array], Frames], start: Array, rounds: int) -> OptimizeResult:
    """The parameters (N,) whose picture is nearest to a frame; `pictures` renders (B, N) candidates."""
    wanted = _blurred(frame[None])[0]

    def difference(values: Array) -> Array:
        return (_blurred(pictures(values[None]))[0] - wanted).ravel()

    def jacobian(values: Array) -> Array:
        # Central differences: one-sided ones are too coarse over half a pixel, and too noisy over less.
        steps = STEP * np.eye(len(values))
        rendered = _blurred(pictures(np.concatenate([values + steps, values - steps]))).reshape(2, len(values), -1)
        return ((rendered[0] - rendered[1]) / (2 * STEP)).T

    return least_squares(
        difference, start, jacobian, loss="soft_l1", f_scale=OUTLIER, max_nfev=rounds, xtol=1e-4, ftol=1e-4
    )


def _blurred(images: Frames) -> Array:
    """(B, H, W, 3) bytes to [0, 1], blurred."""
    return gaussian_filter(images / 255.0, (0, BLUR, BLUR, 0))


def _first_guess(region: Region) -> Solid:
    """A solid of about the place and size of a region in the first camera's image."""
    height, width = region.mask.shape
    pose, K = ground_from_camera(), intrinsics(width, height)
    ray = pose[:3, :3] @ np.linalg.solve(K, [*region.centroid, 1.0])
    across = np.ptp(np.nonzero(region.mask)[1]) + 1
    size = USUAL_SIZE
    for _ in range(3):
        depth = np.clip((pose[1, 3] - size / 2) / max(-ray[1], 0.1), 0.6, 2.0)
        size = float(np.clip(across * depth / K[0, 0], 0.2, 0.6))
    return Solid(SHAPES[0], region.colour, float(depth * ray[0]), float(depth * ray[2]), size)
