"""The run folder: everything a trained model needs to answer, in files that run no code.

    config.json                what the run is made of
    model.safetensors          trained values (centroids or full tables, projections)
    codes.safetensors          sub-ids of quantised tables
    graph.safetensors          training pairs and item neighbours: the graphs to propagate over;
                               of sequential models the items of each user in time order
    vectors.safetensors        final vectors, of models whose vectors need features and of
                               tables compressed after training
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

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.build import build_backbone, build_sequential, empty_table, empty_tables
from urecjpq.centroids import unpacked
from urecjpq.config import RunConfig, parse_config
from urecjpq.data.catalogue import Catalogue, Neighbours
from urecjpq.errors import InputError, require
from urecjpq.files import read_tensors
from urecjpq.graphs import Backbone
from urecjpq.index import TopKIndex
from urecjpq.manifest import VECTORS, verify_run
from urecjpq.sequential import SequentialBackbone
from urecjpq.sequential.backbone import SequentialSettings
from urecjpq.sequential.histories import Histories, histories_before
from urecjpq.tables import JPQEmbedding


@dataclass(frozen=True)
class StoredVectors:
    """What answers for a backbone whose vectors the rest of the folder does not give: the vectors.

    Args:
        users: Shape ``(num_users, d)``.
        items: Shape ``(num_items, d)``.
    """

    users: Tensor
    items: Tensor

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the final user and item vectors; their dot product is the score."""
        return self.users, self.items

    def vectors_for(self, catalogue: Catalogue, partition: str) -> tuple[Tensor, Tensor]:
        """Return the vectors: they are the same for every partition."""
        return self.vectors()

    def index_source(self) -> JPQEmbedding | None:
        """Return None: an index scores the vectors."""
        return None


@dataclass(frozen=True)
class Run:
    """A trained model, ready to answer.

    Args:
        config: What it is made of.
        backbone: The model, in evaluation mode, or the vectors that it left.
        interactions: Training pairs, of sequential models in time order. Shape
            ``(num_users, num_items)``.
        user_ids: Raw ids by row.
        item_ids: Raw ids by row.
        titles: Item titles by row, ``""`` where unknown.
    """

    config: RunConfig
    backbone: Backbone | StoredVectors | SequentialBackbone
    interactions: csr_matrix
    user_ids: np.ndarray
    item_ids: np.ndarray
    titles: np.ndarray

    @cached_property
    def vectors(self) -> tuple[Tensor, Tensor]:
        """Final user and item vectors, shapes ``(num_users, d)`` and ``(num_items, d)``.

        Of sequential models, users are what their training histories ask for.
        """
        with torch.no_grad():
            if isinstance(self.backbone, SequentialBackbone):
                users = self._user_queries(np.arange(len(self.user_ids)))
                items = self.backbone.item_vectors()
            else:
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
        return TopKIndex.from_vectors(self._item_vectors(), code_length, codebook_size)

    @torch.no_grad()
    def _item_vectors(self) -> Tensor:
        if isinstance(self.backbone, SequentialBackbone):
            return self.backbone.item_vectors().detach()
        return self.vectors[1]

    def _user_queries(self, rows: np.ndarray) -> Tensor:
        if not isinstance(self.backbone, SequentialBackbone):
            return self.vectors[0][torch.from_numpy(rows)]
        starts = self.interactions.indptr.astype(np.int64)
        histories = Histories(starts, self.interactions.indices.astype(np.int64))
        return self.backbone.user_queries(histories, rows)

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
        query, seen = self._user_queries(np.array([row]))[0], self.interactions[[row]]
        return self._best(query, seen, k, method, index)

    def recommend_next(
        self,
        history: Sequence[str],
        k: int = 10,
        method: str = "auto",
        index: TopKIndex | None = None,
    ) -> pd.DataFrame:
        """Return the best items after a history, leaving out its items.

        Needs a sequential model, and no user that it knows.

        Args:
            history: Raw item ids, oldest first; of one longer than the model's ``max_length`` the
                latest count, and all are left out.
            k: Length of the list, at least 1; shorter if candidates run out.
            method: See `TopKIndex.search`.
            index: An index of this run's items; `index` if None.

        Returns:
            Columns ``item_id``, ``title`` and ``score``, best first.

        Raises:
            InputError: The model is no sequential one, the history is empty, an item is unknown, or
                ``k`` is below 1.
        """
        backbone = self.backbone
        if not isinstance(backbone, SequentialBackbone):
            raise InputError(
                f"the run must be of a sequential model to answer a history; got "
                f"{self.config.backbone.name}. Ask for a user of the run instead."
            )
        rows = self.item_rows(history)
        with torch.no_grad():
            query = backbone.query_vectors(torch.from_numpy(rows)[None])[0]
        ones = np.ones(len(rows), dtype=np.float32)
        shape = (1, len(self.item_ids))
        seen = csr_matrix((ones, (np.zeros_like(rows), rows)), shape=shape)
        return self._best(query, seen, k, method, index)

    def _best(
        self, query: Tensor, seen: csr_matrix, k: int, method: str, index: TopKIndex | None
    ) -> pd.DataFrame:
        exclude = None if self.config.exclude == "none" else seen
        found = (index or self.index).search(query, k, exclude=exclude, method=method)
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

    def item_rows(self, ids: Sequence[str]) -> np.ndarray:
        """Return the rows of raw item ids, int64.

        Raises:
            InputError: There is no id, or one is unknown.
        """
        require(len(ids) > 0, "a history must hold at least one item", "none")
        rows = pd.Index(self.item_ids).get_indexer(np.array(ids, dtype=object))
        unknown = [repr(each) for each, row in zip(ids, rows, strict=True) if row < 0]
        require(
            not unknown,
            f"items must be among the {len(self.item_ids):,} items of the run",
            ", ".join(unknown[:3]),
            f"The first are {', '.join(self.item_ids[:3])}.",
        )
        return rows.astype(np.int64)


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


USER_CENTROIDS, ITEM_CENTROIDS = "user_table.centroids", "item_table.centroids"
"""Their names in ``model.safetensors``; shared ones are stored once, as the users'."""


def read_ids(path: Path) -> pd.DataFrame:
    """Return the columns ``kind``, ``id`` and ``title`` of every row, users first."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3, escapechar="\\")


def _restore_backbone(
    folder: Path, config: RunConfig, interactions: csr_matrix, graph: dict[str, Tensor]
) -> Backbone | StoredVectors | SequentialBackbone:
    if isinstance(config.backbone, SequentialSettings):
        table = empty_table(config.tables.of("items"), interactions.shape[1])
        backbone = build_sequential(config.backbone, table, 0)
        values = unpacked(read_tensors(folder / "model.safetensors")[0])
        backbone.load_state_dict(values | read_tensors(folder / "codes.safetensors")[0])
        return backbone.eval()
    if config.stores_vectors:
        vectors, _ = read_tensors(folder / VECTORS)
        return StoredVectors(vectors["users"], vectors["items"])
    tables = empty_tables(config.tables, *interactions.shape)
    neighbours = {
        name.removeprefix("neighbours."): Neighbours(
            ids.numpy(), np.zeros(ids.shape, dtype=np.float32)
        )
        for name, ids in graph.items()
        if name.startswith("neighbours.")
    }
    backbone = build_backbone(config.backbone, tables, interactions, neighbours, {}, 0)
    values = unpacked(read_tensors(folder / "model.safetensors")[0])
    values |= read_tensors(folder / "codes.safetensors")[0]
    if config.tables.centroids == "shared":
        values[ITEM_CENTROIDS] = values[USER_CENTROIDS]
    backbone.load_state_dict(
        {k: v for k, v in values.items() if not k.startswith(backbone.TRAINING_ONLY)}
    )
    return backbone.eval()


def graph_tensors(catalogue: Catalogue, config: RunConfig) -> dict[str, Tensor]:
    """Return training pairs, user by user, and neighbour lists as tensors to store.

    Items of a user are in time order where the model asks for it.
    """
    if isinstance(config.backbone, SequentialSettings):
        histories = histories_before(catalogue, "valid")
        return {
            "train.starts": torch.from_numpy(histories.starts.astype(np.int64)),
            "train.items": torch.from_numpy(histories.items.astype(np.int32)),
        }
    model = config.backbone.MODEL
    with_neighbours = "neighbours" in model.USES and not config.stores_vectors
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
