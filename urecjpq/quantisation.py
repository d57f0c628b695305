"""Quantised tables inside models we have never seen, and what they save."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from urecjpq.assignment.assignment import Assignment, code_dtype
from urecjpq.errors import require
from urecjpq.tables import JPQEmbedding

Codes = Assignment | Tensor | np.ndarray


def quantise(module: nn.Module, codes: Mapping[str, Codes], codebook_size: int = 256) -> nn.Module:
    """Swap named ``nn.Embedding`` tables inside ``module`` for quantised ones, in place.

    A table that occurs under several names is swapped under all of them. Rows beyond the codes
    (a mask, padding at the end) become special tokens that keep the values they have. The row of a
    table's ``padding_idx`` becomes zero and stays so; its code may be left out. Frozen tables stay
    frozen::

        quantise(model, {"item_embedding": assign_by_svd(interactions, code_length=8)})

    Args:
        module: Any model.
        codes: Codes (or an assignment) by the table's dotted name, as in ``named_modules()``.
            Shape ``(num_rows, m)`` each; at most as many rows as the table has.
        codebook_size: ``b`` of all given codes.

    Returns:
        ``module`` itself.

    Raises:
        InputError: No table of that name or one named twice, more codes than rows, sizes that do
            not fit, a weight that another layer shares, or a table that does what a quantised one
            cannot (``max_norm``, ``sparse``, ``scale_grad_by_freq``, a class of its own). Nothing
            has been swapped then.
    """
    # With duplicates, since a shared table goes by any of its names; without the model itself.
    modules = module.named_modules(remove_duplicate=False)
    tables = {name: m for name, m in modules if name and isinstance(m, nn.Embedding)}
    first_name: dict[nn.Module, str] = {}
    swapped: dict[nn.Module, JPQEmbedding] = {}
    for name, given in codes.items():
        require(name in tables, f"codes must name tables out of {sorted(tables)}", repr(name))
        other = first_name.setdefault(tables[name], name)
        require(other == name, f"{name} must be given codes once", f"the same table as {other}")
        _require_own_weight(module, tables[name], name)
        _require_plain(tables[name], name)
        swapped[tables[name]] = _quantised(tables[name], given, codebook_size, name)
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):  # named_children() names a child once
            if child in swapped:
                setattr(parent, name, swapped[child])
    return module


def _quantised(table: nn.Embedding, given: Codes, codebook_size: int, name: str) -> JPQEmbedding:
    codes, centroids = given if isinstance(given, Assignment) else (given, None)
    rows, padding_idx = table.num_embeddings, table.padding_idx
    require(len(codes) <= rows, f"codes of {name} must have at most {rows} rows", len(codes))
    if padding_idx is not None and padding_idx < len(codes) < rows:
        codes = np.insert(np.asarray(codes), padding_idx, 0, axis=0)
    special_tokens = rows - len(codes)
    sizes = (table.embedding_dim, codebook_size, centroids, special_tokens, padding_idx)
    quantised = JPQEmbedding(codes, *sizes)
    if special_tokens:
        quantised.special.data.copy_(table.weight.data[len(codes) :])
    quantised.requires_grad_(table.weight.requires_grad)
    return quantised.to(table.weight.device, table.weight.dtype)


def _require_plain(table: nn.Embedding, name: str) -> None:
    """Refuse a table whose behaviour would be lost."""
    own = type(table) is not nn.Embedding
    hint = "Swap it by hand: what its class adds would be lost."
    require(not own, f"{name} must be an nn.Embedding itself", type(table).__name__, hint)
    does = {
        "max_norm": table.max_norm is not None,
        "sparse": table.sparse,
        "scale_grad_by_freq": table.scale_grad_by_freq,
    }
    found = ", ".join(f"{option}={getattr(table, option)}" for option, on in does.items() if on)
    hint = "Make the table without: its rows share their centroids, and their gradients are dense."
    require(not found, f"{name} must have no {' or '.join(does)}", found, hint)


def _require_own_weight(module: nn.Module, table: nn.Embedding, name: str) -> None:
    sharing = [
        owner
        for owner, other in module.named_modules(remove_duplicate=False)
        if other is not table and any(p is table.weight for p in other.parameters(recurse=False))
    ]
    require(
        not sharing,
        f"{name} must not share its weight with another layer",
        sharing,
        "Score with table.score_table or table.weight instead of the shared layer.",
    )


class TableMemory(NamedTuple):
    """Bytes of one embedding table, full and quantised.

    Args:
        full_bytes: ``n · d`` numbers.
        code_bytes: ``n · m`` sub-ids in the narrowest integer type.
        centroid_bytes: ``b · d`` numbers.
        percent: Quantised size as a percentage of the full one.
    """

    full_bytes: int
    code_bytes: int
    centroid_bytes: int
    percent: float


def table_memory(
    num_rows: int,
    embedding_dim: int = 512,
    code_length: int = 8,
    codebook_size: int = 256,
    bytes_per_number: int = 4,
) -> TableMemory:
    """Return what a table of ``num_rows`` takes, full and quantised.

    Args:
        num_rows: Users or items, ``n``.
        embedding_dim: ``d``.
        code_length: ``m``.
        codebook_size: ``b``.
        bytes_per_number: 4 for float32, 2 for half precision.

    Raises:
        InputError: A number below 1, or ``d`` is no multiple of ``m``.

    Source: RecJPQ (arXiv:2312.06165), Table 2.
    """
    sizes = {"num_rows": num_rows, "embedding_dim": embedding_dim, "code_length": code_length}
    sizes |= {"codebook_size": codebook_size, "bytes_per_number": bytes_per_number}
    for name, size in sizes.items():
        require(size >= 1, f"{name} must be at least 1", size)
    rule = f"code_length must divide embedding_dim {embedding_dim}"
    require(embedding_dim % code_length == 0, rule, code_length)
    full = num_rows * embedding_dim * bytes_per_number
    codes = num_rows * code_length * np.dtype(code_dtype(codebook_size)).itemsize
    centroids = codebook_size * embedding_dim * bytes_per_number
    return TableMemory(full, codes, centroids, 100 * (codes + centroids) / full)
