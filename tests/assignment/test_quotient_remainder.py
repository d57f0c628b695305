import numpy as np
import pytest

from urecjpq.assignment import assign_by_quotient_remainder, quotient_remainder_size


def test_codes_are_unique_and_in_range():
    for num_entities in (*range(1, 130), 7050, 65_536, 65_537, 100_000):
        codes, centroids = assign_by_quotient_remainder(num_entities)
        size = quotient_remainder_size(num_entities)
        assert centroids is None
        assert (size - 1) ** 2 < num_entities <= size**2
        assert codes.max() < size
        assert len(np.unique(codes, axis=0)) == num_entities


def test_a_hundred_items_stay_in_a_table_of_ten():
    # The published code divides by 11 but sizes the table by 10.
    codes, _ = assign_by_quotient_remainder(100)
    np.testing.assert_array_equal(codes[[0, 9, 10, 99]], [[0, 0], [0, 9], [1, 0], [9, 9]])


def test_no_entity_is_refused():
    with pytest.raises(ValueError, match="num_entities must be at least 1; got 0"):
        assign_by_quotient_remainder(0)


@pytest.mark.parametrize("num_entities", [1, 2, 3, 10, 99, 100, 7050])
def test_scrambled_codes_are_unique_too(num_entities):
    codes, _ = assign_by_quotient_remainder(num_entities, scramble=True)
    assert len(np.unique(codes, axis=0)) == num_entities


def test_scrambled_neighbours_share_no_sub_id():
    codes, _ = assign_by_quotient_remainder(7050, scramble=True)
    assert not (codes[1:] == codes[:-1]).any()
