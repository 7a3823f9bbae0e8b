"""What the panel says of the cameras' scale, without Blender."""

from __future__ import annotations

import msgspec
import numpy as np

from blender_addon.cameras.measurement import Measurement, measurement_of, read_measurement, scale_report
from blender_addon.protocol.models import LearnedMotion, LearnedRange
from blender_addon.service.submission import CameraExport

LEARNED = LearnedMotion(
    motion=LearnedRange(low=0.0, high=0.6),
    baseline=LearnedRange(low=0.0, high=1.2),
    field_of_view=LearnedRange(low=37.0, high=88.0),
)


def exported(seen: float | None = 9.6, metres: float = 5.28) -> CameraExport:
    """Two cameras side by side with parallel axes. One of them moves to the side."""
    c2w = np.tile(np.eye(4), (2, 4, 1, 1))
    c2w[1, :, 0, 3] = np.linspace(0, metres, 4)
    K = np.tile(np.array([[1600.0, 0, 960], [0, 1600, 540], [0, 0, 1]]), (2, 4, 1, 1))
    return CameraExport(("Left", "Right"), c2w, K, 1920, 1080, 16 / 9, seen)


def measured(seen: float | None = 9.6, metres: float = 5.28) -> Measurement:
    return measurement_of(exported(seen, metres), 1, 48)


def lines(measurement: Measurement, asked: float = 0.0, learned: LearnedMotion | None = LEARNED) -> tuple[str, ...]:
    return scale_report(measurement, asked, learned, lambda value: f"{value:.3g} m").lines


def test_distance_and_motion_in_one_line() -> None:
    assert lines(measured()) == ("9.6 m to the target, motion 0.55 (learned: up to 0.6)",)
    assert lines(measured(), learned=None) == ("9.6 m to the target, motion 0.55",)


def test_the_artists_distance_overrules_the_measured_one() -> None:
    assert lines(measured(), asked=5.28) == ("5.28 m to the target, motion 1.00 (learned: up to 0.6)",)
    assert scale_report(measured(), 4.0, LEARNED, str).findings[0].level == "red"


def test_where_nothing_is_seen_the_panel_says_what_decides() -> None:
    line, why = lines(measured(seen=None))
    assert line == "No target, motion 0.30 (learned: up to 0.6)"
    assert "motion decides" in why
    assert "set the target distance" in lines(measured(seen=None, metres=0))[1]
    axes = msgspec.structs.replace(measured(seen=None), axes=12.0)
    assert lines(axes)[0].startswith("12 m to the target, motion 0.44")


def test_findings_name_the_cameras() -> None:
    report = scale_report(measured(metres=9.6), 0.0, LEARNED, str)
    assert [found.text for found in report.findings] == [
        "“Right” moves 1 target distances. The model learned up to 0.6."
    ]
    assert scale_report(measured(metres=9.6), 0.0, None, str).findings == ()


def test_a_measurement_is_kept_as_text() -> None:
    assert read_measurement(measured().text()) == measured()
    assert read_measurement("") is None
    assert read_measurement('{"names": []}') is None
    assert read_measurement("nonsense") is None


def test_it_belongs_to_its_cameras_and_frames() -> None:
    assert measured().is_of(("Left", "Right"), 1, 48)
    assert not measured().is_of(("Left",), 1, 48)
    assert not measured().is_of(("Left", "Right"), 1, 50)
