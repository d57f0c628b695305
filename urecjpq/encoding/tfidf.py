"""Texts as vectors without a language model: counted words, and what they have in common."""

from collections.abc import Sequence
from itertools import compress

import numpy as np

from urecjpq.data.catalogue import Features
from urecjpq.errors import require

# Bounds the memory of large catalogues; the most frequent words and word pairs stay.
MAX_TERMS = 200_000


def encode_texts(texts: Sequence[str], dimension: int = 64, seed: int = 0) -> Features:
    """Return the leading latent directions of TF-IDF over words and word pairs, at unit length.

    Texts with like words point the same way, and so do texts whose words go together elsewhere.
    The vectors depend on the whole collection: encode all items at once.

    Args:
        texts: One per item, ``""`` where there is none.
        dimension: Width wanted, at least 1. It is cut to the number of texts with a word, and of
            different terms, if one of them is smaller.
        seed: Start of the randomised decomposition.

    Returns:
        float32 values, rows of length 1 or, where a text has no word of two letters, absent.
        Shape ``(len(texts), min(dimension, texts with a word, terms))``.

    Raises:
        InputError: ``dimension`` is below 1, or no text has a word.

    Source: Deerwester et al., Indexing by Latent Semantic Analysis, JASIS 1990.
    """
    # Imported late: scikit-learn takes seconds, and most of the package does without.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    require(dimension >= 1, "dimension must be at least 1", dimension)
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, max_features=MAX_TERMS, dtype=np.float64
    )
    word = vectorizer.build_tokenizer()
    present = np.array([bool(word(text)) for text in texts], dtype=bool)
    require(bool(present.any()), "texts must have at least one word", f"{len(texts)} without")
    weights = vectorizer.fit_transform(list(compress(texts, present)))
    width = min(dimension, *weights.shape)
    # One thread, so that sums are taken in one order; TruncatedSVD would refuse a single term.
    with threadpool_limits(limits=1):
        left, singular, _ = randomized_svd(
            weights, width, n_iter=7, flip_sign=True, random_state=seed
        )
    values = np.zeros((len(texts), width), dtype=np.float32)
    values[present] = _unit(left * singular)
    return Features(values, present)


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    # A text outside all kept directions has length 0; it stays a zero row, like nothing else.
    return rows / np.maximum(lengths, np.finfo(rows.dtype).tiny)
