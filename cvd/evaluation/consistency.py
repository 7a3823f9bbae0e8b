"""Cross-view consistency: do matches between the same frame of two views fit the asked cameras?

A match (x, y) of one scene point satisfies y^T F x = 0. Its symmetric epipolar distance is the mean of two distances: y
from the line F x, and x from the line F^T y. If two cameras share their centre, F is zero. Then y = H x with
H = K_b R K_a^-1, and the distance is that between points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..cameras.cameras import Cameras
from ..conditioning.epipolar import DEGENERATE_BASELINE, fundamental_matrices
from .matching import Features, Matcher, Matches, Points

Array = NDArray[np.floating]

CORRECT_WITHIN = 0.01
"""Largest distance of a correct match, as a share of the image's larger side. SuperGlue's 5e-4 is 1.4 % at the official
focal length."""


@dataclass(frozen=True, eq=False)
class ViewMatches:
    """Matches between a frame of the first view and the same frame of the second view. `frame` counts from 0."""

    views: tuple[int, int]
    frame: int
    matches: Matches


@dataclass(frozen=True)
class FrameConsistency:
    """The measures of one frame of one pair of views.

    Attributes:
        views: the two views.
        frame: index from 0.
        matches: number of matches.
        precision: share of the matches that are correct; 0 without any match.
        matching_score: number of correct matches divided by the number of the first view's keypoints.
        median_distance: median distance of the matches, in pixels of the original images; NaN without any match.
        degenerate: whether the two cameras share their centre. Distances are then those between points.
    """

    views: tuple[int, int]
    frame: int
    matches: int
    precision: float
    matching_score: float
    median_distance: float
    degenerate: bool


def match_views(features: Sequence[Sequence[Features]], matcher: Matcher) -> list[ViewMatches]:
    """Matches of every frame of every pair of views, pair after pair. `features`: V lists of F, from `matcher`."""
    return [
        ViewMatches((a, b), frame, matcher.match(features[a][frame], features[b][frame]))
        for a, b in combinations(range(len(features)), 2)
        for frame in range(len(features[a]))
    ]


def frame_consistency(cameras: Cameras, found: ViewMatches, correct_within: float = CORRECT_WITHIN) -> FrameConsistency:
    """The measures of one frame: how well its matches fit the cameras.

    Args:
        cameras: asked cameras, V views of F frames.
        found: matches of the frame.
        correct_within: largest distance of a correct match, as a share of the image's larger side.
    """
    distance, degenerate = cross_view_distances(cameras, found)
    correct = distance <= correct_within * max(cameras.height, cameras.width)
    return FrameConsistency(
        views=found.views,
        frame=found.frame,
        matches=len(distance),
        precision=float(correct.mean()) if len(correct) else 0.0,
        matching_score=float(correct.sum() / max(found.matches.keypoints, 1)),
        median_distance=float(np.median(distance)) if len(distance) else float("nan"),
        degenerate=degenerate,
    )


def cross_view_distances(cameras: Cameras, found: ViewMatches) -> tuple[Array, bool]:
    """Distances of the matches of one frame, and whether the two cameras share their centre.

    Returns:
        (N,) symmetric epipolar distances in pixels; or symmetric transfer errors, if the cameras share their centre.
    """
    geometry = PairGeometry.of(cameras, found.views, found.frame)
    return geometry.distances(found.matches.x, found.matches.y), geometry.degenerate


@dataclass(frozen=True, eq=False)
class PairGeometry:
    """Where points of one view are in another: on the lines F x, or at H x if the two cameras share their centre.

    Attributes:
        matrix: (3, 3) F or H, from the first view to the second.
        degenerate: whether the two cameras share their centre, so that `matrix` is H.
    """

    matrix: Array
    degenerate: bool

    @classmethod
    def of(cls, cameras: Cameras, views: tuple[int, int], frame: int) -> PairGeometry:
        """The geometry of two views in one frame."""
        c2w, K = ([array[view, frame] for view in views] for array in (cameras.c2w, cameras.K))
        centres = cameras.c2w[..., :3, 3].reshape(-1, 3)
        extent = np.linalg.norm(centres - centres[:1], axis=-1).max()
        if np.linalg.norm(c2w[0][:3, 3] - c2w[1][:3, 3]) <= DEGENERATE_BASELINE * extent:
            return cls(K[1] @ c2w[1][:3, :3].T @ c2w[0][:3, :3] @ np.linalg.inv(K[0]), degenerate=True)
        return cls(fundamental_matrices(c2w[0], K[0], c2w[1], K[1]), degenerate=False)

    @property
    def reverse(self) -> PairGeometry:
        """The geometry from the second view to the first."""
        return PairGeometry(np.linalg.inv(self.matrix) if self.degenerate else self.matrix.T, self.degenerate)

    def distances(self, x: Points, y: Points) -> Array:
        """(N,) distances in pixels of matches x, y (N, 2) in the first and the second view."""
        measure = symmetric_transfer_error if self.degenerate else symmetric_epipolar_distance
        return measure(self.matrix, x, y)

    def may_be_seen(self, x: Array, height: int, width: int) -> bool:
        """Whether the first view's point x (2,) can be in the second view's image."""
        image = homogeneous(x[None])[0] @ self.matrix.T
        if self.degenerate:
            u, v = image[:2] / image[2]
            return bool(image[2] > 0 and 0 <= u <= width and 0 <= v <= height)
        # The line meets the image if the image's corners lie on both sides of it.
        sides = np.sign(homogeneous(np.array([[0, 0], [width, 0], [0, height], [width, height]], float)) @ image)
        return bool(sides.min() < sides.max())


def symmetric_epipolar_distance(F: Array, x: Points, y: Points) -> Array:
    """Mean distance, in pixels, of y from the line F x and of x from the line F^T y.

    Args:
        F: (3, 3) with y^T F x = 0.
        x, y: (N, 2) points in pixels.

    Returns:
        (N,) distances.
    """
    x, y = homogeneous(x), homogeneous(y)
    line_of_x, line_of_y = x @ F.T, y @ F
    residual = np.abs((y * line_of_x).sum(-1))
    return (
        sum(residual / np.maximum(np.linalg.norm(line[:, :2], axis=-1), 1e-12) for line in (line_of_x, line_of_y)) / 2
    )


def symmetric_transfer_error(H: Array, x: Points, y: Points) -> Array:
    """(N,) mean distance, in pixels, of y from H x and of x from H^-1 y; x, y: (N, 2)."""
    there = np.linalg.norm(transfer(H, x) - y, axis=-1)
    back = np.linalg.norm(transfer(np.linalg.inv(H), y) - x, axis=-1)
    return (there + back) / 2


def transfer(H: Array, x: Points) -> Points:
    """Points (N, 2) mapped by a homography."""
    mapped = homogeneous(x) @ H.T
    return mapped[:, :2] / mapped[:, 2:]


def homogeneous(x: Points) -> Array:
    """Points (N, 2) as homogeneous points (N, 3)."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=-1)
