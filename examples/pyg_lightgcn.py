"""PyG's own LightGCN, with a full and with a quantised table.

    pip install torch-geometric
    python examples/pyg_lightgcn.py

torch_geometric.nn.LightGCN keeps one nn.Embedding for all nodes: users first, then items. Both get
codes over the same centroids, since the factors of users and items lie in one space. Nothing of the
model is copied or changed but the table that `quantise` swaps.

Both are trained for as many epochs, not to the end; on one core in about ten seconds it prints

    table            trained       bytes   Recall@20
    full             192,000     768,012      0.3423
    quantised          8,192      56,780      0.3239
"""

import warnings

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.nn import LightGCN  # pyright: ignore[reportMissingImports]
from torch_geometric.utils import to_torch_csr_tensor  # pyright: ignore[reportMissingImports]

from urecjpq import load_catalogue, quantise
from urecjpq.assignment import Assignment, assign_factors, normalised_factors
from urecjpq.data import Catalogue
from urecjpq.evaluation import evaluate

DIM, NUM_LAYERS, CODE_LENGTH, CODEBOOK_SIZE = 64, 2, 8, 128
EPOCHS, BATCH_SIZE, LEARNING_RATE = 15, 2048, 2e-2


def graph(catalogue: Catalogue) -> tuple[Tensor, Tensor]:
    """Return the adjacency of all nodes, sparse, and the training pairs. Shape ``(2, pairs)``."""
    users, items = catalogue.matrix("train").nonzero()
    pairs = torch.from_numpy(np.stack([users, items + catalogue.num_users])).long()
    both = torch.cat([pairs, pairs.flip(0)], dim=1)
    nodes = catalogue.num_users + catalogue.num_items
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's: sparse tensors are in beta
        return to_torch_csr_tensor(both, size=(nodes, nodes)), pairs


def node_codes(catalogue: Catalogue) -> Assignment:
    """Return codes of users and items together, and centroids as short as LightGCN's start."""
    factors = normalised_factors(catalogue.matrix("train"), DIM, seed=0)
    nodes = np.concatenate(factors.vectors(power=0.5))
    nodes *= 0.1 / np.sqrt(np.square(nodes).sum(axis=1).mean())
    return assign_factors(nodes, CODE_LENGTH, CODEBOOK_SIZE)


def train(model: LightGCN, catalogue: Catalogue) -> None:
    """Train by BPR for a fixed number of epochs, one propagation per batch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    adjacency, pairs = graph(catalogue)
    for _ in range(EPOCHS):
        for batch in torch.randperm(pairs.shape[1]).split(BATCH_SIZE):
            users, positives = pairs[:, batch]
            negatives = torch.randint(catalogue.num_items, batch.shape) + catalogue.num_users
            vectors = model.get_embedding(adjacency)
            ranks = [(vectors[users] * vectors[items]).sum(1) for items in (positives, negatives)]
            optimizer.zero_grad()
            model.recommendation_loss(*ranks, node_id=torch.cat([users, positives])).backward()
            optimizer.step()


@torch.no_grad()
def recall(model: LightGCN, catalogue: Catalogue) -> float:
    """Return test Recall@20 over all items."""
    vectors = model.get_embedding(graph(catalogue)[0])
    users, items = vectors.split([catalogue.num_users, catalogue.num_items])
    return evaluate(users, items, catalogue, "test", names=("recall",)).metrics["recall@20"]


def report(name: str, model: nn.Module, reached: float) -> None:
    """Print one line of the table."""
    trained = sum(parameter.numel() for parameter in model.parameters())
    stored = sum(values.nbytes for values in model.state_dict().values())
    print(f"{name:<12}{trained:>12,}{stored:>12,}{reached:>12.4f}")


def main() -> None:
    """Train both and print what they take and reach."""
    catalogue = load_catalogue("toy-shop")
    nodes = catalogue.num_users + catalogue.num_items
    print(f"{'table':<12}{'trained':>12}{'bytes':>12}{'Recall@20':>12}")

    torch.manual_seed(0)
    full = LightGCN(nodes, DIM, NUM_LAYERS)
    train(full, catalogue)
    report("full", full, recall(full, catalogue))

    torch.manual_seed(0)
    quantised = LightGCN(nodes, DIM, NUM_LAYERS)
    quantise(quantised, {"embedding": node_codes(catalogue)}, CODEBOOK_SIZE)
    train(quantised, catalogue)
    report("quantised", quantised, recall(quantised, catalogue))


if __name__ == "__main__":
    main()
