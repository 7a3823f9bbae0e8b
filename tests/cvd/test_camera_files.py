import json
from pathlib import Path

import numpy as np
import pytest

from cvd import Cameras
from cvd.camera_files import (
    cameras_from_realestate,
    read_colmap,
    read_realestate,
    read_transforms,
    write_colmap,
    write_realestate,
    write_transforms,
)
from cvd.errors import CameraError
from cvd.trajectories import pattern_cameras

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
    """The official example's intrinsics: square pixels at 256 x 256, and what the official loader makes of them."""
    path = tmp_path / "a.txt"
    path.write_text(f"{ADDRESS}\n{realestate_line(np.eye(4), (0.470983, 0.837303, 0.5, 0.5))}\n")
    _, K = read_realestate(path, 256, 256)
    np.testing.assert_allclose(K[0], [[214.35, 0, 128], [0, 214.35, 128], [0, 0, 1]], atol=0.01)
    _, wrong = read_realestate(path, 256, 256, legacy_intrinsics=True)
    np.testing.assert_allclose(wrong[0], [[120.57, 0, 128], [0, 381.06, 128], [0, 0, 1]], atol=0.01)


def test_realestate_round_trip(tmp_path: Path) -> None:
    cameras = zooming_cameras()
    paths = write_realestate(tmp_path, cameras)
    assert_same(cameras_from_realestate(paths, 64, 96, 4, source_aspect=96 / 64), cameras)


def test_a_view_played_backwards_starts_from_its_own_first_frame(realestate_file: Path) -> None:
    cameras = cameras_from_realestate([realestate_file, realestate_file], 64, 64, frames=3, reverse=[1])
    np.testing.assert_allclose(cameras.c2w[:, :, 0, 3], [[0, 1, 2], [0, -1, -2]])


def test_colmap_round_trip(tmp_path: Path) -> None:
    cameras = zooming_cameras()
    write_colmap(tmp_path, cameras)
    assert_same(read_colmap(tmp_path), cameras)


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
        ("1 PINHOLE 64 64 50 50 32 32", "1 1 0 0 0 0 0 0 9 a.png\n\n", "no camera '9'"),
    ],
)
def test_malformed_colmap(tmp_path: Path, cameras_text: str, images_text: str, message: str) -> None:
    (tmp_path / "cameras.txt").write_text(cameras_text + "\n")
    (tmp_path / "images.txt").write_text(images_text)
    with pytest.raises(CameraError, match=message):
        read_colmap(tmp_path)


def test_views_from_files_start_from_one_pose(realestate_file: Path) -> None:
    cameras = cameras_from_realestate([realestate_file, realestate_file], 64, 64, frames=5)
    assert (cameras.views, cameras.frames) == (2, 5)
    np.testing.assert_allclose(cameras.c2w[0, :, 0, 3], [0, 0, 1, 2, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no camera"),
        (ADDRESS, "holds no camera"),
        (f"{ADDRESS}\n1 2 3\n", "line 2: 3 numbers instead of 19"),
        (f"{ADDRESS}\n\n{'1 ' * 18}x\n", "line 3: .*'x'"),
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


def test_transforms_round_trip(tmp_path: Path) -> None:
    cameras = zooming_cameras()
    write_transforms(tmp_path / "transforms.json", cameras)
    assert_same(read_transforms(tmp_path / "transforms.json"), cameras)


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


@pytest.mark.parametrize("content", ["{", "[]", '{"frames": []}', '{"frames": [{"transform_matrix": 3}]}'])
def test_malformed_transforms(tmp_path: Path, content: str) -> None:
    (tmp_path / "transforms.json").write_text(content)
    with pytest.raises(CameraError, match=r"is not a transforms\.json"):
        read_transforms(tmp_path / "transforms.json")
