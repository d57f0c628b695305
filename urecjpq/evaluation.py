"""Exact full ranking of all items for every user, and its scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix

from urecjpq.data.catalogue import Catalogue, Features
from urecjpq.errors import require
from urecjpq.index.dense import Exclusions, search_dense
from urecjpq.list_metrics import LIST_METRICS, band_recall, diversity, list_metrics
from urecjpq.metrics import USER_METRICS, user_metrics

METRICS = (*USER_METRICS, *LIST_METRICS, "bands")
EXCLUSIONS = ("train", "train+valid", "none")


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
    literature (MMRec); ``exclude="train+valid"`` is stricter and drops validation items too, and
    ``none`` drops nothing, for data in which people come back to what they know.

    Args:
        user_vectors: Final user vectors, finite. Shape ``(num_users, d)``.
        item_vectors: Final item vectors, finite. Shape ``(num_items, d)``.
        catalogue: Partitioned interactions.
        partition: ``valid`` or ``test``.
        ks: Lengths of the lists, each at least 1.
        exclude: ``train``, ``train+valid`` (for the partition ``test`` only) or ``none``.
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
    seen = {
        "train": lambda: train,
        "train+valid": lambda: train + catalogue.matrix("valid"),
        "none": lambda: None,
    }[exclude]()
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

    This is the index's method ``dense``: a user's list depends neither on which users are asked
    together nor on the number of threads.

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
    queries = user_vectors[torch.from_numpy(users).to(user_vectors.device)]
    seen = None if exclude is None else exclude[users]
    excluded = None if seen is None else Exclusions(seen.indptr, seen.indices)
    return search_dense(queries, item_vectors, k, excluded, alike=True)[0]


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
    rule = "exclude must be train or none where the partition is valid"
    require(partition == "test" or exclude != "train+valid", rule, repr(exclude))
    require(len(ks) > 0 and min(ks) >= 1, "ks must be one or more lengths of 1 or more", tuple(ks))
    unknown = sorted(set(names) - set(METRICS))
    require(not unknown, f"names must be out of {', '.join(METRICS)}", ", ".join(unknown))
