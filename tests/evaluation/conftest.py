"""Rendered videos that several tests of the evaluation look at."""

from dataclasses import dataclass

import numpy as np
import pytest
from evaluation.rendered import render_room

from cvd.cameras import Cameras
from cvd.trajectories import pattern_cameras


@dataclass(frozen=True, eq=False)
class Room:
    """Two views of one room, and of another room through the second view's cameras."""

    cameras: Cameras
    videos: np.ndarray
    other: np.ndarray


@pytest.fixture(scope="session")
def room() -> Room:
    cameras = pattern_cameras("circle", views=2, height=128, width=128, frames=3, camera_dist=0.3)
    videos = render_room(cameras, seed=0)
    return Room(cameras, videos, np.stack([videos[0], render_room(cameras, seed=1)[1]]))
