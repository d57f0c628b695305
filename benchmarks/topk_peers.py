"""The other ways to an exact top-K over codes and centroids: the peers of `topk.py`.

Each function takes a case and returns a search: the number of a query and k to ids and scores. All
of them run on one thread where torch and faiss are told so.
"""

from collections.abc import Callable

import faiss  # pyright: ignore[reportMissingImports]
import numba  # pyright: ignore[reportMissingImports]
import numpy as np
import torch
from topk_data import Case

Found = tuple[np.ndarray, np.ndarray]
Search = Callable[[int, int], Found]
Method = Callable[[int], Found]


def dense(case: Case) -> Search:
    """Return the product with the full table, four bytes times d per item, and torch.topk."""
    table = torch.empty(len(case.codes), case.queries.shape[1])
    splits = np.arange(case.codes.shape[1])
    for start in range(0, len(table), 2**16):
        rows = case.centroids[splits, case.codes[start : start + 2**16]]
        table[start : start + 2**16] = torch.from_numpy(rows.reshape(len(rows), -1))
    queries = torch.from_numpy(case.queries)
    return lambda query, k: _numpy((table @ queries[query]).topk(k))


def torch_pqtopk(case: Case) -> Search:
    """Return PQTopK in torch: one gather per split, added up, and torch.topk."""
    codes = torch.from_numpy(case.codes.T.astype(np.int32))
    centroids, queries = torch.from_numpy(case.centroids), torch.from_numpy(case.queries)

    def search(query: int, k: int) -> Found:
        slices = queries[query].view(len(centroids), -1, 1)
        table = (centroids @ slices).squeeze(-1)
        scores = table[0].index_select(0, codes[0])
        for split in range(1, len(codes)):
            scores += table[split].index_select(0, codes[split])
        return _numpy(scores.topk(k))

    return search


def faiss_pq(case: Case) -> Search:
    """Return FAISS IndexPQ under the inner product, holding the given codes."""
    index = faiss.IndexPQ(case.queries.shape[1], case.codes.shape[1], 8, faiss.METRIC_INNER_PRODUCT)
    index.is_trained = True
    faiss.copy_array_to_vector(case.centroids.ravel(), index.pq.centroids)
    faiss.copy_array_to_vector(case.codes.ravel(), index.codes)
    index.ntotal = len(case.codes)

    def search(query: int, k: int) -> Found:
        scores, ids = index.search(case.queries[query : query + 1], k)
        return ids[0], scores[0]

    return search


def numba_scan(case: Case) -> Search:
    """Return the compiled loop; its sums have the order of ours, so its bits must be equal."""
    return lambda query, k: _scan(case.codes, case.centroids, case.queries[query], k)


@numba.njit
def _scan(codes: np.ndarray, centroids: np.ndarray, query: np.ndarray, k: int) -> Found:
    code_length, codebook_size, split_dim = centroids.shape
    table = np.empty((code_length, codebook_size), dtype=np.float32)
    for split in range(code_length):
        for sub_id in range(codebook_size):
            total = query[split * split_dim] * centroids[split, sub_id, 0]
            for column in range(1, split_dim):
                total += query[split * split_dim + column] * centroids[split, sub_id, column]
            table[split, sub_id] = total
    ids = np.full(k, -1, dtype=np.int64)
    scores = np.full(k, -np.inf, dtype=np.float32)
    for item in range(len(codes)):
        score = table[0, codes[item, 0]]
        for split in range(1, code_length):
            score += table[split, codes[item, split]]
        if score > scores[k - 1]:  # an equal one has the higher id
            place = k - 1
            while place > 0 and score > scores[place - 1]:
                ids[place], scores[place] = ids[place - 1], scores[place - 1]
                place -= 1
            ids[place], scores[place] = item, score
    return ids, scores


def _numpy(found: torch.return_types.topk) -> Found:
    return found.indices.numpy(), found.values.numpy()
