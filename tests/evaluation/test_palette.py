"""Objects of the starter model's world, found where they were put."""

import numpy as np
import pytest

from cvd.errors import RequestError
from cvd.evaluation.palette import find_ground, find_objects, oklab
from cvd.starter.render import render
from cvd.starter.world import PALETTE, Ground, Scene, Solid, ground_from_camera, intrinsics
from cvd.trajectories import look_at, path_to

BALL = Solid("sphere", "red", x=-0.22, z=1.1, size=0.32)
CUBE = Solid("cube", "blue", x=0.22, z=1.0, size=0.3, yaw=0.4)
SIDE = np.array([0.4, -0.2, 0.0])
PATH = path_to(SIDE, look_at(SIDE), frames=3)


def intrinsics_of(size: int, frames: int = 3) -> np.ndarray:
    return np.broadcast_to(intrinsics(size, size), (frames, 3, 3))


def video(*solids: Solid, ground: Ground = Ground("green", "checkered"), size: int = 64) -> np.ndarray:  # noqa: B008
    return render([Scene(solids, ground)] * len(PATH), PATH, size, size)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("ground", [Ground("green", "checkered"), Ground("white"), Ground("purple")])
def test_objects_are_found_where_they_project_to(ground: Ground, size: int) -> None:
    found = find_objects(video(BALL, CUBE, ground=ground, size=size), PATH, intrinsics_of(size))
    for frame, pose in zip(found, PATH, strict=True):
        assert sorted(region.colour for region in frame) == ["blue", "red"]
        ball = next(region for region in frame if region.colour == "red")
        centre = np.linalg.inv(ground_from_camera() @ pose) @ [BALL.x, BALL.size / 2, BALL.z, 1]
        pixel = intrinsics(size, size) @ centre[:3]
        assert np.linalg.norm(ball.centroid - pixel[:2] / pixel[2]) < size / 64
        assert not ball.cut


@pytest.mark.parametrize("colour", PALETTE)
def test_every_colour_is_told_from_the_others(colour: str) -> None:
    ground = Ground("green" if colour != "green" else "red")
    solid = Solid("sphere", colour, x=0.0, z=1.0, size=0.36)
    found = find_objects(video(solid, ground=ground), PATH, intrinsics_of(64))
    assert [[region.colour for region in frame] for frame in found] == [[colour]] * 3


@pytest.mark.parametrize("pattern", ["plain", "checkered"])
@pytest.mark.parametrize("colour", ["black", "white", "orange"])
def test_the_ground_is_found(colour: str, pattern: str) -> None:
    ground = Ground(colour, pattern)
    assert find_ground(video(BALL, CUBE, ground=ground), PATH) == ground


def test_an_empty_world_has_no_objects() -> None:
    assert find_objects(video(), PATH, intrinsics_of(64)) == [[]] * 3


def test_objects_at_the_border_are_cut() -> None:
    aside = Solid("sphere", "red", x=-0.62, z=1.1, size=0.32)
    (region,) = find_objects(video(aside)[:1], PATH[:1], intrinsics_of(64, 1))[0]
    assert region.cut


def test_another_lens_is_refused() -> None:
    with pytest.raises(RequestError, match="one lens only"):
        find_objects(video(), PATH, intrinsics_of(64) * [[2], [2], [1]])


def test_oklab_of_white_and_grey() -> None:
    np.testing.assert_allclose(oklab(np.array([255, 255, 255])), [1, 0, 0], atol=1e-3)
    grey = oklab(np.array([128, 128, 128]))
    assert 0 < grey[0] < 1
    np.testing.assert_allclose(grey[1:], 0, atol=1e-3)
