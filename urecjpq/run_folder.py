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

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.build import build_backbone, build_sequential, empty_table, empty_tables
from urecjpq.centroids import unpacked
from urecjpq.config import RunConfig
from urecjpq.data.catalogue import Catalogue, Neighbours
from urecjpq.files import read_tensors
from urecjpq.graphs import Backbone
from urecjpq.manifest import VECTORS
from urecjpq.sequential import SequentialBackbone
from urecjpq.sequential.backbone import SequentialSettings
from urecjpq.sequential.histories import histories_before
from urecjpq.tables import JPQEmbedding

USER_CENTROIDS, ITEM_CENTROIDS = "user_table.centroids", "item_table.centroids"
"""Their names in ``model.safetensors``; shared ones are stored once, as the users'."""


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


def restore_backbone(
    folder: Path, config: RunConfig, interactions: csr_matrix, graph: dict[str, Tensor]
) -> Backbone | StoredVectors | SequentialBackbone:
    """Return the trained model of a run folder, in evaluation mode, or the vectors that it left.

    Args:
        folder: Of the run.
        config: What it is made of.
        interactions: See `interactions_of`.
        graph: Tensors of ``graph.safetensors``.
    """
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


def interactions_of(graph: dict[str, Tensor], num_users: int, num_items: int) -> csr_matrix:
    """Return the training pairs in ``graph.safetensors``. Shape ``(num_users, num_items)``."""
    items = graph["train.items"].numpy()
    ones = np.ones(len(items), dtype=np.float32)
    return csr_matrix((ones, items, graph["train.starts"].numpy()), shape=(num_users, num_items))


def read_ids(path: Path) -> pd.DataFrame:
    """Return the columns ``kind``, ``id`` and ``title`` of every row, users first."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3, escapechar="\\")
