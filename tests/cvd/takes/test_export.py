from pathlib import Path

import imageio.v3 as iio
import numpy as np

from cvd.takes import export


def gradient(frames: int = 3, height: int = 32, width: int = 48) -> np.ndarray:
    level = np.linspace(0.5, 1, frames)[:, None, None]
    ramp = np.broadcast_to(level * np.linspace(0, 1, width), (frames, height, width))
    return np.stack([ramp, 1 - ramp, np.full_like(ramp, 0.5)], -1).astype(np.float32)


def test_frames_come_back_exactly(tmp_path: Path) -> None:
    frames = export.to_uint8(gradient())
    paths = export.write_frames(tmp_path / "view", frames)
    assert [path.name for path in paths] == ["0001.png", "0002.png", "0003.png"]
    assert np.array_equal(export.read_frames(tmp_path / "view"), frames)


def test_bytes_round_and_clip() -> None:
    assert export.to_uint8(np.array([-0.1, 0.4999, 1.2], np.float32)).tolist() == [0, 127, 255]


def test_videos_hold_every_frame_at_its_size(tmp_path: Path) -> None:
    frames = export.to_uint8(gradient())
    export.write_mp4(tmp_path / "a.mp4", frames)
    export.write_gif(tmp_path / "a.gif", frames)
    video = iio.imread(tmp_path / "a.mp4")
    assert video.shape == frames.shape
    assert np.abs(video.astype(int) - frames).mean() < 4
    assert iio.imread(tmp_path / "a.gif").shape == frames.shape


def test_grid_shows_every_view_enlarged() -> None:
    videos = np.stack([np.full((2, 64, 64, 3), value, np.uint8) for value in (50, 100, 150, 200, 250)])
    grid = export.view_grid(videos)
    assert grid.shape == (2, 2 * 256 + 8, 3 * 256 + 2 * 8, 3)
    assert [grid[0, 128, 128 + 264 * column, 0] for column in range(3)] == [50, 100, 150]
    assert [grid[0, 128 + 264, 128 + 264 * column, 0] for column in range(3)] == [200, 250, 0]
