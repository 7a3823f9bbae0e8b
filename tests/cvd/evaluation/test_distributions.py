"""FID and KID of distributions with a known distance."""

import numpy as np
import pytest

from cvd.errors import RequestError
from cvd.evaluation.distributions import frechet_distance, kernel_distance

RNG = np.random.default_rng(0)
SAMPLES = RNG.normal(size=(200, 5))


def test_frechet_distance_of_a_shift_is_its_squared_length() -> None:
    assert frechet_distance(SAMPLES, SAMPLES) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(SAMPLES, SAMPLES + [3, 0, 4, 0, 0]) == pytest.approx(25)


def test_frechet_distance_of_a_scaling() -> None:
    # tr(C + 4 C - 2 * 2 C) = tr C, and the mean is scaled as well.
    expected = np.trace(np.cov(SAMPLES, rowvar=False)) + (SAMPLES.mean(0) ** 2).sum()
    assert frechet_distance(SAMPLES, 2 * SAMPLES) == pytest.approx(expected)


def test_frechet_distance_of_fewer_samples_than_dimensions() -> None:
    few = RNG.normal(size=(4, 16))
    assert frechet_distance(few, few + 1) == pytest.approx(16)


def test_kernel_distance_is_the_mean_over_pairs() -> None:
    a, b = SAMPLES[:6], SAMPLES[6:13] + 0.5

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (x @ y / 5 + 1) ** 3

    within_a = np.mean([kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    within_b = np.mean([kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    between = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(within_a + within_b - 2 * between)


def test_kernel_distance_has_no_bias() -> None:
    draws = [kernel_distance(*np.random.default_rng(seed).normal(size=(2, 20, 5))) for seed in range(200)]
    assert abs(np.mean(draws)) < 3 * np.std(draws) / np.sqrt(200)
    assert kernel_distance(SAMPLES, SAMPLES + 1) > 10 * np.std(draws)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_a_single_image_is_no_distribution(distance) -> None:
    with pytest.raises(RequestError, match="cannot be compared"):
        distance(SAMPLES, SAMPLES[:1])
