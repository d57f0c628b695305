"""Codes from a small matrix factorisation trained on pairwise preferences (BPR)."""

import numpy as np
from scipy.sparse import csr_matrix

from urecjpq.assignment.assignment import (
    Assignment,
    equal_count_bins,
    require_code_shape,
    require_interactions,
)
from urecjpq.errors import require

RUN = 16
"""Pairs in a row that are shuffled as one: single ones would each cost a visit to main memory."""


def assign_by_bpr(
    interactions: csr_matrix,
    code_length: int,
    codebook_size: int = 256,
    *,
    seed: int = 0,
    epochs: int = 20,
    learning_rate: float = 0.05,
    batch_size: int = 8192,
) -> Assignment:
    """Return codes of the columns: split ``k`` is the rank in the ``k``-th factor of a BPR model.

    The model ``x_ui = ⟨p_u, q_i⟩ + b_i`` has ``code_length`` factors; the bias takes up popularity
    and is dropped.

    Args:
        interactions: Training pairs, columns are the entities. Shape ``(num_users, num_items)``.
        code_length: Splits per entity, factors of the model.
        codebook_size: Bins per split, at most the number of columns.
        seed: Of the start, the order of pairs and the negatives.
        epochs: Passes over all pairs.
        learning_rate: Of Adagrad.
        batch_size: Pairs per step, rounded up to whole runs of sixteen neighbouring pairs.

    Returns:
        Codes without centroids.

    Raises:
        InputError: An empty matrix, or sizes and rates that make no sense.

    Source: Petrov & Macdonald, RecJPQ, WSDM 2024 (arXiv:2312.06165); Rendle et al., BPR, UAI 2009.
    The authors train LightFM (same model, 20 epochs, Adagrad at 0.05, a triple is skipped when the
    uniform negative is a training pair) on lock-free threads, so no two runs agree, and bin with
    noise. Here mini-batches of one thread replace the threads, one Adagrad sum serves a whole
    vector, and bins go by rank.
    """
    _, num_entities = require_interactions(interactions)
    require_code_shape(num_entities, code_length, codebook_size)
    require(epochs >= 1, "epochs must be at least 1", epochs)
    require(learning_rate > 0, "learning_rate must be positive", learning_rate)
    require(batch_size >= 1, "batch_size must be at least 1", batch_size)
    factors = _train(interactions, code_length, seed, epochs, learning_rate, batch_size)
    return Assignment(equal_count_bins(factors, codebook_size))


def _train(
    interactions: csr_matrix,
    rank: int,
    seed: int,
    epochs: int,
    learning_rate: float,
    batch_size: int,
) -> np.ndarray:
    matrix = csr_matrix(interactions, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    num_users, num_items = matrix.shape  # type: ignore[misc]
    rng = np.random.default_rng(seed)
    users = _Table((rng.random((num_users, rank), dtype=np.float32) - 0.5) / rank, learning_rate)
    items = _Table((rng.random((num_items, rank), dtype=np.float32) - 0.5) / rank, learning_rate)
    biases = _Table(np.zeros((num_items, 1), dtype=np.float32), learning_rate)
    user_of_pair = np.repeat(np.arange(num_users), np.diff(matrix.indptr))
    # Sorted, because rows are in order and their columns sorted.
    known = user_of_pair * num_items + matrix.indices
    runs_per_batch = -(-batch_size // RUN)
    for _ in range(epochs):
        runs = rng.permutation(-(-len(known) // RUN)) * RUN
        for start in range(0, len(runs), runs_per_batch):
            batch = (runs[start : start + runs_per_batch, None] + np.arange(RUN)).ravel()
            batch = batch[batch < len(known)]
            user, liked = user_of_pair[batch], matrix.indices[batch].astype(np.int64)
            other = rng.integers(num_items, size=len(batch))
            pairs = user * num_items + other
            fresh = known[np.searchsorted(known[:-1], pairs)] != pairs
            user, liked, other = user[fresh], liked[fresh], other[fresh]

            p, q = users.values[user], items.values[liked] - items.values[other]
            bias = biases.values[liked, 0] - biases.values[other, 0]
            margin = np.einsum("nr,nr->n", p, q) + bias
            pull = (1 / (1 + np.exp(np.clip(margin, -30, 30))))[:, None]
            users.ascend(user, pull * q)
            both = np.concatenate([liked, other])
            items.ascend(both, np.concatenate([pull * p, -pull * p]))
            biases.ascend(both, np.concatenate([pull, -pull]))
    return items.values


class _Table:
    """Vectors under Adagrad with one sum of squares per vector."""

    def __init__(self, values: np.ndarray, learning_rate: float) -> None:
        self.values = values
        self._rate = np.float32(learning_rate)
        self._squares = np.ones(len(values), dtype=np.float32)

    def ascend(self, rows: np.ndarray, gradients: np.ndarray) -> None:
        rank = gradients.shape[1]
        np.add.at(self._squares, rows, np.einsum("nr,nr->n", gradients, gradients) / rank)
        steps = gradients * (self._rate / np.sqrt(self._squares[rows]))[:, None]
        # Flat: numpy adds at one-dimensional indices an order of magnitude faster.
        flat = (rows[:, None] * rank + np.arange(rank)).ravel()
        np.add.at(self.values.reshape(-1), flat, steps.ravel())
