"""How far cameras go, and what of it a model has not learned."""

from __future__ import annotations

import numpy as np
import pytest

from protocol.geometry import pattern_intrinsics, pattern_poses, scaled_poses
from protocol.models import LearnedMotion, LearnedRange
from protocol.ranges import CameraExtent, Finding, camera_extent, extent_findings, largest_motion, range_findings

SIZE = (128, 192)
LEARNED = LearnedMotion(
    motion=LearnedRange(low=0.0, high=0.6),
    baseline=LearnedRange(low=0.0, high=1.2),
    field_of_view=LearnedRange(low=40.0, high=90.0),
)


def lens(degrees: float) -> np.ndarray:
    """K of a field of view across a square of the image's area."""
    focal = np.sqrt(SIZE[0] * SIZE[1]) / 2 / np.tan(np.radians(degrees) / 2)
    return np.array([[focal, 0, SIZE[1] / 2], [0, focal, SIZE[0] / 2], [0, 0, 1]])


def cameras(*ends: float, degrees: float = 60) -> tuple[np.ndarray, np.ndarray]:
    """Views of three frames that move along x from the origin to `ends`."""
    c2w = np.tile(np.eye(4), (len(ends), 3, 1, 1))
    c2w[..., 0, 3] = np.outer(ends, (0, 0.5, 1))
    return c2w, np.tile(lens(degrees), (len(ends), 3, 1, 1))


def findings(*ends: float, degrees: float = 60, names: tuple[str, ...] | None = None) -> list[Finding]:
    return range_findings(*cameras(*ends, degrees=degrees), SIZE, LEARNED, names)


def levels(*ends: float, degrees: float = 60) -> dict[str, str]:
    return {found.quantity: found.level for found in findings(*ends, degrees=degrees)}


def test_the_extent_names_the_views() -> None:
    c2w, K = cameras(0.1, -0.5, 0.4)
    c2w[2, :, 1, 3] = 2.0
    K[0, 2], K[1, 1] = lens(30), lens(80)
    extent = camera_extent(c2w, K, SIZE)
    assert (extent.motion, extent.motion_view) == (pytest.approx(0.5), 1)
    assert (extent.baseline, extent.baseline_views) == (pytest.approx(np.hypot(0.9, 2)), (1, 2))
    assert (extent.narrowest, extent.narrowest_view) == (pytest.approx(30), 0)
    assert (extent.widest, extent.widest_view) == (pytest.approx(80), 1)
    scaled = camera_extent(scaled_poses(c2w, 3), K, SIZE)
    assert scaled == CameraExtent(**{name: pytest.approx(getattr(extent.scaled(3), name)) for name in FIELDS})


FIELDS = CameraExtent.__struct_fields__


def test_a_field_of_view_is_that_of_a_square_of_the_same_area() -> None:
    """Stretching and shifting an image changes nothing about it."""
    c2w, K = cameras(0.1, degrees=50)
    K[..., 0, 0] *= 2
    K[..., 0, 2] = 10
    assert camera_extent(c2w, K, (SIZE[0], 2 * SIZE[1])).widest == pytest.approx(50)
    square = np.array([[64.0, 0, 64], [0, 64, 64], [0, 0, 1]])
    assert camera_extent(c2w, np.tile(square, (1, 3, 1, 1)), (128, 128)).widest == pytest.approx(90)


def test_rounding_is_no_motion() -> None:
    """A camera far from the origin that stands still, in numbers of 32 bits."""
    c2w, _ = cameras(0.0)
    c2w[..., :3, 3] = 1000.0
    c2w[0, 1, 0, 3] = np.nextafter(np.float32(1000), np.float32(2000))
    assert largest_motion(c2w) == 0
    c2w[0, 1, 0, 3] = 1000.1
    assert largest_motion(c2w) == pytest.approx(0.1)


def test_the_official_patterns_are_within_the_ranges() -> None:
    for pattern in ("circle", "upper_hemi", "interpolate"):
        c2w = pattern_poses(pattern, 6)
        K = np.tile(pattern_intrinsics((256, 256)), (*c2w.shape[:2], 1, 1))
        assert range_findings(c2w, K, (256, 256), LEARNED) == []


def test_beyond_a_range_is_yellow_and_beyond_twice_is_red() -> None:
    assert levels(0.6) == {}
    assert levels(0.603) == {}
    assert levels(0.7) == {"motion": "yellow"}
    assert levels(1.3) == {"motion": "red"}
    assert levels(0.7, -0.7) == {"motion": "yellow", "baseline": "yellow"}
    assert levels(1.25, -1.25) == {"motion": "red", "baseline": "red"}


def test_lenses_are_compared_by_what_they_see() -> None:
    assert levels(0.1, degrees=40) == levels(0.1, degrees=90) == {}
    assert levels(0.1, degrees=35) == levels(0.1, degrees=120) == {"field_of_view": "yellow"}
    # Half of what 40 degrees see is 20.6 degrees; twice of what 90 degrees see is 126.9.
    assert levels(0.1, degrees=20.5) == levels(0.1, degrees=127) == {"field_of_view": "red"}
    assert "shorter" in findings(0.1, degrees=35)[0].hint
    assert "longer" in findings(0.1, degrees=120)[0].hint


def test_findings_are_plain_words_with_the_cameras_names() -> None:
    texts = [found.text for found in findings(0.7, -0.7, names=("Path", "Orbit"))]
    assert texts == [
        "“Path” moves 0.7 target distances. The model learned up to 0.6.",
        "“Path” and “Orbit” come apart by 1.4 target distances. The model learned up to 1.2.",
    ]
    assert findings(0.7)[0].text.startswith("View 0 moves")
    assert all(found.hint for found in findings(0.7, -0.7, degrees=20))


def test_a_model_may_have_learned_cameras_that_move_only() -> None:
    restless = LearnedMotion(
        motion=LearnedRange(low=0.4, high=0.6), baseline=LEARNED.baseline, field_of_view=LEARNED.field_of_view
    )
    extent = camera_extent(*cameras(0.3), SIZE)
    (found,) = extent_findings(extent, restless)
    assert (found.level, "at least 0.4" in found.text) == ("yellow", True)
    assert extent_findings(camera_extent(*cameras(0.0), SIZE), restless)[0].level == "red"
