"""Exact full ranking of all items for every user, and its scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix

from urecjpq.data.catalogue import Catalogue, Features
from urecjpq.errors import require
from urecjpq.metrics import (
    LIST_METRICS,
    USER_METRICS,
    band_recall,
    diversity,
    list_metrics,
    user_metrics,
)

BLOCK = 256  # users per product: the fastest of 64 … 2048 measured on two cores
BLOCK_SCORES = 2**26  # scores held at once (256 MiB); fewer users per product beyond 262,144 items
METRICS = (*USER_METRICS, *LIST_METRICS, "bands")
EXCLUSIONS = ("train", "train+valid")


@dataclass(frozen=True)
class Evaluation:
    """What a model reaches on one partition.

    Args:
        metrics: Means by name, e.g. ``{"recall@20": 0.075}``.
        users: Rows of the users evaluated, ascending, int64. Shape ``(num_evaluated,)``.
        per_user: Each ranking metric for each of `users`, float64. Shape ``(num_evaluated,)``.
        protocol: What results must share to be comparable, e.g. ``{"exclude": "train"}``.
    """

    metrics: dict[str, float]
    users: np.ndarray
    per_user: dict[str, np.ndarray]
    protocol: dict[str, str]


def evaluate(
    user_vectors: torch.Tensor,
    item_vectors: torch.Tensor,
    catalogue: Catalogue,
    partition: str,
    ks: Sequence[int] = (10, 20),
    exclude: str = "train",
    features: Mapping[str, Features] | None = None,
    names: Sequence[str] = METRICS,
) -> Evaluation:
    """Return the metrics of a full ranking, averaged over users with at least one relevant item.

    Candidates are all items minus the user's training items, the rule of the multimodal
    literature (MMRec); ``exclude="train+valid"`` is stricter and drops validation items too.

    Args:
        user_vectors: Final user vectors, finite. Shape ``(num_users, d)``.
        item_vectors: Final item vectors, finite. Shape ``(num_items, d)``.
        catalogue: Partitioned interactions.
        partition: ``valid`` or ``test``.
        ks: Lengths of the lists, each at least 1.
        exclude: ``train`` or ``train+valid`` (for the partition ``test`` only).
        features: Adds intra-list diversity by modality, ``diversity_image@20``.
        names: Metrics out of `METRICS`; ``("recall", "ndcg")`` is enough, and fastest, in training.

    Raises:
        InputError: The partition is empty, or an argument breaks a rule above.
    """
    _check(user_vectors, item_vectors, catalogue, partition, ks, exclude, names)
    relevant = catalogue.matrix(partition)
    users = np.flatnonzero(np.diff(relevant.indptr))
    require(len(users) > 0, "partition must hold interactions", f"none in {partition}")
    train = catalogue.matrix("train")
    seen = train if exclude == "train" else train + catalogue.matrix("valid")
    lists = rank_items(user_vectors, item_vectors, users, seen, max(ks)).cpu().numpy()

    relevant = relevant[users]
    per_user = user_metrics(lists, relevant, ks, [n for n in names if n in USER_METRICS])
    metrics = {name: float(values.mean()) for name, values in per_user.items()}
    popularity = np.bincount(train.indices, minlength=catalogue.num_items)
    metrics |= list_metrics(lists, popularity, ks, [n for n in names if n in LIST_METRICS])
    if "bands" in names:
        metrics |= band_recall(lists, relevant, popularity, ks)
    for modality, values in (features or {}).items():
        found = diversity(lists, values, ks)
        metrics |= {f"diversity_{modality}@{k}": found[k] for k in ks}
    return Evaluation(metrics, users, per_user, {"exclude": exclude})


@torch.no_grad()
def rank_items(
    user_vectors: torch.Tensor,
    item_vectors: torch.Tensor,
    users: np.ndarray,
    exclude: csr_matrix | None,
    k: int,
) -> torch.Tensor:
    """Return the k best items of each user by inner product, ties to the lower id.

    Every product has the same number of rows, so a user's list depends neither on which users
    are asked together nor on the number of threads.

    Args:
        user_vectors: Finite. Shape ``(num_users, d)``.
        item_vectors: Finite, on the same device. Shape ``(num_items, d)``.
        users: Rows of `user_vectors`. Shape ``(num_queries,)``.
        exclude: Stored entries are never listed; None excludes nothing.
            Shape ``(num_users, num_items)``.
        k: Length of the lists, at least 1.

    Returns:
        Item ids, best first, -1 where candidates ran out, int64. Shape ``(num_queries, k)``.
    """
    _check_vectors(user_vectors, item_vectors)
    require(k >= 1, "k must be at least 1", k)
    users = np.asarray(users, dtype=np.int64)
    num_items, device = len(item_vectors), item_vectors.device
    block = max(1, min(BLOCK, BLOCK_SCORES // max(num_items, 1)))
    lists = torch.full((len(users), k), -1, dtype=torch.int64, device=device)
    item_columns = item_vectors.float().t()
    queries = user_vectors[torch.from_numpy(users).to(device)].float()
    queries = torch.nn.functional.pad(queries, (0, 0, 0, -len(users) % block))
    scores = queries.new_empty((block, num_items))
    masked, bounds = _masked(exclude, users, block)
    for start in range(0, len(users), block):
        stop = min(start + block, len(users))
        torch.mm(queries[start : start + block], item_columns, out=scores)
        positions = masked[bounds[start] : bounds[stop]].to(device)
        scores.view(-1)[positions] = -torch.inf
        lists[start:stop, : min(k, num_items)] = _best(scores[: stop - start], min(k, num_items))
    return lists


def _masked(
    exclude: csr_matrix | None, users: np.ndarray, block: int
) -> tuple[torch.Tensor, np.ndarray]:
    """Return the positions to mask in each flattened block, and where each user's begin."""
    if exclude is None:
        return torch.empty(0, dtype=torch.int64), np.zeros(len(users) + 1, dtype=np.int64)
    chosen = exclude[users]
    rows = np.repeat(np.arange(len(users), dtype=np.int64) % block, np.diff(chosen.indptr))
    return torch.from_numpy(rows * exclude.get_shape()[1] + chosen.indices), chosen.indptr


def _best(scores: torch.Tensor, k: int) -> torch.Tensor:
    # One more than asked for shows whether the last place is contested: topk promises no order
    # among equals, and quantised items with the same codes are equal.
    values, ids = torch.topk(scores, min(k + 1, scores.shape[1]))
    tied = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -torch.inf)
    ids, values = ids[:, :k], values[:, :k]
    rows = tied.any(1).nonzero().flatten()
    if len(rows):
        ids[rows] = _best_of_tied(scores[rows], values[rows, -1:], k)
    return ids.masked_fill(values == -torch.inf, -1)


def _best_of_tied(scores: torch.Tensor, last: torch.Tensor, k: int) -> torch.Tensor:
    """Return the k best where equals go by id; `last` is the score of the k-th place."""
    rows, ids = (scores >= last).nonzero(as_tuple=True)  # at least k a row, ids ascending
    order = scores[rows, ids].sort(descending=True, stable=True).indices
    order = order[rows[order].sort(stable=True).indices]
    begins = torch.searchsorted(rows, torch.arange(len(scores), device=rows.device))
    return ids[order][begins[:, None] + torch.arange(k, device=rows.device)]


def _check_vectors(user_vectors: torch.Tensor, item_vectors: torch.Tensor) -> None:
    shapes = tuple(user_vectors.shape), tuple(item_vectors.shape)
    fit = user_vectors.ndim == item_vectors.ndim == 2 and shapes[0][1] == shapes[1][1]
    require(fit, "user_vectors and item_vectors must have shapes (…, d) and (…, d)", shapes)
    for name, vectors in (("user_vectors", user_vectors), ("item_vectors", item_vectors)):
        finite = bool(torch.isfinite(vectors).all())
        hint = "The training diverged: lower the learning rate."
        require(finite, f"{name} must be finite", "NaN or infinity", hint)


def _check(
    user_vectors: torch.Tensor,
    item_vectors: torch.Tensor,
    catalogue: Catalogue,
    partition: str,
    ks: Sequence[int],
    exclude: str,
    names: Sequence[str],
) -> None:
    expected = (catalogue.num_users, catalogue.num_items)
    rule = "user_vectors and item_vectors must have a row for each of {} users and {} items"
    shape = (len(user_vectors), len(item_vectors))
    require(shape == expected, rule.format(*expected), shape)
    require(partition in ("valid", "test"), "partition must be valid or test", repr(partition))
    rule = f"exclude must be one of {', '.join(EXCLUSIONS)}"
    require(exclude in EXCLUSIONS, rule, repr(exclude))
    rule = "exclude must be train where the partition is valid"
    require(partition == "test" or exclude == "train", rule, repr(exclude))
    require(len(ks) > 0 and min(ks) >= 1, "ks must be one or more lengths of 1 or more", tuple(ks))
    unknown = sorted(set(names) - set(METRICS))
    require(not unknown, f"names must be out of {', '.join(METRICS)}", ", ".join(unknown))
