"""Distances between two sets of image features: FID (Heusel et al., 2017) and KID (Binkowski et al., 2018).

The features may come from any network (see `clip`). Compare distances only if they use features of the same network.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import RequestError

Array = NDArray[np.float64]


def frechet_distance(a: Array, b: Array) -> float:
    """FID: |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), of features (N, D) and (M, D).

    It is biased for few samples. The sets should be many times larger than D.

    Raises:
        RequestError: fewer than two samples in a set.
    """
    _check_sizes(a, b)
    difference = a.mean(0) - b.mean(0)
    covariance_a, covariance_b = (
        np.cov(a, rowvar=False).reshape(a.shape[1], -1),
        np.cov(b, rowvar=False).reshape(a.shape[1], -1),
    )
    # The product's square root has the same trace as (C_a^(1/2) C_b C_a^(1/2))^(1/2). That matrix is symmetric, so that
    # eigvalsh is stable.
    root = _symmetric_root(covariance_a)
    eigenvalues = np.linalg.eigvalsh(root @ covariance_b @ root)
    trace = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return float(difference @ difference + trace)


def kernel_distance(a: Array, b: Array) -> float:
    """KID: unbiased squared maximum mean discrepancy with the kernel (x . y / D + 1)^3, of (N, D) and (M, D).

    It has no bias, so it can compare small sets. It may be slightly negative.

    Raises:
        RequestError: fewer than two samples in a set.
    """
    _check_sizes(a, b)
    within_a, within_b, between = (_cubic_kernel(*pair) for pair in ((a, a), (b, b), (a, b)))
    return float(_mean_off_diagonal(within_a) + _mean_off_diagonal(within_b) - 2 * between.mean())


def _cubic_kernel(a: Array, b: Array) -> Array:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _mean_off_diagonal(kernel: Array) -> float:
    n = len(kernel)
    return (kernel.sum() - np.trace(kernel)) / (n * (n - 1))


def _symmetric_root(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _check_sizes(a: Array, b: Array) -> None:
    if min(len(a), len(b)) < 2:
        raise RequestError(
            f"Distributions of {len(a)} and {len(b)} images cannot be compared.", "Give at least 2, better thousands."
        )
