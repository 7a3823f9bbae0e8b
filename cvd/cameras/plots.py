"""Pictures of camera trajectories."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from protocol.geometry import frame_indices

from .cameras import Cameras


def plot_trajectories(path: str | Path, cameras: Cameras) -> None:
    """Draws a PNG of every view's path and viewing pyramids, in the coordinates of the first view's frame 0."""
    # Inside, because their import takes longer than all else that a command for camera files does.
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d.art3d import Line3DCollection

    c2w = np.linalg.inv(cameras.c2w[0, 0]) @ cameras.c2w
    centres = c2w[..., :3, 3]
    extent = float(np.ptp(centres.reshape(-1, 3), axis=0).max()) or 1.0
    figure = Figure(figsize=(8, 7))
    axes = figure.add_subplot(projection="3d")
    for view in range(cameras.views):
        colour = f"C{view % 10}"
        axes.plot(*_plot_axes(centres[view]).T, color=colour, label=f"view {view}", linewidth=2)
        for frame in np.unique(frame_indices(cameras.frames, 5)):
            edges = _pyramid(c2w[view, frame], cameras.K[view, frame], cameras, 0.15 * extent)
            axes.add_collection3d(Line3DCollection(_plot_axes(edges), colors=colour, linewidths=0.8, alpha=0.7))
    axes.set(xlabel="x, right", ylabel="z, forward", zlabel="up, -y", title="Camera trajectories")
    axes.set_aspect("equal")
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=110, bbox_inches="tight")


def _plot_axes(points: np.ndarray) -> np.ndarray:
    """Points with OpenCV's axes in a plot's axes: x right, z into the page, up."""
    return points[..., [0, 2, 1]] * [1, 1, -1]


def _pyramid(c2w: np.ndarray, K: np.ndarray, cameras: Cameras, depth: float) -> np.ndarray:
    """(8, 2, 3) edges of the camera's viewing pyramid, up to `depth`."""
    corners = np.array([[0, 0], [cameras.width, 0], [cameras.width, cameras.height], [0, cameras.height]], float)
    rays = np.concatenate([corners, np.ones((4, 1))], 1) @ np.linalg.inv(K).T * depth
    world = rays @ c2w[:3, :3].T + c2w[:3, 3]
    centre = np.broadcast_to(c2w[:3, 3], world.shape)
    return np.concatenate([np.stack([centre, world], 1), np.stack([world, np.roll(world, -1, 0)], 1)])
