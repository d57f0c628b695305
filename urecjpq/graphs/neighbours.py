"""Item–item neighbours by cosine of frozen features, kept by content hash."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from urecjpq.data.cache import cache_folder
from urecjpq.data.catalogue import Catalogue, Features, Neighbours
from urecjpq.errors import require
from urecjpq.files import digest_of, read_tensors, write_tensors
from urecjpq.graphs.cosines import ROWS, distinct_items, nearest

VERSION = 1
"""Goes up with every change of what is computed: the cache then has no lists yet."""


def with_neighbours(catalogue: Catalogue, k: int = 10) -> Catalogue:
    """Return the catalogue with a neighbour graph for each modality that has features alone.

    Lists are kept in the cache folder by the content hash of the features. They are computed on a
    GPU where there is one, and what an interrupted process has left is gone on with.

    Raises:
        InputError: ``k`` is out of range, or what the cache holds is damaged.
    """
    found = {
        name: _cached(features, k, catalogue.content_digests[f"features.{name}"])
        for name, features in catalogue.features.items()
        if name not in catalogue.neighbours
    }
    return replace(catalogue, neighbours={**catalogue.neighbours, **found})


def _cached(features: Features, k: int, digest: str) -> Neighbours:
    path = cache_folder() / "neighbours" / f"{digest}-{k}-{VERSION}.safetensors"
    if not path.exists():
        device = "cuda" if torch.cuda.is_available() else "cpu"
        unfinished = path.with_suffix(".unfinished")
        _write(path, cosine_neighbours(features, k, device=device, folder=unfinished))
        shutil.rmtree(unfinished, ignore_errors=True)
    return _read(path)


def cosine_neighbours(
    features: Features, k: int = 10, *, device: str = "cpu", folder: Path | None = None
) -> Neighbours:
    """Return the k items nearest to each by cosine, usually itself among them; exactly.

    Of equal cosines the lower id comes first. Items without content are nobody's neighbours and
    have none: id −1, similarity 0. A vector of zeros has cosine 0 with everything. However many
    items there are, memory holds 4,096 × 2,048 products beside the features and the lists. Same
    features, same bits, on any device and any number of threads.

    Args:
        features: Shape ``(num_items, f)``; finite where present.
        k: Length of the lists, at least 1 and at most the number of items.
        device: Of torch, where products are computed.
        folder: Where finished blocks are kept, and taken from if they are there already; they must
            be of the same features and ``k``.

    Raises:
        InputError: ``k`` is out of range, a kept block is damaged, or torch was told to multiply
            float32 less precisely.

    Source: LATTICE (arXiv:2104.09036) and FREEDOM (arXiv:2211.06924) take k = 10.
    """
    num_items = len(features.present)
    require(1 <= k <= num_items, f"k must lie in [1, {num_items}], the number of items", k)
    precision = torch.get_float32_matmul_precision()
    require(precision == "highest", "torch's float32_matmul_precision must be highest", precision)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    lists = Neighbours(np.full((num_items, k), -1, np.int32), np.zeros((num_items, k), np.float32))
    first_of, columns = distinct_items(features, k)
    rows = columns[first_of[columns] == columns]
    starts = range(0, len(rows), ROWS)
    for start in tqdm(starts, unit="block", leave=False, disable=None if len(starts) > 1 else True):
        block = rows[start : start + ROWS]
        path = folder / f"{start}.safetensors" if folder else None
        found = _read(path) if path and path.exists() else None
        if found is None:
            found = Neighbours(*nearest(features, block, columns, k, device))
            if path:
                _write(path, found)
        lists.item_ids[block], lists.similarities[block] = found.item_ids, found.similarities
    return Neighbours(lists.item_ids[first_of], lists.similarities[first_of])


def _write(path: Path, neighbours: Neighbours) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in vars(neighbours).items()}
    write_tensors(path, tensors, {"sha256": digest_of(tensors)})


def _read(path: Path) -> Neighbours:
    tensors, metadata = read_tensors(path)
    rule = f"{path} must match its own sha256"
    require(metadata.get("sha256") == digest_of(tensors), rule, "other bytes", "Delete it.")
    return Neighbours(**{name: tensor.numpy() for name, tensor in tensors.items()})
