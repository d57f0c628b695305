"""A trained model loaded from its run folder, ready to answer; `run_folder` says what is in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.config import RunConfig, read_config
from urecjpq.errors import InputError, require
from urecjpq.files import read_tensors
from urecjpq.graphs import Backbone
from urecjpq.index import TopKIndex
from urecjpq.manifest import verify_run
from urecjpq.run_folder import StoredVectors, interactions_of, read_ids, restore_backbone
from urecjpq.sequential import SequentialBackbone
from urecjpq.sequential.histories import Histories


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
    config = read_config(folder)
    graph, _ = read_tensors(folder / "graph.safetensors")
    ids = read_ids(folder / "ids.tsv.gz")
    users, items = (ids[ids["kind"] == kind] for kind in ("user", "item"))
    interactions = interactions_of(graph, len(users), len(items))
    return Run(
        config=config,
        backbone=restore_backbone(folder, config, interactions, graph),
        interactions=interactions,
        user_ids=users["id"].to_numpy(dtype=object),
        item_ids=items["id"].to_numpy(dtype=object),
        titles=items["title"].to_numpy(dtype=object),
    )
