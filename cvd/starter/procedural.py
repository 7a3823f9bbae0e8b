"""Random clips of the procedural world: a scene, its cameras, the frames and a caption."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .camera_paths import CameraPath, sample_pair, sample_path
from .captions import caption
from .coverage import CELL, solid_cells
from .render import render
from .sampling import sample_scene
from .world import IMAGE_SIZE, Scene

PATH_FRAMES = 16
"""Number of frames of a camera path. A still is one frame of such a path."""

MAIN_PHRASING_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Draw:
    """What to render: V videos of F frames of one scene.

    Attributes:
        path: c2w (V, F, 4, 4) and zoom (V, F).
        times: (F,) times in [0, 1], the same for all views.
    """

    scene: Scene
    path: CameraPath
    times: np.ndarray
    caption: str

    def solid_cells(self, width: int, height: int, cell: int = CELL) -> np.ndarray:
        """(V, F, height / cell, width / cell) bool: the cells that show solids, see `cvd.starter.coverage`."""
        lenses = self.path.K(width, height)
        return np.stack(
            [
                solid_cells(self.scene, c2w, K, self.times, width, height, cell)
                for c2w, K in zip(self.path.c2w, lenses, strict=True)
            ]
        )


@dataclass(frozen=True, eq=False)
class Clips:
    """V videos of one scene.

    Attributes:
        frames: (V, F, H, W, 3) uint8 sRGB.
        c2w: (V, F, 4, 4) camera-to-world, OpenCV axes, relative to the frame-0 camera.
        K: (V, F, 3, 3) camera matrices in pixels, origin at the image's corner.
        solids: (V, F, H / cell, W / cell) bool, the cells that show solids, see `cvd.starter.coverage`.
    """

    frames: np.ndarray
    c2w: np.ndarray
    K: np.ndarray
    solids: np.ndarray
    caption: str


def draw(rng: np.random.Generator, views: int = 2, frames: int = PATH_FRAMES) -> Draw:
    """Draw a scene, cameras and a caption.

    Args:
        views: number of views, 1 or 2. Two views share frame 0.
        frames: number of frames. With 1 it is a still, at a random moment of a clip.

    Raises:
        ValueError: the number of views is not 1 or 2, or there is no frame.
    """
    if views not in (1, 2) or frames < 1:
        raise ValueError(f"{views} views of {frames} frames: give 1 or 2 views of at least 1 frame")
    scene = sample_scene(rng)
    length = PATH_FRAMES if frames == 1 else frames
    path = sample_pair(rng, length) if views == 2 else sample_path(rng, length)
    c2w, zoom, times = (
        path.c2w.reshape(views, length, 4, 4),
        path.zoom.reshape(views, length),
        np.linspace(0, 1, length),
    )
    if frames == 1:
        moment = slice(frame := rng.integers(length), frame + 1)
        c2w, zoom, times = c2w[:, moment], zoom[:, moment], times[moment]
    text = caption(scene, None if rng.random() < MAIN_PHRASING_SHARE else rng)
    return Draw(scene, CameraPath(c2w, zoom), times, text)


def render_draws(
    draws: Sequence[Draw], width: int = IMAGE_SIZE, height: int = IMAGE_SIZE, cell: int = CELL
) -> list[Clips]:
    """Render all frames of all draws. Many stills in one call are a little faster than one still per call.

    Args:
        cell: width and height of a cell of `Clips.solids`, in pixels.
    """
    scenes, c2w, K, times = [], [], [], []
    for each in draws:
        views = each.path.zoom.shape[0]
        scenes += [each.scene] * each.path.zoom.size
        c2w.append(each.path.c2w.reshape(-1, 4, 4))
        K.append(each.path.K(width, height).reshape(-1, 3, 3))
        times.append(np.tile(each.times, views))
    images = render(scenes, np.concatenate(c2w), width, height, np.concatenate(K), np.concatenate(times))
    parts = np.split(images, np.cumsum([each.path.zoom.size for each in draws])[:-1])
    return [
        Clips(
            part.reshape(*each.path.zoom.shape, height, width, 3),
            each.path.c2w,
            each.path.K(width, height),
            each.solid_cells(width, height, cell),
            each.caption,
        )
        for part, each in zip(parts, draws, strict=True)
    ]
