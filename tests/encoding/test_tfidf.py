"""Texts → TF-IDF → truncated SVD."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from urecjpq.encoding import encode_texts
from urecjpq.errors import InputError


def test_titles_of_a_category_are_nearer_than_others(shop, likeness):
    features = encode_texts(list(shop.catalogue.titles))
    same, other = likeness(features, shop.traits.category)
    assert same - other > 0.25
    same, other = likeness(features, shop.traits.colour)
    assert same - other > 0.04


def test_values_are_unit_float32_rows(shop):
    features = encode_texts(list(shop.catalogue.titles), dimension=32)
    assert features.values.shape == (300, 32) and features.values.dtype == np.float32
    assert features.present.dtype == bool and features.present.all()
    np.testing.assert_allclose(np.linalg.norm(features.values, axis=1), 1, rtol=1e-5)


def test_text_without_a_word_is_absent():
    features = encode_texts(["red ball", "", "red kite", " ?! ", "blue kite"], dimension=2)
    assert features.present.tolist() == [True, False, True, False, True]
    assert not features.values[[1, 3]].any() and features.values[[0, 2, 4]].any(axis=1).all()


def test_absent_texts_do_not_change_the_others():
    texts = ["red ball", "red kite", "blue kite", "blue drum"]
    alone = encode_texts(texts, dimension=3)
    among = encode_texts(["", *texts, ""], dimension=3)
    assert (among.values[1:-1] == alone.values).all()


@pytest.mark.parametrize(
    ("texts", "width"),
    [
        (["red ball", "red kite", "blue kite"], 3),  # as many as texts
        (["kite", "kite", "kite", ""], 1),  # as many as terms
    ],
)
def test_width_is_cut_to_texts_and_terms(texts, width):
    features = encode_texts(texts, dimension=64)
    assert features.values.shape == (len(texts), width)
    assert np.isfinite(features.values).all()


def test_same_bits_on_any_number_of_threads(shop):
    titles = list(shop.catalogue.titles)
    bits = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            bits.append(encode_texts(titles).values.tobytes())
    assert bits[0] == bits[1]


def test_refusals():
    with pytest.raises(InputError, match="dimension must be at least 1; got 0"):
        encode_texts(["red ball"], dimension=0)
    with pytest.raises(InputError, match="texts must have at least one word; got 2 without"):
        encode_texts(["", "?"])
