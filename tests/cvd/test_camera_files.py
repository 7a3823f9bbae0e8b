import json
from pathlib import Path

import numpy as np
import pytest

from cvd.camera_files import cameras_from_realestate, read_realestate, read_transforms, resample, write_transforms
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


def test_realestate_is_world_to_camera_with_intrinsics_over_size(realestate_file: Path) -> None:
    c2w, K = read_realestate(realestate_file, height=360, width=640)
    np.testing.assert_allclose(c2w[:, :3, 3], [[5, 0, 0], [6, 0, 0], [7, 0, 0]])
    np.testing.assert_allclose(K[0], [[320, 0, 320], [0, 324, 180], [0, 0, 1]])


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
    cameras = pattern_cameras("interpolate", 3, 64, 96, frames=4)
    write_transforms(tmp_path / "transforms.json", cameras)
    again = read_transforms(tmp_path / "transforms.json")
    np.testing.assert_allclose(again.c2w, cameras.c2w, atol=1e-12)
    np.testing.assert_allclose(again.K, cameras.K)
    assert (again.height, again.width) == (64, 96)


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


def test_resampling_keeps_both_ends() -> None:
    cameras = resample(pattern_cameras("circle", 2, 64, 64, frames=16), 6)
    np.testing.assert_allclose(cameras.c2w[0, :, 0, 3], np.array([0, 3, 6, 9, 12, 15]) / 30)
