"""Whether a difference between two models is more than chance."""

import numpy as np
from scipy.stats import ttest_rel

from urecjpq.errors import require

LEVELS = {0.001: "***", 0.01: "**", 0.05: "*"}


def paired_test(first: np.ndarray, second: np.ndarray) -> float:
    """Return the two-sided p-value of a paired t-test over users.

    Where every user differs by the same amount the statistic is 0/0 or unbounded; then p is 1
    for no difference and 0 for any other.

    Args:
        first: One metric, one number per user. Shape ``(num_users,)``.
        second: The same metric of another model, users in the same order. Shape ``(num_users,)``.

    Raises:
        InputError: The lengths differ, or there are fewer than two users.
    """
    same = first.ndim == 1 and first.shape == second.shape
    require(same, "first and second must hold the same users", (first.shape, second.shape))
    require(len(first) >= 2, "first and second must hold at least 2 users", len(first))
    differences = first - second
    largest = np.abs(differences).max()
    # The margin is that of rounding: below it scipy warns of cancellation and p means nothing.
    if np.ptp(differences) <= 1e-12 * largest:
        return float(largest == 0)
    return float(ttest_rel(first, second).pvalue)


def bonferroni(p_value: float, num_tests: int) -> float:
    """Return ``min(1, p · n)``: the p-value when ``num_tests`` tests are read side by side."""
    require(num_tests >= 1, "num_tests must be at least 1", num_tests)
    return min(1.0, p_value * num_tests)


def stars(p_value: float) -> str:
    """Return ``***``, ``**``, ``*`` or nothing for p below .001, .01, .05 or above."""
    return next((mark for level, mark in LEVELS.items() if p_value < level), "")


def bootstrap_interval(
    values: np.ndarray, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile interval of the mean over users, users drawn with replacement.

    Args:
        values: One number per user. Shape ``(num_users,)``.
        level: Probability the interval covers, in (0, 1).
        draws: Resampled sets of users, at least 1.
        seed: Same seed, same interval.
    """
    require(len(values) >= 1, "values must hold at least 1 user", len(values))
    require(0 < level < 1, "level must lie between 0 and 1", level)
    require(draws >= 1, "draws must be at least 1", draws)
    rng = np.random.default_rng(seed)
    batch = max(1, 2**22 // len(values))  # 32 MiB of positions at a time
    sizes = [min(batch, draws - start) for start in range(0, draws, batch)]
    means = [values[rng.integers(len(values), size=(n, len(values)))].mean(1) for n in sizes]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
