"""Folders in RealEstate10K's layout: filmed clips with known cameras. A clip's two halves are a pair (CVD, 4.3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...cameras.cameras import Cameras
from ...cameras.files import read_realestate
from ...errors import CameraError
from ..errors import TrainingError
from .sample import Request, Sample, Split, cover, draw_clip, draw_frames, read_captions, read_image, split_names

FRAME_COLUMNS = 19
SUFFIXES = (".png", ".jpg", ".jpeg")


class RealEstate:
    """Clips as `cameras/CLIP.txt` and `frames/CLIP/TIMESTAMP.png` (or .jpg), with captions in `captions.json`.

    A pair is a clip of 2F - 1 frames with a random stride. Both videos start at its middle frame. One runs backwards to
    the clip's first frame, the other forwards to its last frame. Poses are relative to the middle frame.

    Args:
        folder: folder with the two folders `cameras` and `frames`.
        height, width: size of the frames in pixels. Images are scaled to cover it and cropped around the centre.
        split: part of the clips to draw from.

    Raises:
        TrainingError: no clip has both cameras and frames.
    """

    has_cameras = True

    def __init__(self, folder: Path, height: int, width: int, split: Split) -> None:
        names = sorted(path.stem for path in (folder / "cameras").glob("*.txt"))
        names = [name for name in names if (folder / "frames" / name).is_dir()]
        if not names:
            raise TrainingError(
                f"{folder} has no clip.", "It needs cameras/CLIP.txt and frames/CLIP/TIMESTAMP.png for each clip."
            )
        self.folder, self.height, self.width = folder, height, width
        self.names, self.captions = split_names(names, split), read_captions(folder)

    def sample(self, rng: np.random.Generator, request: Request) -> Sample:
        count = request.frames if request.views == 1 else 2 * request.frames - 1

        def read(name: str) -> tuple[dict[int, Path], np.ndarray] | None:
            images = self._images(name)
            picked = draw_frames(rng, len(images), count)
            return None if picked is None else (images, np.array(sorted(images))[picked])

        name, (images, lines) = draw_clip(rng, self.names, read, self.folder)
        middle = request.frames - 1
        videos = lines[None] if request.views == 1 else np.stack([lines[middle::-1], lines[middle:]])
        pictures = {line: read_image(images[line]) for line in lines}
        start = pictures[lines[0]]
        c2w, K = self._cameras(name, start.width / start.height)
        cameras = Cameras(np.linalg.inv(c2w[videos[0, 0]]) @ c2w[videos], K[videos], self.height, self.width)
        frames = {line: cover(picture, self.height, self.width) for line, picture in pictures.items()}
        return Sample(
            self.captions.get(name, ""),
            frames=np.stack([[frames[line] for line in video] for video in videos]),
            cameras=cameras,
        )

    def _images(self, name: str) -> dict[int, Path]:
        """Images of a clip's frames, by the frame's line in the camera file. Frames without an image are left out."""
        stamped = {}
        for path in (self.folder / "frames" / name).iterdir():
            if path.suffix.lower() in SUFFIXES:
                stamped[_timestamp(path.stem, path)] = path
        camera_file = self.folder / "cameras" / f"{name}.txt"
        lines = [words for line in camera_file.read_text().splitlines() if len(words := line.split()) == FRAME_COLUMNS]
        stamps = [_timestamp(words[0], camera_file) for words in lines]
        return {line: stamped[stamp] for line, stamp in enumerate(stamps) if stamp in stamped}

    def _cameras(self, name: str, aspect: float) -> tuple[np.ndarray, np.ndarray]:
        path = self.folder / "cameras" / f"{name}.txt"
        try:
            return read_realestate(path, self.height, self.width, source_aspect=aspect)
        except CameraError as error:
            raise TrainingError(error.message, error.hint) from error


def _timestamp(text: str, path: Path) -> int:
    try:
        return int(float(text))
    except ValueError as error:
        raise TrainingError(f'"{text}" of {path} is not a time stamp.') from error
