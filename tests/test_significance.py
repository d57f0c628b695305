"""Paired tests, their correction, and intervals over users."""

import math

import numpy as np
import pytest
from scipy import stats

from urecjpq.errors import InputError
from urecjpq.significance import bonferroni, bootstrap_interval, paired_test, stars


def test_the_paired_test_equals_its_formula():
    rng = np.random.default_rng(0)
    first, second = rng.random(50), rng.random(50)
    differences = first - second
    t = differences.mean() / (differences.std(ddof=1) / math.sqrt(50))
    assert paired_test(first, second) == pytest.approx(2 * stats.t.sf(abs(t), 49), rel=1e-12)
    assert paired_test(second, first) == paired_test(first, second)


def test_equal_differences_need_no_statistic_and_warn_of_nothing():
    values = np.random.default_rng(1).random(30)
    assert paired_test(values, values.copy()) == 1.0
    assert paired_test(values, values + 0.1) == 0.0
    assert paired_test(np.zeros(2), np.zeros(2)) == 1.0


def test_correction_and_stars():
    assert bonferroni(0.01, 3) == pytest.approx(0.03)
    assert bonferroni(0.5, 3) == 1.0
    found = [stars(p) for p in (0.0, 0.0009, 0.001, 0.009, 0.01, 0.049, 0.05, 1.0)]
    assert found == ["***", "***", "**", "**", "*", "*", "", ""]


def test_the_interval_is_seeded_and_near_the_normal_one():
    values = np.random.default_rng(2).standard_normal(4000)
    interval = bootstrap_interval(values, draws=2000, seed=5)
    assert interval == bootstrap_interval(values, draws=2000, seed=5)
    assert interval != bootstrap_interval(values, draws=2000, seed=6)
    error = values.std(ddof=1) / math.sqrt(4000)
    expected = (values.mean() - 1.96 * error, values.mean() + 1.96 * error)
    assert interval == pytest.approx(expected, abs=0.15 * error)  # quantiles of 2,000 draws
    assert bootstrap_interval(np.full(3, 0.5)) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_test(np.zeros(2), np.zeros(3)), "must hold the same users; got"),
        (lambda: paired_test(np.zeros(1), np.zeros(1)), "must hold at least 2 users; got 1"),
        (lambda: bonferroni(0.1, 0), "num_tests must be at least 1; got 0"),
        (lambda: bootstrap_interval(np.zeros(0)), "values must hold at least 1 user; got 0"),
        (lambda: bootstrap_interval(np.zeros(2), level=1), "level must lie between 0 and 1; got 1"),
        (lambda: bootstrap_interval(np.zeros(2), draws=0), "draws must be at least 1; got 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()
