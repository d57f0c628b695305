"""An index of codes as one of FAISS: our centroids and codes, no training, the same lists.

FAISS sums the same sub-scores in another order, so scores agree up to rounding and items of equal
score may swap places.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

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
    faiss, parts = _faiss(), _parts(index)
    exported = faiss.IndexPQ(parts.dim, parts.m, parts.nbits, faiss.METRIC_INNER_PRODUCT)
    _train(faiss, exported, parts)
    if not np.array_equal(parts.ids, np.arange(len(parts.ids))):
        exported = faiss.IndexIDMap(exported)
    exported.add_sa_codes(parts.codes, parts.ids)
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
    faiss, parts = _faiss(), _parts(index)
    dim, inner_product = parts.dim, faiss.METRIC_INNER_PRODUCT
    quantiser = faiss.IndexFlatIP(dim)
    quantiser.add(np.zeros((1, dim), dtype=np.float32))
    exported = faiss.IndexIVFPQ(quantiser, dim, 1, parts.m, parts.nbits, inner_product)
    exported.own_fields = True
    quantiser.this.disown()
    exported.by_residual = False
    _train(faiss, exported, parts)
    exported.add_sa_codes(parts.codes, parts.ids)
    return exported


class _Parts(NamedTuple):
    """What FAISS takes over: ids, packed codes of ``m`` times ``nbits``, padded centroids."""

    ids: np.ndarray
    codes: np.ndarray
    centroids: np.ndarray
    nbits: int

    @property
    def m(self) -> int:
        return self.centroids.shape[0]

    @property
    def dim(self) -> int:
        return self.m * self.centroids.shape[2]


def _train(faiss: Any, exported: Any, parts: _Parts) -> None:
    """Give an index the centroids that it would otherwise learn."""
    faiss.copy_array_to_vector(parts.centroids.ravel(), exported.pq.centroids)
    exported.is_trained = True


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        message = 'faiss is needed for an export to it; pip install "urecjpq[faiss]".'
        raise InputError(message) from None
    return faiss


def _parts(index: "TopKIndex") -> _Parts:
    rule, hint = "index must be made of codes to become a PQ index", "Use faiss.IndexFlatIP."
    require(index.memory()["vectors"] == 0, rule, "final vectors", hint)
    (ids, codes), (nbits, centroids) = index.codes(), _padded(index.centroids)
    return _Parts(ids, _packed(codes, nbits), centroids, nbits)


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
