"""What an index takes, checked: queries, codes, vectors and counts."""

import numpy as np
from scipy.sparse import issparse
from torch import Tensor

from urecjpq.errors import require
from urecjpq.index.filters import Exclude
from urecjpq.index.layout import sub_id_type
from urecjpq.index.source import TableSource

Array = np.ndarray | Tensor


def as_numpy(values: Array) -> np.ndarray:
    """Return the values of an array or a tensor."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def finite(values: Array, name: str) -> np.ndarray:
    """Return floating-point values as contiguous float32, none of them NaN or infinity."""
    checked = as_numpy(values)
    require(checked.dtype.kind == "f", f"{name} must be floating point", checked.dtype)
    with np.errstate(over="ignore"):  # refused below
        checked = np.ascontiguousarray(checked, dtype=np.float32)
    require(bool(np.isfinite(checked).all()), f"{name} must be finite", "NaN or infinity")
    return checked


def require_rows(items: Array) -> None:
    """Refuse what is no matrix."""
    shape = np.shape(as_numpy(items))
    require(len(shape) == 2, "items must have shape (n, m) or (n, d)", shape)


def query_rows(queries: Array, dim: int) -> np.ndarray:
    """Return queries as rows, finite float32. Shape ``(q, dim)``."""
    rows = as_numpy(queries)
    require(rows.dtype == np.float32, "queries must be float32", rows.dtype)
    fits = rows.ndim in (1, 2) and rows.shape[-1] == dim
    require(fits, f"queries must have shape (q, {dim}) or ({dim},)", rows.shape)
    rows = np.ascontiguousarray(rows.reshape(-1, dim))
    require(bool(np.isfinite(rows).all()), "queries must be finite", "NaN or infinity")
    return rows


def require_count(name: str, value: int) -> None:
    """Refuse all but whole numbers from 1 on."""
    whole = isinstance(value, int | np.integer)
    require(whole and value >= 1, f"{name} must be a whole number of at least 1", value)


def per_query(exclude: Exclude | None, queries: Array) -> Exclude | None:
    """Return one list of ids per query: a list will do where there is one query."""
    if exclude is None or queries.ndim == 2 or issparse(exclude):
        return exclude
    return [exclude]  # pyright: ignore[reportReturnType]


def checked_codes(codes: np.ndarray, source: TableSource) -> np.ndarray:
    """Return codes in the narrowest type, each sub-id one of the source's centroids."""
    m, b, _ = source.centroids.shape
    fits = codes.ndim == 2 and codes.shape[1] == m and codes.dtype.kind in "iu"
    rule = f"codes must be whole numbers of shape (n, {m})"
    require(fits, rule, f"{codes.dtype} of shape {codes.shape}")
    require(b <= 65536, "centroids must number at most 65,536 per split", b)
    low, high = (int(codes.min()), int(codes.max())) if codes.size else (0, 0)
    inside = 0 <= low and high < b
    require(inside, f"sub-ids must have a centroid, in [0, {b})", f"[{low}, {high}]")
    return codes.astype(sub_id_type(b), copy=False)
