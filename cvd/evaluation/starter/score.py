"""The consistency score S of the starter model's world, in [0, 1].

Small frames with few plain objects have few features. So the score compares objects: do both views show the same
objects, each at a place that the cameras allow?

An object's centroid must be near the epipolar line of its counterpart's centroid in the other view. If the cameras
share their centre, it must be near the image of that centroid. Up to 1.5 % of the image's larger side the value is 1,
beyond 4 % it is 0, and between them it is linear. An object without a counterpart counts as 0, unless the other camera
cannot see it. If there are enough confident matches, the frame's score is multiplied by the share of them that are
near their epipolar lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ...cameras.cameras import Cameras
from ...starter.captions import NAMES
from ...starter.world import PALETTE
from ..consistency import PairGeometry, ViewMatches, cross_view_distances
from .objects import Frames, Region, find_objects

Array = NDArray[np.float64]

CENTROID_NEAR, CENTROID_FAR = 0.015, 0.04
MATCH_NEAR = 0.03
"""Distances as shares of the image's larger side: 2, 5 and 4 pixels at 128."""

CONFIDENT = 0.5
ENOUGH_MATCHES = 12
"""Smallest number of matches with a LightGlue confidence of `CONFIDENT` or more for which matches count."""

FOUND_SHARE = 0.5
"""Smallest share of a view's frames that must show a colour. It is below 1, because objects may leave the image."""


@dataclass(frozen=True)
class StarterFrame:
    """The score of one frame of one pair of views.

    Attributes:
        views: the two views.
        frame: index from 0.
        objects: mean agreement of the objects' places, see `object_agreement`.
        matches: share of the confident matches that are near their epipolar lines; NaN: there are too few.
    """

    views: tuple[int, int]
    frame: int
    objects: float
    matches: float

    @property
    def score(self) -> float:
        """`objects` times `matches`, in [0, 1]; only `objects` if matches are too few. NaN if `objects` is NaN."""
        return self.objects * (1.0 if np.isnan(self.matches) else self.matches)


@dataclass(frozen=True)
class NamedColours:
    """The colours of the objects that a prompt names.

    Attributes:
        objects: colour of every object that the prompt names.
        found: those colours that every view shows.
    """

    objects: tuple[str, ...]
    found: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether all colours are found."""
        return set(self.found) == set(self.objects)


def find_all_objects(videos: Frames, cameras: Cameras) -> list[list[list[Region]]]:
    """Objects by view and frame, of videos (V, F, H, W, 3).

    Raises:
        RequestError: the focal length is not the starter world's.
    """
    c2w = cameras.relative_to_first_frame()
    return [find_objects(video, c2w[view], cameras.K[view]) for view, video in enumerate(videos)]


def starter_frames(
    cameras: Cameras, objects: Sequence[Sequence[Sequence[Region]]], matched: Sequence[ViewMatches] = ()
) -> list[StarterFrame]:
    """The scores of every frame of every pair of views.

    Args:
        cameras: asked cameras, V views of F frames.
        objects: objects by view and frame.
        matched: matches by DISK and LightGlue, or none. SIFT finds too few at the starter's size.
    """
    precisions = {(found.views, found.frame): _match_precision(cameras, found) for found in matched}
    return [
        StarterFrame(
            (a, b),
            frame,
            object_agreement(PairGeometry.of(cameras, (a, b), frame), objects[a][frame], objects[b][frame]),
            precisions.get(((a, b), frame), float("nan")),
        )
        for a, b in combinations(range(cameras.views), 2)
        for frame in range(cameras.frames)
    ]


def starter_score(frames: Sequence[StarterFrame]) -> float:
    """S: the mean score of all frames that could be measured; NaN: there is none."""
    scores = [frame.score for frame in frames if not np.isnan(frame.score)]
    return float(np.mean(scores)) if scores else float("nan")


def object_agreement(geometry: PairGeometry, first: Sequence[Region], second: Sequence[Region]) -> float:
    """How well the objects of two views agree in one frame, in [0, 1].

    Objects that are cut count neither as right nor as missing.

    Returns:
        The mean over pairs of objects and missing objects. 0 if neither view shows an object; NaN if all objects are
        cut or cannot be seen by the other camera.
    """
    if not first and not second:
        return 0.0
    whole_first, whole_second = ([region for region in view if not region.cut] for view in (first, second))
    agreement = np.zeros((len(whole_first), len(whole_second)))
    same = np.zeros(agreement.shape, bool)
    for i, a in enumerate(whole_first):
        for j, b in enumerate(whole_second):
            same[i, j] = a.colour == b.colour
            agreement[i, j] = _centroid_agreement(geometry, a, b) if same[i, j] else 0.0
    # `same` is added, so that an object of the same colour is the counterpart even at a wrong place.
    pairs = [(i, j) for i, j in zip(*linear_sum_assignment(-(agreement + same)), strict=True) if same[i, j]]
    scores = [agreement[i, j] for i, j in pairs]
    alone_first = [region for i, region in enumerate(whole_first) if i not in {i for i, _ in pairs}]
    alone_second = [region for j, region in enumerate(whole_second) if j not in {j for _, j in pairs}]
    scores += [0.0 for region in alone_first if _is_missing(region, geometry, second)]
    scores += [0.0 for region in alone_second if _is_missing(region, geometry.reverse, first)]
    return float(np.mean(scores)) if scores else float("nan")


def named_colours(prompt: str, objects: Sequence[Sequence[Sequence[Region]]]) -> NamedColours:
    """The objects' colours that a prompt names, and those that every view shows in at least half of its frames.

    Args:
        prompt: prompt of the take.
        objects: objects by view and frame.
    """
    named = tuple(colour for colour, _ in named_objects(prompt))

    def is_found(colour: str) -> bool:
        shares = [np.mean([any(r.colour == colour for r in frame) for frame in view]) for view in objects]
        return bool(min(shares) >= FOUND_SHARE)

    return NamedColours(named, tuple(colour for colour in named if is_found(colour)))


def named_objects(prompt: str) -> list[tuple[str, str]]:
    """(colour, shape) of every object that a prompt names, in the prompt's order.

    >>> named_objects("two red cubes and a blue sphere on a green checkered floor")
    [('red', 'cube'), ('blue', 'sphere')]
    """
    found, colour = [], None
    for word in re.findall(r"[a-z]+", prompt.lower()):
        if word in PALETTE:
            colour = word
        for shape, names in NAMES.items():
            if colour and any(word in pair for pair in names):
                found.append((colour, shape))
                colour = None
    return found


def _centroid_agreement(geometry: PairGeometry, a: Region, b: Region) -> float:
    size = max(a.mask.shape)
    distance = geometry.distances(a.centroid[None], b.centroid[None])[0] / size
    return float(np.clip((CENTROID_FAR - distance) / (CENTROID_FAR - CENTROID_NEAR), 0, 1))


def _is_missing(region: Region, geometry: PairGeometry, others: Sequence[Region]) -> bool:
    """Whether an object is missing in the other view: it is not cut there, and the other camera can see its place."""
    height, width = region.mask.shape
    cut_there = any(other.cut and other.colour == region.colour for other in others)
    return not cut_there and geometry.may_be_seen(region.centroid, height, width)


def _match_precision(cameras: Cameras, found: ViewMatches) -> float:
    confident = found.matches.confidence >= CONFIDENT
    if confident.sum() < ENOUGH_MATCHES:
        return float("nan")
    distance, _ = cross_view_distances(cameras, found)
    return float((distance[confident] <= MATCH_NEAR * max(cameras.height, cameras.width)).mean())
