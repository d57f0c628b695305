"""The run folder: everything a trained model needs to answer, in files that run no code.

    config.json                what the run is made of
    model.safetensors          trained values (centroids or full tables, projections)
    codes.safetensors          sub-ids of quantised tables
    graph.safetensors          training pairs and item neighbours: the graphs to propagate over
    vectors.safetensors        final vectors, only of models whose vectors need features
    ids.tsv.gz                 raw ids, and titles of items, by row
    metrics.json               validation and test metrics, sizes, epochs and seconds
    user_metrics.safetensors   test metrics of every user, for paired tests
    history.jsonl              one line per epoch
    README.md                  the model card
    manifest.json              size and sha256 of every file above, written last

A folder without a manifest is an unfinished run. Checkpoint bytes are those of ``model`` and
``codes``: the graph and the ids are the data, equal for every kind of table. Features are data too,
and stay where they are: the final vectors made of them stand in, so that a run answers on its own.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.build import build_backbone, empty_table
from urecjpq.config import RunConfig, parse_config
from urecjpq.data.catalogue import Catalogue, Neighbours
from urecjpq.errors import require
from urecjpq.files import read_tensors
from urecjpq.graphs import Backbone
from urecjpq.index import TopKIndex
from urecjpq.manifest import VECTORS, verify_run
from urecjpq.tables import JPQEmbedding


@dataclass(frozen=True)
class StoredVectors:
    """What answers for a backbone whose vectors need features: the vectors.

    Args:
        users: Shape ``(num_users, d)``.
        items: Shape ``(num_items, d)``.
    """

    users: Tensor
    items: Tensor

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the final user and item vectors; their dot product is the score."""
        return self.users, self.items

    def index_source(self) -> JPQEmbedding | None:
        """Return None: an index scores the vectors."""
        return None


@dataclass(frozen=True)
class Run:
    """A trained model, ready to answer.

    Args:
        config: What it is made of.
        backbone: The model, in evaluation mode, or the vectors that it left.
        interactions: Training pairs, shape ``(num_users, num_items)``.
        user_ids: Raw ids by row.
        item_ids: Raw ids by row.
        titles: Item titles by row, ``""`` where unknown.
    """

    config: RunConfig
    backbone: Backbone | StoredVectors
    interactions: csr_matrix
    user_ids: np.ndarray
    item_ids: np.ndarray
    titles: np.ndarray

    @cached_property
    def vectors(self) -> tuple[Tensor, Tensor]:
        """Final user and item vectors, shapes ``(num_users, d)`` and ``(num_items, d)``."""
        with torch.no_grad():
            users, items = self.backbone.vectors()
        return users.detach(), items.detach()  # they may be the tables themselves

    @cached_property
    def index(self) -> TopKIndex:
        """Exact top-K over the items, made at once: final vectors are scored one and all.

        `build_index` takes longer and answers sooner: for many items and many questions.
        """
        return self.build_index(code_length=None)

    def build_index(self, code_length: int | None = 8, codebook_size: int = 64) -> TopKIndex:
        """Return an exact top-K index; a table that can be scored directly brings its own codes.

        Args:
            code_length: For final vectors, see `TopKIndex.from_vectors`.
            codebook_size: Likewise.
        """
        table = self.backbone.index_source()
        if table is not None:
            return TopKIndex.from_table(table)
        return TopKIndex.from_vectors(self.vectors[1], code_length, codebook_size)

    def recommend(
        self, user_id: str, k: int = 10, method: str = "auto", index: TopKIndex | None = None
    ) -> pd.DataFrame:
        """Return the best items for a user, leaving out the user's training items.

        Args:
            user_id: Raw id.
            k: Length of the list, at least 1; shorter if candidates run out.
            method: See `TopKIndex.search`.
            index: An index of this run's items, as a service would load it; `index` if None.

        Returns:
            Columns ``item_id``, ``title`` and ``score``, best first.

        Raises:
            InputError: The user is unknown, or ``k`` is below 1.
        """
        row = self.user_row(user_id)
        query, seen = self.vectors[0][row], self.interactions[[row]]
        found = (index or self.index).search(query, k, exclude=seen, method=method)
        best = found.ids[found.ids >= 0]
        return pd.DataFrame(
            {
                "item_id": self.item_ids[best],
                "title": self.titles[best],
                "score": found.scores[: len(best)],
            }
        )

    def user_row(self, user_id: str) -> int:
        """Return the row of a raw user id.

        Raises:
            InputError: The user is unknown.
        """
        rows = np.flatnonzero(self.user_ids == user_id)
        require(
            len(rows) == 1,
            f"user must be one of the {len(self.user_ids):,} users of the run",
            repr(user_id),
            f"The first are {', '.join(self.user_ids[:3])}.",
        )
        return int(rows[0])


def load_run(folder: Path | str) -> Run:
    """Return the model of a finished run, every byte checked; runs no code from the folder.

    Raises:
        InputError: The folder is unfinished, damaged, or of another version.
    """
    folder = Path(folder)
    verify_run(folder)
    config = parse_config((folder / "config.json").read_text(), str(folder / "config.json"))
    graph, _ = read_tensors(folder / "graph.safetensors")
    ids = read_ids(folder / "ids.tsv.gz")
    users, items = (ids[ids["kind"] == kind] for kind in ("user", "item"))
    interactions = _interactions(graph, len(users), len(items))
    return Run(
        config=config,
        backbone=_restore_backbone(folder, config, interactions, graph),
        interactions=interactions,
        user_ids=users["id"].to_numpy(dtype=object),
        item_ids=items["id"].to_numpy(dtype=object),
        titles=items["title"].to_numpy(dtype=object),
    )


def read_ids(path: Path) -> pd.DataFrame:
    """Return the columns ``kind``, ``id`` and ``title`` of every row, users first."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3, escapechar="\\")


def _restore_backbone(
    folder: Path, config: RunConfig, interactions: csr_matrix, graph: dict[str, Tensor]
) -> Backbone | StoredVectors:
    if config.backbone.MODEL.VECTORS_NEED_FEATURES:
        vectors, _ = read_tensors(folder / VECTORS)
        return StoredVectors(vectors["users"], vectors["items"])
    users, items = (empty_table(config.tables, count) for count in interactions.shape)
    neighbours = {
        name.removeprefix("neighbours."): Neighbours(
            ids.numpy(), np.zeros(ids.shape, dtype=np.float32)
        )
        for name, ids in graph.items()
        if name.startswith("neighbours.")
    }
    backbone = build_backbone(config.backbone, (users, items), interactions, neighbours, {}, 0)
    values = read_tensors(folder / "model.safetensors")[0]
    values |= read_tensors(folder / "codes.safetensors")[0]
    backbone.load_state_dict(
        {k: v for k, v in values.items() if not k.startswith(backbone.TRAINING_ONLY)}
    )
    return backbone.eval()


def graph_tensors(catalogue: Catalogue, with_neighbours: bool) -> dict[str, Tensor]:
    """Return training pairs, user by user, and neighbour lists as tensors to store."""
    train = catalogue.matrix("train").sorted_indices()
    tensors = {
        "train.starts": torch.from_numpy(train.indptr.astype(np.int64)),
        "train.items": torch.from_numpy(train.indices.astype(np.int32)),
    }
    if with_neighbours:
        tensors |= {
            f"neighbours.{name}": torch.from_numpy(given.item_ids.astype(np.int32))
            for name, given in catalogue.neighbours.items()
        }
    return tensors


def _interactions(graph: dict[str, Tensor], num_users: int, num_items: int) -> csr_matrix:
    items = graph["train.items"].numpy()
    ones = np.ones(len(items), dtype=np.float32)
    return csr_matrix((ones, items, graph["train.starts"].numpy()), shape=(num_users, num_items))
