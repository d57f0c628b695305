"""One search over every segment of an index, by any method, with the same answer."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from urecjpq.index.dense import Exclusions, search_dense
from urecjpq.index.filters import Allowed
from urecjpq.index.native import REFERENCE
from urecjpq.index.reference import CHUNK, best, code_scores, vector_scores
from urecjpq.index.segment import Segment, State, are_hidden
from urecjpq.index.source import Scores

QUERIES_AT_ONCE = 64  # of the reference
SMALL = 2**13  # items below which bounds cost more than they save


@dataclass(frozen=True)
class SearchStatistics:
    """What a search did.

    Args:
        method: The method that ran.
        path: The kernels that ran, or ``reference``.
        threads: Threads asked for.
        items_scored: Exact scores, all queries together.
        blocks: Blocks of 64 items times queries.
        blocks_skipped: Those of which not one sub-id was looked up.
        lines_read: Looked-up splits of blocks.
        nanoseconds: By stage: ``table``, ``warm_up``, ``scan``, ``total``.
    """

    method: str
    path: str
    threads: int
    items_scored: int = 0
    blocks: int = 0
    blocks_skipped: int = 0
    lines_read: int = 0
    nanoseconds: dict[str, int] = field(default_factory=dict)


class Request(NamedTuple):
    """A checked search.

    Args:
        queries: float32, finite. Shape ``(q, d)``.
        k: At least 1.
        exclude: Items each query must not list, or None.
        allow: Mask by id, or None.
        method: ``scan``, ``prune``, ``pqtopk`` or ``dense``.
        threads: At least 1.
        path: Kernels to take.
    """

    queries: np.ndarray
    k: int
    exclude: Exclusions | None
    allow: Allowed | None
    method: str
    threads: int
    path: str


Answer = tuple[np.ndarray, np.ndarray]


def run(state: State, request: Request, scores: Scores) -> tuple[Answer, np.ndarray]:
    """Return ids and scores of shape ``(q, k)``, and what was counted (zeros but for kernels)."""
    counts = np.zeros(6, dtype=np.int64)
    if request.method == "dense":
        return _dense(state, request), counts
    answers = []
    for segment, hidden in state.parts():
        words = request.allow and request.allow.words(segment, state.num_ids)
        if request.path == REFERENCE:
            rows, values = _reference(segment, hidden, request, scores, words)
        else:
            rows, values, found = _native(segment, hidden, request, scores, words)
            counts += found.sum(0)
        answers.append(_by_id(segment, (rows, values)))
    alone = len(answers) == 1 and answers[0][0].shape[1] == request.k
    return answers[0] if alone else merge(answers, request.k), counts


def describe(
    state: State, request: Request, counts: np.ndarray, table: int, total: int
) -> SearchStatistics:
    """Return the statistics of a search, times in nanoseconds."""
    scored, _, skipped, warm_up, scan, lines = counts.tolist()
    return SearchStatistics(
        request.method,
        "torch" if request.method == "dense" else request.path,
        request.threads,
        scored,
        len(request.queries) * sum(segment.layout.num_blocks for segment, _ in state.parts()),
        skipped,
        lines,
        {"table": table, "warm_up": warm_up, "scan": scan, "total": total},
    )


def merge(answers: list[Answer], k: int) -> Answer:
    """Return the k best of several answers."""
    ids, scores = (np.concatenate(parts, axis=1) for parts in zip(*answers, strict=True))
    return best(ids, scores, k)


def _by_id(segment: Segment, answer: Answer) -> Answer:
    if segment.ids is None:
        return answer
    rows, scores = answer
    return np.where(rows < 0, -1, segment.ids[rows]), scores


def _native(
    segment: Segment,
    hidden: np.ndarray | None,
    request: Request,
    scores: Scores,
    words: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    exclude = segment.exclusions(request.exclude)
    return segment.native.search(
        scores.tables,
        min(request.k, segment.layout.num_items),
        request.method,
        request.threads,
        request.path,
        removed=hidden,
        allowed=words,
        exclude_first=None if exclude is None else exclude.first,
        exclude_ids=None if exclude is None else exclude.ids,
        slack=scores.slack,
        vectors=segment.vectors,
        queries=scores.queries,
    )


def _reference(
    segment: Segment,
    hidden: np.ndarray | None,
    request: Request,
    scores: Scores,
    words: np.ndarray | None,
) -> Answer:
    listable, exclude = _listable(segment, hidden, words), segment.exclusions(request.exclude)
    starts = range(0, max(1, len(request.queries)), QUERIES_AT_ONCE)
    slices = [slice(start, start + QUERIES_AT_ONCE) for start in starts]
    parts = [
        _reference_part(segment, listable, exclude, request.k, scores, part) for part in slices
    ]
    ids, values = zip(*parts, strict=True)
    return np.concatenate(ids), np.concatenate(values)


def _reference_part(
    segment: Segment,
    listable: np.ndarray,
    exclude: Exclusions | None,
    k: int,
    scores: Scores,
    part: slice,
) -> Answer:
    rows, codes = segment.decoded
    exclude = exclude and exclude.of_queries(part)
    found: list[Answer] = []
    for start in range(0, len(rows), CHUNK):
        here = slice(start, start + CHUNK)
        if segment.vectors is not None and scores.queries is not None:
            values = vector_scores(scores.queries[part], segment.vectors[rows[here]])
        else:
            values = code_scores(scores.tables[part], codes[here])
        ids = np.where(listable[here], rows[here], -1)
        ids = np.broadcast_to(ids, values.shape).copy()
        if exclude is not None:
            first, places = exclude.within(rows[here])
            ids[np.repeat(np.arange(len(ids)), np.diff(first)), places] = -1
        found = [merge([*found, (ids, values)], k)]
    return found[0]


def _listable(segment: Segment, hidden: np.ndarray | None, words: np.ndarray | None) -> np.ndarray:
    """Return whether each row of the decoded codes may be listed."""
    rows = segment.decoded[0]
    listable = np.ones(len(rows), dtype=bool)
    if hidden is not None:
        listable &= ~are_hidden(hidden, rows)
    if words is not None:
        allowed = np.unpackbits(words.view(np.uint8), bitorder="little").astype(bool)
        by_position = segment.layout.ids()[: len(rows)]
        listable &= allowed[: len(rows)][np.argsort(by_position, kind="stable")]
    return listable


def _dense(state: State, request: Request) -> Answer:
    """Reconstruct and multiply, chunk by chunk; scores as the library's product rounds them."""
    queries = torch.tensor(request.queries)  # a copy: the caller's array may be read-only
    answers = []
    for segment, hidden in state.parts():
        part = segment.exclusions(request.exclude)
        words = request.allow and request.allow.words(segment, state.num_ids)
        listable, (rows, codes) = _listable(segment, hidden, words), segment.decoded
        found: list[Answer] = []
        for start in range(0, len(rows), CHUNK * 4):
            here = slice(start, start + CHUNK * 4)
            kept = np.flatnonzero(listable[here]) + start
            if segment.vectors is not None:
                vectors = segment.vectors[rows[kept], : request.queries.shape[1]]
            else:
                vectors = reconstruct(state.source.centroids, codes[kept])
            excluded = part and part.within(rows[kept])
            ids, values = search_dense(queries, torch.from_numpy(vectors), request.k, excluded)
            places = ids.numpy()
            ids = np.where(places < 0, -1, rows[kept][places] if len(kept) else -1)
            found = [merge([*found, (ids, values.numpy())], request.k)]
        answers.append(_by_id(segment, found[0]))
    return merge(answers, request.k)


def reconstruct(centroids: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the embeddings that codes stand for. Shape ``(n, d)``."""
    splits = np.arange(codes.shape[1])
    return centroids[splits, codes].reshape(len(codes), centroids.shape[0] * centroids.shape[2])


def choose_method(state: State, wanted: str) -> str:
    """Return the method to run.

    ``auto`` takes bounds once there is something to skip. Final vectors have no posting lists to
    ``prune``: they are scored exhaustively.
    """
    if wanted == "prune" and state.base.vectors is not None:
        return "pqtopk"
    if wanted != "auto":
        return wanted
    bounded = state.source.centroids.shape[1] > 1
    return "scan" if bounded and state.num_items >= SMALL else "pqtopk"
