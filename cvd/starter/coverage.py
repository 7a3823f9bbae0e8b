"""Where the solids of a scene roughly are in the image: the cells of a coarse grid that a solid's box touches."""

import numpy as np

from .world import IMAGE_SIZE, Scene, Solid, ground_from_camera

CELL = 16
"""Width and height of a cell in pixels, the same as those of a latent of the starter model's autoencoder."""

NEAREST_DEPTH = 0.05
_CORNERS = np.stack(np.meshgrid((-1, 1), (-1, 1), (-1, 1), indexing="ij"), -1).reshape(8, 3)


def solid_cells(
    scene: Scene,
    c2w: np.ndarray,
    K: np.ndarray,
    times: np.ndarray,
    width: int = IMAGE_SIZE,
    height: int = IMAGE_SIZE,
    cell: int = CELL,
) -> np.ndarray:
    """(F, height / cell, width / cell) bool: the cells that show solids, including hidden parts of solids.

    Args:
        c2w: (F, 4, 4) camera-to-world, OpenCV axes, relative to the frame-0 camera.
        K: (F, 3, 3) camera matrices in pixels.
        times: (F,) time of each frame, in [0, 1].
        cell: width and height of a cell in pixels.
    """
    from_ground = np.linalg.inv(ground_from_camera() @ np.asarray(c2w, np.float64))
    cells = np.zeros((len(times), height // cell, width // cell), bool)
    for frame, (view, lens, time) in enumerate(zip(from_ground, K, times, strict=True)):
        for solid in scene.solids:
            x, y, depth = lens @ (view[:3, :3] @ _corners(solid, time).T + view[:3, 3:])
            if depth.max() < NEAREST_DEPTH:
                continue
            if depth.min() < NEAREST_DEPTH:  # the camera is inside the solid's box
                cells[frame] = True
                continue
            columns, rows = (_touched(axis / depth / cell) for axis in (x, y))
            cells[frame, rows, columns] = True
    return cells


def _corners(solid: Solid, time: float) -> np.ndarray:
    """(8, 3) corners, in ground coordinates, of an upright box that contains the solid at any turn."""
    return solid.centre(time) + _CORNERS * (solid.radius, solid.size / 2, solid.radius)


def _touched(cells: np.ndarray) -> slice:
    return slice(max(int(cells.min()), 0), max(int(np.floor(cells.max())) + 1, 0))
