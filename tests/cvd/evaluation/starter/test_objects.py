"""Objects of the starter model's world are found at their known places."""

import numpy as np
import pytest

from cvd.evaluation.starter.objects import find_objects, oklab
from cvd.starter.render import render
from cvd.starter.world import PALETTE, SKIES, Ground, Scene, Sky, Solid, ground_from_camera, intrinsics
from protocol.geometry import look_at, path_to

BALL = Solid("sphere", "red", x=-0.3, z=1.1, size=0.32)
CUBE = Solid("cube", "blue", x=0.22, z=1.0, size=0.3, yaw=0.4)
SIDE = np.array([0.4, -0.2, 0.0])
PATH = path_to(SIDE, look_at(SIDE), frames=3)


def intrinsics_of(size: int, frames: int = 3) -> np.ndarray:
    return np.broadcast_to(intrinsics(size, size), (frames, 3, 3))


def video(
    *solids: Solid,
    ground: Ground = Ground("green", "checkered"),  # noqa: B008
    sky: Sky = Sky(),  # noqa: B008
    size: int = 128,
    K: np.ndarray | None = None,
) -> np.ndarray:
    return render([Scene(solids, ground, sky)] * len(PATH), PATH, size, size, K)


@pytest.mark.parametrize(
    ("ground", "size"),
    [
        (Ground("green", "checkered"), 128),
        (Ground("white"), 128),
        (Ground("purple", "striped"), 64),
        (Ground("black", "dotted"), 192),
    ],
)
def test_objects_are_found_where_they_project_to(ground: Ground, size: int) -> None:
    found = find_objects(video(BALL, CUBE, ground=ground, size=size), PATH, intrinsics_of(size))
    for frame, pose in zip(found, PATH, strict=True):
        assert sorted(region.colour for region in frame) == ["blue", "red"]
        ball = next(region for region in frame if region.colour == "red")
        centre = np.linalg.inv(ground_from_camera() @ pose) @ [BALL.x, BALL.size / 2, BALL.z, 1]
        pixel = intrinsics(size, size) @ centre[:3]
        assert np.linalg.norm(ball.centroid - pixel[:2] / pixel[2]) < size / 64
        assert not ball.cut


@pytest.mark.parametrize("sky", SKIES)
@pytest.mark.parametrize("colour", PALETTE)
def test_every_colour_is_told_from_the_others(colour: str, sky: str) -> None:
    ground = Ground("green" if colour != "green" else "red")
    solid = Solid("sphere", colour, x=0.0, z=1.0, size=0.36)
    found = find_objects(video(solid, ground=ground, sky=Sky(sky)), PATH, intrinsics_of(128))
    assert [[region.colour for region in frame] for frame in found] == [[colour]] * 3


@pytest.mark.parametrize("material", ["striped", "checkered"])
def test_a_pattern_does_not_split_an_object(material: str) -> None:
    solid = Solid("cylinder", "yellow", x=0.0, z=1.0, size=0.4, material=material)
    found = find_objects(video(solid, ground=Ground("cyan")), PATH, intrinsics_of(128))
    assert [[region.colour for region in frame] for frame in found] == [["yellow"]] * 3


def test_objects_are_found_through_a_zoom() -> None:
    K = intrinsics_of(128) * [[1.4], [1.4], [1]] + [[0, 0, -25.6], [0, 0, -25.6], [0, 0, 0]]
    found = find_objects(video(CUBE, K=K), PATH, K)
    assert [[region.colour for region in frame] for frame in found] == [["blue"]] * 3


@pytest.mark.parametrize("sky", SKIES)
@pytest.mark.parametrize("ground", [Ground("black"), Ground("white", "striped"), Ground("orange", "checkered")])
def test_objects_are_told_from_every_ground_and_sky(ground: Ground, sky: str) -> None:
    found = find_objects(video(BALL, CUBE, ground=ground, sky=Sky(sky)), PATH, intrinsics_of(128))
    assert [sorted(region.colour for region in frame) for frame in found] == [["blue", "red"]] * 3


def test_an_empty_world_has_no_objects() -> None:
    assert find_objects(video(), PATH, intrinsics_of(128)) == [[]] * 3


def test_objects_at_the_border_and_behind_others_are_cut() -> None:
    aside = Solid("sphere", "red", x=-0.62, z=1.1, size=0.32)
    (region,) = find_objects(video(aside)[:1], PATH[:1], intrinsics_of(128, 1))[0]
    assert region.cut
    behind = Solid("sphere", "red", x=0.45, z=1.4, size=0.32)
    found = find_objects(video(behind, CUBE)[:1], PATH[:1], intrinsics_of(128, 1))[0]
    assert {region.colour: region.cut for region in found} == {"red": True, "blue": False}


def test_oklab_of_white_and_grey() -> None:
    np.testing.assert_allclose(oklab(np.ones(3)), [1, 0, 0], atol=1e-3)
    grey = oklab(np.full(3, 0.5))
    assert 0 < grey[0] < 1
    np.testing.assert_allclose(grey[1:], 0, atol=1e-3)
