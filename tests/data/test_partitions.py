import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from urecjpq.data import (
    catalogue_from_frame,
    partition_by_time,
    partition_leave_one_out,
    partition_random_per_user,
    require_trainable,
)
from urecjpq.errors import InputError

TRAIN, VALID, TEST = range(3)


def catalogue(users, times=None):
    frame = pd.DataFrame({"user": users, "item": np.arange(len(users))})
    if times is not None:
        frame["time"] = times
    return catalogue_from_frame(frame, timestamp=None if times is None else "time")


def labels(found):
    return found.interactions.partitions.tolist()


def test_last_is_test_and_penultimate_valid_by_time():
    found = partition_leave_one_out(catalogue(list("abababa"), [9, 1, 5, 3, 7, 2, 1]))
    assert labels(found) == [TEST, TRAIN, TRAIN, TEST, VALID, VALID, TRAIN]


def test_ties_and_missing_times_go_by_the_order_of_the_source():
    expected = [TRAIN, TRAIN, VALID, VALID, TEST, TEST]
    assert labels(partition_leave_one_out(catalogue(list("ababab"), [4] * 6))) == expected
    assert labels(partition_leave_one_out(catalogue(list("ababab")))) == expected


@pytest.mark.parametrize("rule", [partition_leave_one_out, partition_random_per_user])
def test_users_with_fewer_than_three_only_train(rule):
    found = rule(catalogue(list("aaabbc")))
    assert labels(found)[3:] == [TRAIN, TRAIN, TRAIN]
    assert sorted(labels(found)[:3]) == [TRAIN, VALID, TEST]


def test_some_users_validate_and_the_others_train_on_more():
    whole = catalogue(list("abcabcabc"))
    found = partition_leave_one_out(whole, validation_users=1, seed=3)
    assert sorted(labels(found)[:6]) == [TRAIN] * 5 + [VALID]
    assert VALID in labels(found)[3:6]
    assert labels(found)[6:] == [TEST] * 3
    assert labels(found) == labels(partition_leave_one_out(whole, validation_users=1, seed=3))
    chosen = {
        tuple(labels(partition_leave_one_out(whole, validation_users=1, seed=seed)))
        for seed in range(20)
    }
    assert len(chosen) == 3
    all_of_them = partition_leave_one_out(whole, validation_users=3)
    assert labels(all_of_them) == labels(partition_leave_one_out(whole))


@pytest.mark.parametrize("count", [0, 4])
def test_no_more_users_validate_than_there_are(count):
    with pytest.raises(InputError, match=rf"must lie in 1 … 3, the users .*; got {count}"):
        partition_leave_one_out(catalogue(list("abcabcabc")), validation_users=count)


counts = st.lists(st.integers(1, 40), min_size=1, max_size=12).filter(lambda n: max(n) >= 3)
shares = st.tuples(st.floats(0.01, 0.98), st.floats(0.01, 0.98)).filter(lambda s: sum(s) < 0.99)


@given(counts, shares, st.integers(0, 3))
def test_random_shares_of_every_user(counts, shares, seed):
    users = np.repeat(np.arange(len(counts)), counts)
    users = np.random.default_rng(seed).permutation(users)
    found = partition_random_per_user(catalogue(users), *shares, seed=seed)
    for user, raw in enumerate(found.user_ids):
        mine = found.interactions.partitions[found.interactions.users == user]
        n = counts[int(raw)]
        train, valid, test = np.bincount(mine, minlength=3)
        assert train >= 1
        if n >= 3:
            assert valid == min(max(1, int(n * shares[0] + 1e-6)), n - 2)
            assert 1 <= test <= max(1, int(n * shares[1] + 1e-6))


def test_same_seed_same_bits_and_other_seed_others():
    source = catalogue(np.repeat(np.arange(50), 10))
    first, again, other = (partition_random_per_user(source, seed=seed) for seed in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    assert np.bincount(first.interactions.partitions).tolist() == [400, 50, 50]


def test_one_moment_for_all_users():
    times = np.random.default_rng(0).permutation(100)
    found = partition_by_time(catalogue(np.arange(100) % 3, times), valid=0.1, test=0.2)
    assert sorted(times[found.interactions.partitions == TEST]) == list(range(80, 100))
    assert sorted(times[found.interactions.partitions == VALID]) == list(range(70, 80))


def test_the_same_second_stays_together():
    times = [1, 1, 1, 1, 2, 2, 3, 3, 3, 3]
    found = partition_by_time(catalogue(list("aaaaaaaaaa"), times), valid=0.4, test=0.2)
    assert labels(found) == [TRAIN] * 4 + [VALID] * 2 + [TEST] * 4


def test_users_who_came_too_late_are_refused_or_dropped():
    source = catalogue(list("aaaaaaabbb"), range(10))
    with pytest.raises(
        InputError, match="got 1 without, the first of them b. Filter them: drop_un"
    ):
        partition_by_time(source, 0.1, 0.2)
    found = partition_by_time(
        catalogue(list("aaaaaaaaba"), range(10)), 0.2, 0.1, drop_untrained=True
    )
    assert found.user_ids.tolist() == ["a"]
    assert labels(found) == [TRAIN] * 7 + [VALID, TEST]


def test_training_users_are_required_and_named():
    source = catalogue(list("abcdefga"))
    with pytest.raises(InputError, match="got 6 without, the first of them b, c, d, e, f. Filter"):
        require_trainable(source.with_partitions(np.array([0, 1, 1, 1, 1, 1, 2, 2])))
    with pytest.raises(InputError, match="interactions of frame must have partitions; got none"):
        require_trainable(source)


@pytest.mark.parametrize("rule", [partition_leave_one_out, partition_random_per_user])
def test_empty_partitions_are_refused(rule):
    with pytest.raises(InputError, match="must have interactions; got 4 train, 0 valid, 0 test"):
        rule(catalogue(list("aabb")))


def test_one_moment_cannot_part_equal_times():
    with pytest.raises(InputError, match="got 0 train, 0 valid, 4 test"):
        partition_by_time(catalogue(list("aabb"), [1] * 4))


@pytest.mark.parametrize("rule", [partition_random_per_user, partition_by_time])
@pytest.mark.parametrize(
    ("valid", "test", "message"),
    [
        (0, 0.1, r"valid must lie in \(0, 1\); got 0"),
        (0.1, 1.0, r"test must lie in \(0, 1\); got 1.0"),
        (0.5, 0.5, r"valid \+ test must be below 1; got 1.0"),
    ],
)
def test_shares_out_of_range_are_refused(rule, valid, test, message):
    with pytest.raises(InputError, match=message):
        rule(catalogue(list("aaa"), [1, 2, 3]), valid, test)


def test_time_is_needed():
    with pytest.raises(InputError, match="interactions of frame must have timestamps; got none"):
        partition_by_time(catalogue(list("aaa")))
