"""The renderer's geometry: colours appear at projected points, in every view and at every time."""

import numpy as np
import pytest
from support.starter_scenes import IDENTITY, SIZE, centroid, image_at, project, red

from cvd.starter.render import render
from cvd.starter.world import CAMERA_HEIGHT, SHAPES, Ground, Scene, Sky, Solid, ground_from_camera, intrinsics
from protocol.geometry import look_at, path_to

RED_BALL = Solid("sphere", "red", x=0.1, z=1.1, size=0.3)
SCENE = Scene((RED_BALL,), Ground("white"))
K = intrinsics(SIZE, SIZE)


def end_pose(*position: float) -> np.ndarray:
    return path_to(np.array(position), look_at(np.array(position)))[-1]


POSES = [IDENTITY, end_pose(0.5, 0, 0), end_pose(-0.3, -0.4, 0.1), end_pose(0, 0.4, 0)]


def shadow(scene: Scene) -> np.ndarray:
    """(H, W) bool: True where the ground of a scene is darker than without its solids."""
    empty = Scene((), scene.ground, scene.sky)
    with_solids, without = render([scene, empty], np.stack([IDENTITY] * 2)).astype(int)
    return (without - with_solids > 40).all(-1)


def test_the_look_at_point_is_above_the_ground_and_ahead():
    x, height, ahead = (ground_from_camera() @ (0, 0, 1, 1))[:3]
    assert x == 0
    assert height == pytest.approx(0.6 - np.sin(np.deg2rad(22)))
    assert ahead == pytest.approx(np.cos(np.deg2rad(22)))
    assert (ground_from_camera() @ (0, 0, 0, 1))[1] == CAMERA_HEIGHT


@pytest.mark.parametrize("pose", POSES)
def test_a_ball_appears_where_its_centre_projects(pose: np.ndarray):
    found = centroid(red(render([SCENE], pose[None])[0]))
    assert np.abs(found - project(RED_BALL.centre(), pose)).max() < 1.2


@pytest.mark.parametrize("shape", SHAPES)
def test_a_solid_looks_the_same_whatever_is_beside_it(shape: str):
    """The box in which rays are tested against a solid contains the whole solid."""
    solid = Solid(shape, "red", x=0.0, z=1.0, size=0.4, yaw=0.3)
    beside = Solid("cube", "blue", x=0.5, z=1.6, size=0.2)
    alone, together = render(
        [Scene((solid,), SCENE.ground), Scene((solid, beside), SCENE.ground)], np.stack([IDENTITY] * 2)
    )
    np.testing.assert_array_equal(red(alone), red(together))


def test_two_views_agree_along_their_epipolar_line():
    first, second = end_pose(0.45, 0, 0), end_pose(-0.2, -0.4, 0)
    images = render([SCENE, SCENE], np.stack([first, second]))
    relative = np.linalg.inv(second) @ first
    tx, ty, tz = relative[:3, 3]
    cross = np.array([[0, -tz, ty], [tz, 0, -tx], [-ty, tx, 0]])
    fundamental = np.linalg.inv(K).T @ cross @ relative[:3, :3] @ np.linalg.inv(K)
    line = fundamental @ (*centroid(red(images[0])), 1)
    distance = abs(line @ (*centroid(red(images[1])), 1)) / np.hypot(*line[:2])
    assert distance < 1.5


def test_the_cube_stands_on_the_ground_with_its_edge_length():
    cube = Solid("cube", "red", x=0, z=1.0, size=0.4, yaw=0)
    image = render([Scene((cube,), Ground("white"))], IDENTITY[None])[0]
    top_front, bottom_front = project((0, 0.4, 0.8)), project((0, 0, 0.8))
    for pixel in (top_front + (0, 3), bottom_front - (0, 3), (top_front + bottom_front) / 2):
        r, g, _ = image_at(image, pixel)
        assert r > 2 * g
    assert np.ptp(image_at(image, bottom_front + (0, 3))) < 40


def test_the_torus_has_a_hole_that_shows_the_ground():
    ring = Solid("torus", "red", x=0, z=1.0, size=0.45)
    image = red(render([Scene((ring,), Ground("white"))], IDENTITY[None])[0])
    middle = project(ring.centre())
    assert not image_at(image, middle)
    for offset in ((0.16, 0), (-0.16, 0), (0, 0.16), (0, -0.16)):
        assert image_at(image, project(ring.centre() + (*offset, 0)))


def test_the_cone_narrows_to_its_tip():
    cone = Solid("cone", "red", x=0, z=1.0, size=0.45)
    image = red(render([Scene((cone,), Ground("white"))], IDENTITY[None])[0])
    for height, half_width in ((0.05, 0.2), (0.225, 0.1125), (0.4, 0.025)):
        row = image[int(project((0, height, 1.0))[1])]
        expected = project((half_width, height, 1.0))[0] - project((-half_width, height, 1.0))[0]
        assert row.sum() == pytest.approx(expected, abs=2.5)


def test_nearer_solids_hide_farther_ones():
    front, behind = Solid("sphere", "blue", 0, 0.9, 0.4), Solid("sphere", "red", 0, 1.35, 0.25)
    for order in ((behind, front), (front, behind)):
        hidden = image_at(render([Scene(order, Ground("white"))], IDENTITY[None])[0], project((0, 0.2, 0.9)))
        assert hidden[2] > 2 * hidden[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("azimuth", "side"), [(-np.pi / 2, 1), (np.pi / 2, -1)])
def test_shadows_fall_away_from_the_sun(azimuth: float, side: int, shape: str):
    sky = Sky(azimuth=azimuth, elevation=0.7)
    solid = Solid(shape, "white", 0, 1.0, 0.3, yaw=np.pi / 2)  # a torus faces the sun, and light falls through its hole
    found = shadow(Scene((solid,), Ground("white"), sky))
    tip = solid.centre() - sky.sun_direction * solid.centre()[1] / sky.sun_direction[1]
    assert side * (centroid(found)[0] - SIZE / 2) > 3
    assert found[tuple(project(tip).astype(int)[::-1])] == (shape != "torus")


def test_the_sun_behind_the_scene_throws_shadows_towards_the_camera():
    solid = Solid("cube", "white", 0, 1.2, 0.25)
    behind, front = (
        shadow(Scene((solid,), Ground("white"), Sky(azimuth=azimuth, elevation=0.7))) for azimuth in (0.0, np.pi)
    )
    nearest_edge = int(project((0, 0, 1.0))[1]) + 1
    assert behind[nearest_edge:].sum() > 20
    assert not front[nearest_edge:].any()


def test_a_solid_shadows_another():
    sky = Sky(azimuth=-np.pi / 2, elevation=0.6)
    lit, caster = Solid("cube", "red", 0.25, 1.0, 0.25), Solid("cube", "white", -0.2, 1.0, 0.45)
    alone, shadowed = render(
        [Scene(s, Ground("white"), sky) for s in ((lit,), (caster, lit))], np.stack([IDENTITY] * 2)
    )
    top = project((0.2, 0.25, 1.0))
    assert image_at(alone, top)[0] > image_at(shadowed, top)[0] + 30


def test_the_sky_tints_and_an_overcast_one_throws_no_hard_shadow():
    clear, sunset, overcast = (
        render([Scene((RED_BALL,), Ground("white"), Sky(kind))], IDENTITY[None])[0].astype(int)
        for kind in ("clear", "sunset", "overcast")
    )
    assert clear[0, :, 2].mean() > clear[0, :, 0].mean() + 20
    assert sunset[0, :, 0].mean() > sunset[0, :, 2].mean() + 40
    assert np.ptp(overcast[0].mean(0)) < 15
    cone = Solid("cone", "white", 0.1, 1.1, 0.3)
    assert (
        shadow(Scene((cone,), Ground("white"))).sum()
        > 3 * shadow(Scene((cone,), Ground("white"), Sky("overcast"))).sum()
    )


@pytest.mark.parametrize("pattern", ["checkered", "striped", "dotted"])
def test_a_patterned_ground_has_two_tones_of_one_hue_and_a_plain_one_has_one(pattern: str):
    images = render([Scene((), Ground("green", p)) for p in ("plain", pattern)], np.stack([IDENTITY] * 2))
    plain, patterned = (image[80:].astype(float) for image in images)
    assert plain[..., 1].std() < 5 < 20 < patterned[..., 1].std()
    assert (patterned[..., 1] > 1.8 * patterned[..., 0]).all()


@pytest.mark.parametrize("material", ["striped", "checkered"])
def test_a_patterned_solid_has_two_tones_of_one_hue(material: str):
    solids = [Solid("cube", "red", 0, 1.0, 0.45, material=m) for m in ("plain", material)]
    plain, patterned = render([Scene((s,), Ground("white")) for s in solids], np.stack([IDENTITY] * 2))
    assert (red(plain) != red(patterned)).sum() <= 2  # pixels at edges, which are mixed with the ground
    front = slice(int(project((0, 0.35, 0.78))[1]), int(project((0, 0.1, 0.78))[1])), slice(48, 80)
    assert plain[front][..., 0].std() < 8 < 20 < patterned[front][..., 0].std()


def test_zooming_scales_the_image_about_its_principal_point():
    solid = Solid("cone", "red", 0.15, 1.1, 0.3)
    lens = K * [[1.5], [1.5], [1.0]]
    lens[:2, 2] = K[:2, 2]
    plain, zoomed = render([Scene((solid,), Ground("white"))] * 2, np.stack([IDENTITY] * 2), K=np.stack([K, lens]))
    middle = np.array([SIZE / 2, SIZE / 2])
    np.testing.assert_allclose(centroid(red(zoomed)) - middle, 1.5 * (centroid(red(plain)) - middle), atol=0.5)
    assert red(zoomed).sum() == pytest.approx(2.25 * red(plain).sum(), rel=0.06)


@pytest.mark.parametrize("shape", ["sphere", "cylinder"])
def test_a_moving_solid_is_at_the_same_place_for_all_views_of_a_moment(shape: str):
    solid = Solid(shape, "red", -0.25, 1.0, 0.3, velocity=(0.5, 0.2))
    for time in (0.0, 0.5, 1.0):
        images = render([Scene((solid,), Ground("white"))] * len(POSES), np.stack(POSES), times=[time] * len(POSES))
        for image, pose in zip(images, POSES, strict=True):
            expected = render(
                [Scene((Solid(shape, "red", *solid.centre(time)[[0, 2]], 0.3),), Ground("white"))], pose[None]
            )[0]
            np.testing.assert_allclose(centroid(red(image)), project(solid.centre(time), pose), atol=2.5)
            np.testing.assert_array_equal(red(image), red(expected))


def test_a_ball_rolls_without_slipping():
    ball = Solid("sphere", "red", 0, 1, size=0.4, yaw=0.7, velocity=(0.3, 0.1))
    step = 1e-5
    for time in (0.0, 0.4):
        touching = ball.rotation(time).T @ (np.array([0, -0.2, 0]))
        moved = ball.centre(time + step) + ball.rotation(time + step) @ touching
        speed = (moved - (ball.centre(time) - (0, 0.2, 0))) / step
        np.testing.assert_allclose(speed, 0, atol=1e-4)


def test_a_spinning_solid_turns_in_place():
    ring = Solid("torus", "red", 0, 1.0, 0.4, spin=np.pi / 2)
    front, edge = red(render([Scene((ring,), Ground("white"))] * 2, np.stack([IDENTITY] * 2), times=[0, 1]))
    np.testing.assert_allclose(centroid(front), centroid(edge), atol=2)
    assert np.ptp(np.nonzero(front)[1]) > 2.5 * np.ptp(np.nonzero(edge)[1])


def test_as_many_scenes_as_cameras_lenses_and_times_are_required():
    two = np.stack([IDENTITY] * 2)
    for wrong in ({"c2w": IDENTITY[None]}, {"c2w": two, "times": [0.0]}, {"c2w": two, "K": K[None]}):
        with pytest.raises(ValueError, match="one scene per camera"):
            render([SCENE] * 2, **wrong)
