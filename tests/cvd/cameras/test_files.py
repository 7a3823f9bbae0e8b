import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cvd import Cameras
from cvd.cameras.files import (
    cameras_from_realestate,
    read_colmap,
    read_realestate,
    read_transforms,
    write_colmap,
    write_realestate,
    write_transforms,
)
from cvd.cameras.patterns import pattern_cameras
from cvd.errors import CameraError, RequestError

Through = Callable[[Path, Cameras], Cameras]

ADDRESS = "https://example.org/watch?v=0"


def realestate_line(w2c: np.ndarray, intrinsics: tuple[float, ...] = (0.5, 0.9, 0.5, 0.5)) -> str:
    return " ".join(map(str, [1000, *intrinsics, 0, 0, *w2c[:3].ravel()]))


@pytest.fixture
def realestate_file(tmp_path: Path) -> Path:
    """Three frames of a camera that moves right by one unit a frame, from (5, 0, 0)."""
    path = tmp_path / "a.txt"
    poses = [np.array([[1.0, 0, 0, -5 - i], [0, 1, 0, 0], [0, 0, 1, 0]]) for i in range(3)]
    path.write_text("\n".join([ADDRESS, *map(realestate_line, poses)]) + "\n")
    return path


def zooming_cameras() -> Cameras:
    """Views with turning, moving and zooming cameras, and a principal point off the centre."""
    cameras = pattern_cameras("interpolate", 3, 64, 96, frames=4)
    K = cameras.K.copy()
    K[..., 0, 0] *= np.linspace(1, 2, 4)
    K[..., 0, 2] += 3.25
    return Cameras(cameras.c2w, K, 64, 96)


def assert_same(ours: Cameras, theirs: Cameras) -> None:
    np.testing.assert_allclose(ours.c2w, theirs.c2w, atol=1e-9)
    np.testing.assert_allclose(ours.K, theirs.K, atol=1e-9)
    assert (ours.height, ours.width) == (theirs.height, theirs.width)


def test_realestate_is_world_to_camera_with_intrinsics_over_size(realestate_file: Path) -> None:
    c2w, K = read_realestate(realestate_file, height=360, width=640)
    np.testing.assert_allclose(c2w[:, :3, 3], [[5, 0, 0], [6, 0, 0], [7, 0, 0]])
    np.testing.assert_allclose(K[0], [[320, 0, 320], [0, 324, 180], [0, 0, 1]])


def test_realestate_intrinsics_of_a_square_crop_and_the_official_mistake(tmp_path: Path) -> None:
    """The official example's intrinsics: square pixels at 256 x 256, and the result of the official loader."""
    path = tmp_path / "a.txt"
    path.write_text(f"{ADDRESS}\n{realestate_line(np.eye(4), (0.470983, 0.837303, 0.5, 0.5))}\n")
    _, K = read_realestate(path, 256, 256)
    np.testing.assert_allclose(K[0], [[214.35, 0, 128], [0, 214.35, 128], [0, 0, 1]], atol=0.01)
    _, wrong = read_realestate(path, 256, 256, legacy_intrinsics=True)
    np.testing.assert_allclose(wrong[0], [[120.57, 0, 128], [0, 381.06, 128], [0, 0, 1]], atol=0.01)


def apart_and_zooming() -> Cameras:
    """Views that start in different places."""
    cameras = zooming_cameras()
    start = np.eye(4)
    start[:3, :3] = Rotation.from_rotvec([0.3, -0.2, 0.1]).as_matrix()
    start[:3, 3] = [3, -1, 2]
    c2w = cameras.c2w.copy()
    c2w[1] = start @ c2w[1]
    return Cameras(c2w, cameras.K, 64, 96)


def through_realestate(folder: Path, cameras: Cameras) -> Cameras:
    paths = write_realestate(folder, cameras)
    return cameras_from_realestate(paths, 64, 96, source_aspect=96 / 64, common_world=True)


def through_transforms(folder: Path, cameras: Cameras) -> Cameras:
    write_transforms(folder / "transforms.json", cameras)
    return read_transforms(folder / "transforms.json")


def through_colmap(folder: Path, cameras: Cameras) -> Cameras:
    write_colmap(folder, cameras)
    return read_colmap(folder)


FORMATS = (through_realestate, through_transforms, through_colmap)


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
def test_cameras_survive_from_any_format_to_any_other(tmp_path: Path, first: Through, second: Through) -> None:
    cameras = apart_and_zooming()
    assert_same(second(tmp_path, first(tmp_path, cameras)), cameras)


def test_realestate_files_have_a_world_each_unless_told(tmp_path: Path) -> None:
    cameras = apart_and_zooming()
    apart = cameras_from_realestate(write_realestate(tmp_path, cameras), 64, 96, source_aspect=96 / 64)
    np.testing.assert_allclose(apart.c2w, cameras.relative_to_first_frame(), atol=1e-9)


def test_realestate_files_of_different_lengths_need_a_number_of_frames(tmp_path: Path) -> None:
    (long,) = write_realestate(tmp_path, pattern_cameras("circle", 1, 64, 64, frames=5))
    short = long.rename(tmp_path / "long.txt").with_name("view_00.txt")
    write_realestate(tmp_path, pattern_cameras("circle", 1, 64, 64, frames=3))
    with pytest.raises(CameraError, match="5, 3"):
        cameras_from_realestate([tmp_path / "long.txt", short], 64, 64)
    assert cameras_from_realestate([tmp_path / "long.txt", short], 64, 64, frames=4).frames == 4


def test_the_cameras_of_wide_images_are_cropped_to_the_size_chosen(tmp_path: Path) -> None:
    """1920 x 1090 pixels become a quarter of that, and 4.25 rows are cut at the top and at the bottom."""
    K = "1600 1600 1000 500"
    (tmp_path / "cameras.txt").write_text(f"1 PINHOLE 1920 1090 {K}\n")
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 0 1 a.png\n\n")
    frame = {"transform_matrix": np.eye(4).tolist()}
    frame |= {"w": 1920, "h": 1090, "fl_x": 1600, "fl_y": 1600, "cx": 1000, "cy": 500}
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": [frame]}))
    for read, path in ((read_colmap, tmp_path), (read_transforms, tmp_path / "transforms.json")):
        asked: list[tuple[int, int]] = []

        def choose(height: int, width: int, asked: list[tuple[int, int]] = asked) -> tuple[int, int]:
            asked.append((height, width))
            return 264, 480

        cameras = read(path, choose)
        assert asked == [(1090, 1920)]
        assert (cameras.height, cameras.width) == (264, 480)
        np.testing.assert_allclose(cameras.K[0, 0], [[400, 0, 250], [0, 400, 125 - 4.25], [0, 0, 1]])
        with pytest.raises(RequestError, match="height is 1090 pixels"):
            read(path)


def test_a_view_played_backwards_starts_from_its_own_first_frame(realestate_file: Path) -> None:
    cameras = cameras_from_realestate([realestate_file, realestate_file], 64, 64, frames=3, reverse=[1])
    np.testing.assert_allclose(cameras.c2w[:, :, 0, 3], [[0, 1, 2], [0, -1, -2]])


def test_colmap_is_world_to_camera_with_the_scalar_first(tmp_path: Path) -> None:
    half = np.sqrt(0.5)
    (tmp_path / "cameras.txt").write_text("# a comment\n7 SIMPLE_PINHOLE 64 32 50 32 16\n")
    (tmp_path / "images.txt").write_text(f"1 {half} 0 {half} 0 1 2 3 7 b.png\n1.5 2.5 -1\n2 1 0 0 0 0 0 5 7 a.png\n\n")
    cameras = read_colmap(tmp_path)
    assert (cameras.views, cameras.frames, cameras.height, cameras.width) == (1, 2, 32, 64)
    np.testing.assert_allclose(cameras.c2w[0, 0, :3, 3], [0, 0, -5])
    # A quarter turn about y: the camera's x axis is the world's -z.
    np.testing.assert_allclose(cameras.c2w[0, 1, :3], [[0, 0, -1, 3], [0, 1, 0, -2], [1, 0, 0, -1]], atol=1e-12)
    np.testing.assert_allclose(cameras.K[0, 0], [[50, 0, 32], [0, 50, 16], [0, 0, 1]])


@pytest.mark.parametrize(
    ("cameras_text", "images_text", "message"),
    [
        ("1 OPENCV 64 64 50 50 32 32 0 0 0 0", "", "Undistort"),
        ("1 PINHOLE 64 64 50", "", r"cameras\.txt, line 1"),
        ("", "", "0 image sizes"),
        ("1 PINHOLE 64 64 50 50 32 32", "", "holds no image"),
        ("1 PINHOLE 64 64 50 50 32 32", "# x\n1 1 0 0 0 0 0\n\n", r"images\.txt, line 2"),
        ("1 PINHOLE 64.5 64 50 50 32 32", "", "64.5 x 64 is not an image's size"),
        ("1 PINHOLE inf 64 50 50 32 32", "", r"line 1: 'inf' is not a finite number"),
        ("1 PINHOLE 64 64 50 50 32 32\n1 PINHOLE 64 64 50 50 32 32", "", "line 2: there are two cameras '1'"),
        ("1 PINHOLE 64 64 0 50 32 32", "1 1 0 0 0 0 0 0 1 a.png\n\n", r"images\.txt, line 1, has a focal length"),
        ("1 PINHOLE 64 64 50 50 32 32", "\n1 0 0 0 0 0 0 0 1 a.png\n\n", "line 2: the quaternion has length 0"),
        ("1 PINHOLE 64 64 50 50 32 32", "1 nan 0 0 0 0 0 0 1 a.png\n", "line 1: 'nan' is not a finite number"),
        ("1 PINHOLE 64 64 50 50 32 32", "1 1 0 0 0 1e300 0 0 1 a.png\n", "line 1, has numbers beyond"),
        ("1 PINHOLE 64 64 50 50 32 32", "1 1 0 0 0 0 0 0 1 a\n\n2 1 0 0 0 0 0 0 1 a\n", "line 3: there are two"),
        ("1 PINHOLE 64 64 50 50 32 32", "1 1 0 0 0 0 0 0 9 a.png\n\n", "no camera '9'"),
    ],
)
def test_malformed_colmap(tmp_path: Path, cameras_text: str, images_text: str, message: str) -> None:
    (tmp_path / "cameras.txt").write_text(cameras_text + "\n")
    (tmp_path / "images.txt").write_text(images_text)
    with pytest.raises(CameraError, match=message):
        read_colmap(tmp_path)


@pytest.mark.parametrize("gap", ["\n", "\n\n", "\n\n\n", "\r\n1.5 2.5 -1\r\n", "\n1 2 3 4 5 6 7 8 9 1e1 11 12\n\n"])
def test_lines_between_colmap_images(tmp_path: Path, gap: str) -> None:
    """With points, without points, without the empty lines that tools drop, or with one too many."""
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 64 64 50 50 32 32\n")
    lines = [f"{number} 1 0 0 0 0 0 {number} 1 my view/{number}.png" for number in (1, 2, 3)]
    (tmp_path / "images.txt").write_bytes(b"\xef\xbb\xbf# images\n" + gap.join([*lines, ""]).encode())
    np.testing.assert_allclose(read_colmap(tmp_path).c2w[0, :, 2, 3], [-1, -2, -3])


def test_colmap_names_count_as_people_do(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 64 64 50 50 32 32\n")
    names = ["cam10/1.png", "cam10/2.png", "cam9/10.png", "cam9/9.png"]
    lines = [f"{index} 1 0 0 0 {index} 0 0 1 {name}\n\n" for index, name in enumerate(names)]
    (tmp_path / "images.txt").write_text("".join(lines))
    np.testing.assert_allclose(read_colmap(tmp_path).c2w[..., 0, 3], [[-3, -2], [0, -1]])


def test_views_from_files_start_from_one_pose(realestate_file: Path) -> None:
    cameras = cameras_from_realestate([realestate_file, realestate_file], 64, 64, frames=5)
    assert (cameras.views, cameras.frames) == (2, 5)
    np.testing.assert_allclose(cameras.c2w[0, :, 0, 3], [0, 0.5, 1, 1.5, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no camera"),
        (ADDRESS, "holds no camera"),
        (f"{ADDRESS}\n1 2 3\n", "line 2: 3 numbers instead of 19"),
        (f"{ADDRESS}\n\n{'1 ' * 18}x\n", "line 3: 'x' is not a finite number"),
        ("1 2 3\n", "line 1: 3 numbers instead of 19"),
        (f"{ADDRESS}\n{realestate_line(np.eye(4))}\n{realestate_line(np.zeros((3, 4)))}", "line 3, is not rigid"),
        (f"{ADDRESS}\n{realestate_line(np.full((3, 4), np.nan))}", "line 2: 'nan' is not a finite number"),
        (f"{ADDRESS}\n{realestate_line(np.eye(4) * 1e300)}", "line 2, has numbers beyond"),
        (f"{ADDRESS}\n{realestate_line(np.diag([1.0, 1, -1, 1]))}", "line 2, is mirrored"),
        (f"{ADDRESS}\n{realestate_line(np.eye(4), (0, 0.9, 0.5, 0.5))}", "line 2, has a focal length"),
    ],
)
def test_malformed_realestate_names_the_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(content)
    with pytest.raises(CameraError, match=message) as caught:
        read_realestate(path, 64, 64)
    assert str(path) in caught.value.message


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="does not exist"):
        read_realestate(tmp_path / "none.txt", 64, 64)


def test_binary_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(CameraError, match="cannot be read as text"):
        read_realestate(tmp_path / "a.txt", 64, 64)


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    for read in (lambda: read_realestate(tmp_path, 64, 64), lambda: read_transforms(tmp_path)):
        with pytest.raises(CameraError, match="is a folder"):
            read()


def test_a_byte_order_mark_is_no_harm(tmp_path: Path, realestate_file: Path) -> None:
    write_transforms(tmp_path / "transforms.json", zooming_cameras())
    for path in (realestate_file, tmp_path / "transforms.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_realestate(realestate_file, 64, 64)[0]) == 3
    assert_same(read_transforms(tmp_path / "transforms.json"), zooming_cameras())


def test_views_of_different_length_are_refused(tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", zooming_cameras())
    document = json.loads((tmp_path / "transforms.json").read_text())
    document["frames"].pop()
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    with pytest.raises(CameraError, match="4, 4, 3"):
        read_transforms(tmp_path / "transforms.json")


def test_transforms_have_opengl_axes(tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", pattern_cameras("circle", 1, 64, 64, frames=1))
    frame = json.loads((tmp_path / "transforms.json").read_text())["frames"][0]
    np.testing.assert_allclose(frame["transform_matrix"], np.diag([1, -1, -1, 1]))
    assert frame["file_path"] == "view_00/0001.png"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"frames": []}', '{"frames": {}}', '{"frames": [3]}', "[" * 10**5]
)
def test_malformed_transforms(tmp_path: Path, content: str) -> None:
    (tmp_path / "transforms.json").write_text(content)
    with pytest.raises(CameraError, match=r"is not a transforms\.json"):
        read_transforms(tmp_path / "transforms.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transform_matrix": None}, r"The transform_matrix in .*, frame 1 is not a 4 x 4 matrix"),
        ({"transform_matrix": [[1, 0], [0, 1]]}, "not a 4 x 4 matrix"),
        ({"transform_matrix": np.zeros((4, 4)).tolist()}, "frame 1 has a last row"),
        ({"transform_matrix": np.diag([2.0, 2, 2, 1]).tolist()}, "frame 1 is not rigid"),
        ({"fl_x": "wide"}, "The fl_x in .*, frame 1 is not one finite number"),
        ({"fl_x": -5}, "frame 1 has a focal length"),
        ({"cx": 10**400}, "The cx in .*, frame 1 is not one finite number"),
        ({"cy": float("nan")}, "The cy in .*, frame 1 is not one finite number"),
        ({"w": 0}, "is not an image's size"),
        ({"w": float("inf")}, "The w in .*, frame 1 is not one finite number"),
        ({"h": 32}, "images of 2 sizes"),
        ({"view": "left"}, "The view in .*, frame 1 is 'left'"),
        ({"k1": 0.1, "p2": -0.2}, r"distortion \(k1, p2\).*Undistort the images first"),
        ({"k1": "much"}, "The k1 in .*, frame 1 is not made of finite numbers"),
        ({"camera_model": "OPENCV_FISHEYE"}, "camera model 'OPENCV_FISHEYE'"),
    ],
)
def test_malformed_frames_of_transforms(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "transforms.json"
    write_transforms(path, zooming_cameras())
    document = json.loads(path.read_text())
    document["frames"][1] |= change
    path.write_text(json.dumps(document))
    with pytest.raises(CameraError, match=message):
        read_transforms(path)


def test_transforms_without_an_entry(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text('{"fl_x": 5, "frames": [{}]}')
    with pytest.raises(CameraError, match=r"There is no fl_y in .*, frame 0\. Each frame needs"):
        read_transforms(tmp_path / "transforms.json")


def test_distortion_that_is_zero_is_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    write_transforms(path, zooming_cameras())
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"k1": 0, "k2": 0.0, "p1": 0, "distortion_params": [0, 0]})
    )
    assert_same(read_transforms(path), zooming_cameras())
