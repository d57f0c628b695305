"""An index of codes as one of FAISS: our centroids and codes, no training, the same lists.

FAISS sums the same sub-scores in another order, so scores agree up to rounding and items of equal
score may swap places.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from urecjpq.errors import InputError, require

if TYPE_CHECKING:
    from urecjpq.index.index import TopKIndex


def to_faiss(index: "TopKIndex") -> Any:
    """Return a ``faiss.IndexPQ`` with the items of ``index``.

    It takes no filters: see `to_faiss_ivf`. Where ids have gaps, of items removed or replaced, it
    lies in a ``faiss.IndexIDMap``.

    Args:
        index: Made of codes; final vectors go into ``faiss.IndexFlatIP`` as they are.

    Raises:
        InputError: FAISS is not installed, or ``index`` holds final vectors.
    """
    faiss, (ids, codes, centroids) = _faiss(), _parts(index)
    nbits, padded = _padded(centroids)
    m, _, split_dim = centroids.shape
    exported = faiss.IndexPQ(m * split_dim, m, nbits, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(padded.ravel(), exported.pq.centroids)
    exported.is_trained = True
    if not np.array_equal(ids, np.arange(len(ids))):
        exported = faiss.IndexIDMap(exported)
    exported.add_sa_codes(_packed(codes, nbits), ids)
    return exported


def to_faiss_ivf(index: "TopKIndex") -> Any:
    """Return a ``faiss.IndexIVFPQ`` of one list with the items of ``index``.

    Slower than ``IndexPQ``, but it takes filters,
    ``search(queries, k, params=faiss.SearchParametersIVF(sel=faiss.IDSelectorBatch(ids)))``, and
    ``remove_ids``.

    Args:
        index: Made of codes; final vectors go into ``faiss.IndexFlatIP`` as they are.

    Raises:
        InputError: FAISS is not installed, or ``index`` holds final vectors.
    """
    faiss, (ids, codes, centroids) = _faiss(), _parts(index)
    nbits, padded = _padded(centroids)
    m, _, split_dim = centroids.shape
    dim = m * split_dim
    quantiser = faiss.IndexFlatIP(dim)
    quantiser.add(np.zeros((1, dim), dtype=np.float32))
    exported = faiss.IndexIVFPQ(quantiser, dim, 1, m, nbits, faiss.METRIC_INNER_PRODUCT)
    exported.own_fields = True
    quantiser.this.disown()
    exported.by_residual = False
    faiss.copy_array_to_vector(padded.ravel(), exported.pq.centroids)
    exported.is_trained = True
    exported.add_sa_codes(_packed(codes, nbits), ids)
    return exported


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        message = 'faiss is needed for an export to it; pip install "urecjpq[faiss]".'
        raise InputError(message) from None
    return faiss


def _parts(index: "TopKIndex") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids, ascending, their codes, and centroids."""
    rule, hint = "index must be made of codes to become a PQ index", "Use faiss.IndexFlatIP."
    require(index.memory()["vectors"] == 0, rule, "final vectors", hint)
    return *index.codes(), index.centroids


def _padded(centroids: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the bits of a sub-id and centroids of a power of two; those added are never used.

    Eight bits at least: FAISS is no quicker with fewer, and bytes need no packing.
    """
    nbits = max(8, (centroids.shape[1] - 1).bit_length())
    added = 2**nbits - centroids.shape[1]
    return nbits, np.pad(centroids, ((0, 0), (0, added), (0, 0)))


def _packed(codes: np.ndarray, nbits: int) -> np.ndarray:
    """Return sub-ids of ``nbits`` bits each, lowest bit first, a whole number of bytes per item."""
    if nbits == 8:
        return np.ascontiguousarray(codes, dtype=np.uint8)
    chunks = [_packed_chunk(codes[i : i + 2**16], nbits) for i in range(0, len(codes), 2**16)]
    return np.concatenate(chunks)


def _packed_chunk(codes: np.ndarray, nbits: int) -> np.ndarray:
    sub_ids = codes.astype("<u2")[:, :, None].view(np.uint8)
    bits = np.unpackbits(sub_ids, axis=2, bitorder="little")[:, :, :nbits]
    return np.packbits(bits.reshape(len(codes), -1), axis=1, bitorder="little")
