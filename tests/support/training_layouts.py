"""Clips of the procedural world in the layouts that training reads."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from cvd.cameras import Cameras
from cvd.cameras.files import write_realestate
from cvd.starter.procedural import Draw, draw, render_draws


def draw_one_video(seed: int, frames: int) -> Draw:
    """A scene that one moving camera sees."""
    found = draw(np.random.default_rng(seed), views=1, frames=frames)
    return found if np.ptp(found.path.c2w[0, :, :3, 3], axis=0).max() > 0.1 else draw_one_video(seed + 1, frames)


def write_realestate_clip(folder: Path, name: str, seed: int, frames: int, width: int, height: int) -> Draw:
    """A clip's camera file, frames and caption; time stamps are 1000 times the frame's number."""
    found = draw_one_video(seed, frames)
    (clips,) = render_draws([found], width, height)
    cameras = folder / "cameras"
    cameras.mkdir(parents=True, exist_ok=True)
    (path,) = write_realestate(cameras, Cameras(clips.c2w, clips.K, height, width))
    address, *lines = path.read_text().splitlines()
    stamped = [f"{1000 * number} {line.split(maxsplit=1)[1]}" for number, line in enumerate(lines)]
    path.unlink()
    (cameras / f"{name}.txt").write_text("\n".join([address, *stamped]) + "\n")
    (folder / "frames" / name).mkdir(parents=True)
    for number, frame in enumerate(clips.frames[0]):
        iio.imwrite(folder / "frames" / name / f"{1000 * number}.png", frame)
    captions = folder / "captions.json"
    known = json.loads(captions.read_text()) if captions.exists() else {}
    captions.write_text(json.dumps(known | {name: clips.caption}))
    return found


def numbered_frames(count: int, width: int = 64, height: int = 48) -> np.ndarray:
    """(count, height, width, 3) uint8. Frame n is grey with brightness 4 n, so a frame shows its number."""
    return np.repeat(4 * np.arange(count, dtype=np.uint8), height * width * 3).reshape(count, height, width, 3)
