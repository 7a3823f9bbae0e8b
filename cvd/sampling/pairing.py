"""Pairings: a partner for every view. They are drawn again for every U-Net call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from ..errors import RequestError


def partners_from_permutation(permutation: Sequence[int] | np.ndarray) -> list[int]:
    """Partner of every view, from a permutation of range(V) (the random pairing of Algorithm 1).

    The first half of the permutation is paired with its second half, position by position, as in the official code. If
    V is odd, the first entry is the partner of the last one, but not the reverse. A single view is its own partner.

    Raises:
        RequestError: it is not a permutation.
    """
    order = [int(view) for view in permutation]
    if sorted(order) != list(range(len(order))):
        raise RequestError(f"The pairing {order} is not a permutation of range({len(order)}).")
    half = len(order) // 2
    partner = [0] * len(order)
    for a, b in zip(order[:half], order[half : 2 * half], strict=True):
        partner[a], partner[b] = b, a
    if len(order) % 2:
        partner[order[-1]] = order[0]
    return partner


def anchored_partners(anchors: int, views: int, choice: np.random.Generator) -> list[int]:
    """Partner of every view, where the first `anchors` views are finished and the others are new.

    Anchors and new views are paired at random until all of one kind have a partner. New views that remain are paired
    with each other. If one of them is left, its partner is a random anchor, but not the reverse. The partner of an
    anchor that remains is a random new view.
    """
    old = list(choice.permutation(anchors))
    new = list(anchors + choice.permutation(views - anchors))
    partner = [0] * views
    for a, b in zip(old, new, strict=False):
        partner[a], partner[b] = int(b), int(a)
    rest = new[len(old) :]
    for a, b in zip(rest[0::2], rest[1::2], strict=False):
        partner[a], partner[b] = int(b), int(a)
    if len(rest) % 2:
        partner[rest[-1]] = int(choice.integers(anchors))
    for a in old[len(new) :]:
        partner[a] = int(choice.choice(new))
    return partner


def view_groups(partners: Sequence[int], pairs_per_group: int | None) -> list[list[int]]:
    """The views in groups. Every group has the partners of all its views.

    Args:
        partners: partner of every view.
        pairs_per_group: number of sets of connected views in a group; None: one group of all.
    """
    if pairs_per_group is None:
        return [list(range(len(partners)))]
    leader = list(range(len(partners)))
    for view, partner in enumerate(partners):
        old, new = leader[view], leader[partner]
        leader = [new if each == old else each for each in leader]
    together = [[view for view, each in enumerate(leader) if each == name] for name in dict.fromkeys(leader)]
    starts = range(0, len(together), pairs_per_group)
    return [sorted(chain.from_iterable(together[start : start + pairs_per_group])) for start in starts]
