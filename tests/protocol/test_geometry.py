"""Camera geometry, against values worked out by hand and against scipy. No image here is square."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from protocol.geometry import (
    OPENCV_FROM_OPENGL,
    PATTERN_TARGET,
    PATTERNS,
    covering_size,
    cropped_intrinsics,
    fitting_part,
    frame_indices,
    frusta_overlap,
    interpolated_poses,
    look_at,
    path_to,
    pattern_intrinsics,
    pattern_poses,
    resized_intrinsics,
    sample_times,
    size_of_area,
    slerp,
    target_distance,
    widened_intrinsics,
)

# --------------------------------------------------------------------------------------------------------- axes, sizes


def test_a_camera_of_opengl_looks_along_minus_z_with_y_up() -> None:
    right, down, forward = (np.eye(4) @ OPENCV_FROM_OPENGL)[:3, :3].T
    assert right.tolist() == [1, 0, 0]
    assert down.tolist() == [0, -1, 0]
    assert forward.tolist() == [0, 0, -1]


def test_axes_change_back_by_the_same_matrix() -> None:
    np.testing.assert_array_equal(OPENCV_FROM_OPENGL @ OPENCV_FROM_OPENGL, np.eye(4))


def test_resized_intrinsics_of_twice_the_height_and_half_the_width() -> None:
    K = [[60.0, 0, 50], [0, 80, 30], [0, 0, 1]]
    resized = resized_intrinsics(np.tile(K, (3, 5, 1, 1)), (64, 96), (128, 48))
    assert resized.shape == (3, 5, 3, 3)
    np.testing.assert_allclose(resized[2, 4], [[30, 0, 25], [0, 160, 60], [0, 0, 1]])


def test_cropped_intrinsics_keep_pixels_square_and_the_centre_in_place() -> None:
    K = [[100.0, 0, 100], [0, 100, 30], [0, 0, 1]]
    # Half the size, and 16 of 96 columns cut at either side.
    np.testing.assert_allclose(cropped_intrinsics(K, (64, 192), (32, 64)), [[50, 0, 34], [0, 50, 15], [0, 0, 1]])
    # As wide as before, and taller by a quarter: scaled by 1.25, and 24 columns cut at either side.
    np.testing.assert_allclose(cropped_intrinsics(K, (64, 192), (80, 192)), [[125, 0, 101], [0, 125, 37.5], [0, 0, 1]])
    # Half the size, and 8 of 32 rows cut at the top and at the bottom.
    many = cropped_intrinsics(np.tile(K, (2, 7, 1, 1)), (64, 192), (16, 96))
    np.testing.assert_allclose(many[1, 6], [[50, 0, 50], [0, 50, 7], [0, 0, 1]])


@pytest.mark.parametrize(
    ("aspect", "side", "multiple", "expected"),
    [
        (1.0, 256, 64, (256, 256)),
        (16 / 9, 256, 8, (192, 344)),
        (16 / 9, 256, 64, (192, 320)),
        (9 / 16, 256, 8, (344, 192)),
        (9 / 16, 512, 64, (704, 384)),
        (16 / 9, 960, 8, (720, 1280)),
        (4000, 64, 64, (64, 4032)),
    ],
)
def test_sizes_of_an_area(aspect: float, side: float, multiple: int, expected: tuple[int, int]) -> None:
    assert size_of_area(aspect, side, multiple) == expected


@pytest.mark.parametrize(
    ("aspect", "side", "multiple", "expected"),
    [
        (1.0, 128, 64, (128, 128)),
        (16 / 9, 128, 64, (128, 192)),
        (9 / 16, 128, 64, (192, 128)),
        (2.39, 128, 64, (128, 192)),
        (3 / 2, 128, 64, (128, 192)),
        (4.0, 128, 64, (64, 256)),
        (16 / 9, 64, 8, (48, 88)),
        (16 / 9, 256, 8, (192, 344)),
        (2.39, 256, 8, (168, 400)),
    ],
)
def test_sizes_that_cover_a_view(aspect: float, side: float, multiple: int, expected: tuple[int, int]) -> None:
    assert covering_size(aspect, side, multiple, largest=4096) == expected


@given(st.floats(0.25, 4), st.sampled_from([64, 128, 256, 512]), st.sampled_from([8, 16, 64]))
def test_a_view_lies_whole_in_the_covering_size_and_touches_two_edges(aspect: float, side: int, multiple: int) -> None:
    size = covering_size(aspect, side, multiple, largest=4096)
    part = fitting_part(aspect, size)
    assert size[0] % multiple == size[1] % multiple == 0
    assert part[1] / part[0] == pytest.approx(aspect)
    assert any(part[axis] == pytest.approx(size[axis]) for axis in (0, 1))
    assert all(part[axis] <= size[axis] for axis in (0, 1))
    assert all(size[axis] - part[axis] < multiple for axis in (0, 1)), "no smaller multiple covers it"
    if side >= 4 * multiple:
        assert np.prod(part) == pytest.approx(side**2, rel=0.4)


def test_the_covering_size_is_bounded() -> None:
    assert covering_size(20, 1024, 64, largest=2048) == (128, 2048)
    assert covering_size(1 / 20, 1024, 64, largest=2048) == (2048, 128)


def test_widened_intrinsics_show_the_old_image_in_the_fitting_part() -> None:
    """Corners of a 160 x 90 image, in one of 192 x 128: at the corners of the part of 192 x 108, with square pixels."""
    K = np.array([[100.0, 0, 90], [0, 100, 40], [0, 0, 1]])
    wide = widened_intrinsics(np.tile(K, (2, 3, 1, 1)), (90, 160), (128, 192))
    assert wide[0, 0, 0, 0] == wide[0, 0, 1, 1] == 120
    height, width = fitting_part(160 / 90, (128, 192))
    assert (height, width) == pytest.approx((108, 192))
    for corner in ((0, 0), (160, 0), (0, 90), (160, 90)):
        ray = np.linalg.inv(K) @ [*corner, 1]
        expected = [corner[0] * width / 160, 10 + corner[1] * height / 90]
        np.testing.assert_allclose((wide[1, 2] @ ray)[:2], expected, atol=1e-9)


@given(st.floats(0.05, 20), st.sampled_from([64, 256, 512, 1024]), st.sampled_from([8, 16, 64]))
def test_sizes_are_multiples_and_near_the_aspect(aspect: float, side: int, multiple: int) -> None:
    height, width = size_of_area(aspect, side, multiple)
    assert width % multiple == height % multiple == 0
    assert min(width, height) >= multiple
    if min(width, height) >= 4 * multiple:
        assert width / height == pytest.approx(aspect, rel=0.3)


# --------------------------------------------------------------------------------------------------- times and poses


def test_times_span_the_range_with_both_ends() -> None:
    times = sample_times(1, 48, 16)
    assert times[:2].tolist() == [1.0, pytest.approx(1 + 47 / 15)]
    assert times[-1] == 48.0
    assert sample_times(5, 48, 1).tolist() == [5.0]


@pytest.mark.parametrize(
    ("available", "frames", "expected"),
    [
        (16, 7, [0, 2, 5, 8, 10, 12, 15]),  # of 0, 2.5, 5, 7.5, 10, 12.5, 15
        (16, 4, [0, 5, 10, 15]),
        (8, 5, [0, 2, 4, 5, 7]),  # of 0, 1.75, 3.5, 5.25, 7
        (16, 1, [0]),
        (3, 5, [0, 0, 1, 2, 2]),  # of 0, 0.5, 1, 1.5, 2
        (1, 3, [0, 0, 0]),
    ],
)
def test_frames_are_rounded_to_the_nearest(available: int, frames: int, expected: list[int]) -> None:
    assert frame_indices(available, frames).tolist() == expected


ANGLES = [0.0, 1e-15, 1e-9, 1e-4, 0.3, np.pi / 2, 3.0, np.pi - 1e-4, np.pi - 1e-9]


@pytest.mark.parametrize("angle", ANGLES)
def test_slerp_is_scipys_at_small_and_large_angles(angle: float) -> None:
    rng = np.random.default_rng(0)
    first = Rotation.random(50, random_state=rng)
    axes = rng.normal(size=(50, 3))
    axes[:3] = np.eye(3)
    second = first * Rotation.from_rotvec(angle * axes / np.linalg.norm(axes, axis=-1, keepdims=True))
    share = np.linspace(0, 1, 7)
    ours = slerp(first.as_matrix()[:, None], second.as_matrix()[:, None], share)
    for number, turned in enumerate(ours):
        theirs = Slerp([0, 1], Rotation.concatenate([first[number], second[number]]))(share).as_matrix()
        np.testing.assert_allclose(turned, theirs, atol=1e-12)
        np.testing.assert_allclose(turned @ turned.mT, np.tile(np.eye(3), (7, 1, 1)), atol=1e-14)


@pytest.mark.parametrize("half_turn", [np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1])])
def test_slerp_takes_one_way_of_a_half_turn(half_turn: np.ndarray) -> None:
    turned = slerp(np.eye(3), half_turn, [0, 0.25, 0.5, 1])
    np.testing.assert_array_equal(turned[0], np.eye(3))
    np.testing.assert_allclose(np.degrees(Rotation.from_matrix(turned).magnitude()), [0, 45, 90, 180], atol=1e-6)
    np.testing.assert_allclose(turned[-1], half_turn, atol=1e-15)


def test_poses_between_frames() -> None:
    c2w = np.tile(np.eye(4), (2, 3, 1, 1))
    c2w[0, :, :3, 3] = [[0, 0, 0], [1, 2, 0], [1, 2, 4]]
    c2w[0, 1, :3, :3] = Rotation.from_rotvec(np.radians([0, 40, 0])).as_matrix()
    poses = interpolated_poses(c2w, np.array([0, 0.25, 1, 1.5, 2]))
    np.testing.assert_allclose(poses[0, [0, 2, 4]], c2w[0], atol=1e-15)
    np.testing.assert_allclose(poses[0, [1, 3], :3, 3], [[0.25, 0.5, 0], [1, 2, 2]])
    turned = Rotation.from_matrix(poses[0, :, :3, :3]).as_rotvec()
    np.testing.assert_allclose(np.degrees(turned), np.outer([0, 10, 40, 20, 0], [0, 1, 0]), atol=1e-9)
    np.testing.assert_array_equal(poses[1], np.tile(np.eye(4), (5, 1, 1)))


# -------------------------------------------------------------------------------------------------- official patterns


def official_path(end: np.ndarray, frames: int) -> np.ndarray:
    """As the official code makes it, for cameras that look at (0, 0, 1): scipy turns, and the translation is linear."""
    forward = [0, 0, 1] - end
    forward /= np.linalg.norm(forward)
    side = np.cross([0, 1, 0], forward)
    side /= np.linalg.norm(side)
    rotation = np.stack([side, np.cross(forward, side), forward], -1)
    share = np.linspace(0, 1, frames)
    c2w = np.tile(np.eye(4), (frames, 1, 1))
    c2w[:, :3, :3] = Slerp([0, 1], Rotation.from_matrix([np.eye(3), rotation]))(share).as_matrix()
    c2w[:, :3, 3] = share[:, None] * end
    return c2w


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("views", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("distance", [0, 1e-9, 0.5, 30])
def test_patterns_move_and_turn_as_the_official_ones(pattern: str, views: int, distance: float) -> None:
    c2w = pattern_poses(pattern, views, 7, distance)
    assert c2w.shape == (views, 7, 4, 4)
    np.testing.assert_array_equal(c2w[:, 0], np.tile(np.eye(4), (views, 1, 1)))
    for path in c2w:
        np.testing.assert_allclose(path, official_path(path[-1, :3, 3].copy(), 7), atol=1e-12)


def test_end_points_are_the_official_ones() -> None:
    def ends(pattern: str, views: int) -> np.ndarray:
        return pattern_poses(pattern, views)[:, -1, :3, 3]

    np.testing.assert_allclose(ends("circle", 4), [[0.5, 0, 0], [0, 0.5, 0], [-0.5, 0, 0], [0, -0.5, 0]], atol=1e-12)
    np.testing.assert_allclose(ends("upper_hemi", 3), [[-0.5, 0, 0], [0, -0.5, 0], [0.5, 0, 0]], atol=1e-12)
    middle = 0.5 * np.array([0, 0.3 * np.cos(np.pi / 2 + 0.5), -0.2])
    np.testing.assert_allclose(ends("interpolate", 3)[1], middle, atol=1e-12)


def test_the_motion_of_a_pattern_is_even_and_ends_facing_the_target() -> None:
    c2w = pattern_poses("circle", 2)
    np.testing.assert_allclose(np.diff(c2w[0, :, :3, 3], axis=0), np.tile([0.5 / 15, 0, 0], (15, 1)), atol=1e-12)
    ahead = np.linalg.inv(c2w[:, -1]) @ [*PATTERN_TARGET, 1]
    np.testing.assert_allclose(ahead, [[0, 0, np.hypot(1, 0.5), 1]] * 2, atol=1e-12)
    assert pattern_poses("circle", 2, frames=1).tolist() == np.tile(np.eye(4), (2, 1, 1, 1)).tolist()


def test_the_shorter_side_has_the_official_focal_length() -> None:
    np.testing.assert_allclose(pattern_intrinsics((256, 448)), [[223.578, 0, 224], [0, 223.578, 128], [0, 0, 1]])
    np.testing.assert_allclose(pattern_intrinsics((512, 256)), [[223.578, 0, 128], [0, 223.578, 256], [0, 0, 1]])


def test_cameras_look_at_a_point_with_a_level_horizon() -> None:
    # From the right of the point, from before it, and from half-way between and above.
    origins = np.array([[5.0, 0, 3], [0, 0, -1], [2, -1, 1]])
    rotations = look_at(origins, np.array([0.0, 0, 3]))
    np.testing.assert_allclose(rotations[0], [[0, 0, -1], [0, 1, 0], [1, 0, 0]], atol=1e-15)
    np.testing.assert_allclose(rotations[1], np.eye(3), atol=1e-15)
    np.testing.assert_allclose(rotations[2, :, 2], np.array([-2, 1, 2]) / 3)
    np.testing.assert_allclose(rotations[:, 1, 0], 0)
    np.testing.assert_allclose(np.linalg.det(rotations), 1)


def test_many_paths_at_once_are_those_made_one_by_one() -> None:
    ends = np.array([[0.3, 0.1, -0.2], [-0.4, 0, 0.2]])
    together = path_to(ends, look_at(ends), 5)
    for path, end in zip(together, ends, strict=True):
        np.testing.assert_allclose(path, path_to(end, look_at(end), 5), atol=1e-15)


# ------------------------------------------------------------------------------------------ what several cameras see

SIZE = (40, 80)
# At a distance of 2, this lens sees an area that is 2 wide and 1 high.
LENS = np.array([[80.0, 0, 40], [0, 80, 20], [0, 0, 1]])


def overlap(*second: np.ndarray, K: np.ndarray = LENS, distance: float = 2, **options: object) -> np.ndarray:
    """(2, 2, F): a camera that stands still at the origin, and a second one with its pose and `K` in each frame."""
    c2w = np.stack([np.tile(np.eye(4), (len(second), 1, 1)), np.stack(second)])
    lenses = np.stack([np.tile(LENS, (len(second), 1, 1)), np.tile(K, (len(second), 1, 1))])
    return frusta_overlap(c2w, lenses, SIZE, distance, **options)


def pose(x: float = 0, y: float = 0, z: float = 0, turn: float = 0) -> np.ndarray:
    """A camera at (x, y, z), turned around the vertical by degrees."""
    c2w = np.eye(4)
    c2w[:3, :3] = Rotation.from_rotvec([0, np.radians(turn), 0]).as_matrix()
    c2w[:3, 3] = x, y, z
    return c2w


def test_cameras_side_by_side_see_the_same_half() -> None:
    found = overlap(pose(), pose(x=1), depths=(1,))
    assert found.shape == (2, 2, 2)
    assert found[..., 0].tolist() == [[1, 1], [1, 1]]
    assert found[..., 1].tolist() == [[1, 0.5], [0.5, 1]]


def test_width_and_height_are_told_apart() -> None:
    # A quarter of a unit is an eighth of the width, and a quarter of the height.
    assert overlap(pose(x=0.25), pose(y=0.25), pose(x=-0.25), depths=(1,))[0, 1].tolist() == [0.875, 0.75, 0.875]


def test_depths_count_equally() -> None:
    # Cameras that are 1 apart share nothing of an area 1 wide, half of one 2 wide, three quarters of one 4 wide.
    assert overlap(pose(x=1))[0, 1] == pytest.approx([(0 + 0.5 + 0.75) / 3])
    assert overlap(pose(x=1), depths=(2,))[0, 1] == pytest.approx([0.75])


def test_a_longer_lens_sees_a_part_and_is_seen_whole() -> None:
    zoomed = np.diag([2.0, 2, 1]) @ LENS - [[0, 0, 40], [0, 0, 20], [0, 0, 0]]
    found = overlap(pose(), K=zoomed)
    assert found[0, 1] == pytest.approx([0.25])
    assert found[1, 0] == pytest.approx([1])


def test_a_camera_that_is_nearer_sees_a_part_and_is_seen_whole() -> None:
    found = overlap(pose(z=1), depths=(1,))
    assert found[0, 1] == pytest.approx([0.25])
    assert found[1, 0] == pytest.approx([1])


def test_cameras_that_face_each_other_and_cameras_back_to_back() -> None:
    assert overlap(pose(z=4, turn=180), pose(turn=180), depths=(1,))[0, 1].tolist() == [1, 0]


def test_units_do_not_matter() -> None:
    small, large = overlap(pose(x=1, z=0.5, turn=-20)), overlap(pose(x=100, z=50, turn=-20), distance=200)
    np.testing.assert_allclose(large, small)
    assert 0 < small[0, 1, 0] < 1


def test_overlap_of_any_cameras_is_a_share() -> None:
    rng = np.random.default_rng(1)
    c2w = np.tile(np.eye(4), (5, 3, 1, 1))
    c2w[..., :3, :3] = Rotation.random(15, random_state=rng).as_matrix().reshape(5, 3, 3, 3)
    c2w[..., :3, 3] = rng.normal(size=(5, 3, 3))
    found = frusta_overlap(c2w, np.tile(LENS, (5, 3, 1, 1)), SIZE, 1.0)
    assert found.shape == (5, 5, 3)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_array_equal(np.diagonal(found), 1)


def test_the_target_is_where_the_axes_meet() -> None:
    # One camera is 2 before the point (0, 0, 2), the other 3 to its right.
    c2w = np.stack([pose(), pose(x=3, z=2, turn=-90)])
    assert target_distance(c2w) == pytest.approx(2.5)
    c2w[1, 1, 3] = 0.8  # the axes pass each other now
    assert target_distance(c2w) == pytest.approx(2.5)
    c2w[:, :3, 3] += [1e5, -3e4, 2e5]
    assert target_distance(c2w) == pytest.approx(2.5)
    assert target_distance(pattern_poses("circle", 3)) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "poses",
    [
        [pose()],
        [pose(), pose(x=1), pose(y=1)],
        [pose(), pose(x=1, turn=0.01)],
        [pose(x=-1, turn=-20), pose(x=1, turn=20)],
        [pose(x=1.35, y=0.78, z=0.26, turn=turn) for turn in (0, 10, 50)],
    ],
    ids=["one camera", "parallel", "almost parallel", "apart", "turning in place"],
)
def test_there_is_no_target_where_the_axes_do_not_meet(poses: list[np.ndarray]) -> None:
    assert target_distance(np.stack(poses)) is None
