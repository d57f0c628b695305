"""Train, valid and test partitions: three rules to draw them, and what they must fulfil."""

import numpy as np

from urecjpq.data.catalogue import PARTITIONS, Catalogue
from urecjpq.data.filters import drop_untrained_users
from urecjpq.errors import InputError, require

TRAIN, VALID, TEST = range(3)
SHOWN_IDS = 5


def partition_leave_one_out(
    catalogue: Catalogue, validation_users: int | None = None, seed: int = 0
) -> Catalogue:
    """Return the catalogue with each user's last interaction as test, the one before as valid.

    Order is by timestamp, ties and catalogues without timestamps by the order of the source. Users
    with fewer than three interactions keep all of them for training (the rule of SASRec's code).

    Args:
        catalogue: Partitions it may have are forgotten.
        validation_users: Only so many users, drawn by ``seed``, validate; the others train on their
            last but one interaction too (the rule of RecJPQ's code, with 1,024). None for all.
        seed: Same seed, same users.

    Raises:
        InputError: A partition stays empty, a user has no training interaction, or there are fewer
            than ``validation_users`` who could validate.
    """
    times = catalogue.interactions.timestamps
    position, count = _positions(catalogue, times)
    from_end = count - 1 - position
    splittable = count >= len(PARTITIONS)
    labels = np.where(splittable & (from_end == 0), TEST, TRAIN)
    labels[splittable & (from_end == 1)] = VALID
    if validation_users is not None:
        held_out = np.flatnonzero(labels == VALID)
        rule = (
            f"validation_users must lie in 1 … {len(held_out)}, the users who have an item for it"
        )
        require(1 <= validation_users <= len(held_out), rule, validation_users)
        spared = np.random.default_rng(seed).permutation(held_out)[validation_users:]
        labels[spared] = TRAIN
    return _with_labels(catalogue, labels)


def partition_random_per_user(
    catalogue: Catalogue, valid: float = 0.1, test: float = 0.1, seed: int = 0
) -> Catalogue:
    """Return the catalogue with a random share of each user's interactions as valid and as test.

    A user with n interactions gives ⌊n·share⌋ of them, but at least one to each, and keeps at least
    one; users with fewer than three keep all of them for training. Same seed, same bits.

    Args:
        catalogue: Partitions it may have are forgotten.
        valid: Share for validation, in (0, 1).
        test: Share for the test, in (0, 1); with ``valid`` below 1.
        seed: Of numpy's default generator.

    Raises:
        InputError: A share is out of range, a partition stays empty, or a user has no training
            interaction.

    Source: the 8:1:1 rule of LATTICE (Zhang et al., MM 2021) and MMRec, where users with fewer than
    ten interactions give one each. They draw with Python's ``random``: same rule, other draws.
    """
    _check_shares(valid, test)
    draws = np.random.default_rng(seed).random(len(catalogue.interactions))
    position, count = _positions(catalogue, draws)
    num_valid = np.minimum(_share(count, valid), count - 2)
    num_test = np.minimum(_share(count, test), count - 1 - num_valid)
    splittable = count >= len(PARTITIONS)
    labels = np.where(splittable & (position < num_valid + num_test), VALID, TRAIN)
    labels[splittable & (position < num_test)] = TEST
    return _with_labels(catalogue, labels)


def partition_by_time(
    catalogue: Catalogue, valid: float = 0.1, test: float = 0.1, drop_untrained: bool = False
) -> Catalogue:
    """Return the catalogue with the newest interactions as test and those before as valid.

    One moment for all users separates the partitions, so nothing is trained on what came later.
    Interactions of the same second stay together: partitions can be larger than their share.

    Args:
        catalogue: Partitions it may have are forgotten.
        valid: Share for validation, in (0, 1).
        test: Share for the test, in (0, 1); with ``valid`` below 1.
        drop_untrained: Drop users who came after the training time instead of refusing them.

    Raises:
        InputError: There are no timestamps, a share is out of range, a partition stays empty, or a
            user has no training interaction.
    """
    _check_shares(valid, test)
    times = catalogue.interactions.timestamps
    if times is None:
        raise InputError(
            f"interactions of {catalogue.name} must have timestamps; got none. "
            "Use partition_random_per_user, or partition_leave_one_out for the order of the source."
        )
    # Counted from the end, and rounded against 0.1 + 0.2 = 0.30000000000000004.
    newest = np.round(len(times) * np.array([valid + test, test]), 6)
    cuts = np.sort(times)[len(times) - np.floor(newest).astype(int).clip(1)]
    labels = np.searchsorted(cuts, times, side="right")
    return _with_labels(catalogue, labels, drop_untrained)


def require_trainable(catalogue: Catalogue) -> None:
    """Raise an InputError unless every partition has interactions and every user trains.

    Args:
        catalogue: With partitions.

    Raises:
        InputError: A partition is empty, or users have no training interaction; the message says
            how many and names the first.
    """
    labels = catalogue.interactions.partitions
    if labels is None:
        raise InputError(f"interactions of {catalogue.name} must have partitions; got none.")
    sizes = np.bincount(labels, minlength=len(PARTITIONS))
    counts = ", ".join(f"{size} {name}" for name, size in zip(PARTITIONS, sizes, strict=True))
    require(
        bool(sizes.all()),
        f"every partition of {catalogue.name} must have interactions",
        counts,
        "Choose larger shares, or another rule for the partition.",
    )
    training = catalogue.interactions.users[labels == TRAIN]
    lost = np.bincount(training, minlength=catalogue.num_users) == 0
    ids = ", ".join(catalogue.user_ids[lost][:SHOWN_IDS])
    require(
        not lost.any(),
        f"every user of {catalogue.name} must have a training interaction",
        f"{lost.sum()} without, the first of them {ids}",
        "Filter them: drop_untrained_users(catalogue), or drop_untrained = true in a card.",
    )


def _check_shares(valid: float, test: float) -> None:
    require(0 < valid < 1, "valid must lie in (0, 1)", valid)
    require(0 < test < 1, "test must lie in (0, 1)", test)
    require(valid + test < 1, "valid + test must be below 1", valid + test)


def _share(count: np.ndarray, share: float) -> np.ndarray:
    """Return ⌊count·share⌋, at least 1; rounded first, since 0.29 · 100 = 28.999999999999996."""
    return np.floor(np.round(count * share, 6)).astype(np.int64).clip(1)


def _positions(catalogue: Catalogue, key: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return each interaction's place in its user's order by ``key``, and that user's count."""
    users = catalogue.interactions.users
    # lexsort is stable: equal keys stay in the order of the source.
    order = np.lexsort((users,) if key is None else (key, users))
    counts = np.bincount(users, minlength=catalogue.num_users)
    starts = np.cumsum(counts) - counts
    position = np.empty(len(users), dtype=np.int64)
    position[order] = np.arange(len(users)) - starts[users[order]]
    return position, counts[users]


def _with_labels(
    catalogue: Catalogue, labels: np.ndarray, drop_untrained: bool = False
) -> Catalogue:
    labelled = catalogue.with_partitions(labels)
    labelled = drop_untrained_users(labelled) if drop_untrained else labelled
    require_trainable(labelled)
    return labelled
