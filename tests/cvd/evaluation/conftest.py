"""Rendered videos for several tests of the evaluation."""

import numpy as np
import pytest
from support.rendered import Room, render_room

from cvd.cameras.patterns import pattern_cameras


@pytest.fixture(scope="session")
def room() -> Room:
    cameras = pattern_cameras("circle", views=2, height=128, width=128, frames=3, camera_dist=0.3)
    videos = render_room(cameras, seed=0)
    return Room(cameras, videos, np.stack([videos[0], render_room(cameras, seed=1)[1]]))
