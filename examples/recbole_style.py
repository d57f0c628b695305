"""A class written the way RecBole and MMRec write theirs, with full and with quantised tables.

    python examples/recbole_style.py

Such a class gets ``config`` and ``dataset``, makes its own nn.Embedding tables, has
``calculate_loss(interaction)`` and ``full_sort_predict(interaction)``, and counts items from 1: row
0 is padding. Made, it is quantised by the names of its tables; the padding keeps its place.
Neither framework is needed here: the class below is ours, in their manner.

Both are trained for as many epochs, not to the end; on one core in about ten seconds it prints

    tables           trained       bytes   Recall@20
    full             192,128     768,512      0.2675
    quantised         16,384      89,552      0.2946
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from urecjpq import assign_by_kmeans, load_catalogue, quantise
from urecjpq.data import Catalogue
from urecjpq.evaluation import evaluate

CONFIG = {"embedding_size": 64, "reg_weight": 1e-4, "learning_rate": 1e-2, "epochs": 20}
CODES = {"code_length": 8, "codebook_size": 128}
BATCH_SIZE = 1024
Interaction = dict[str, Tensor]


class MatrixFactorisation(nn.Module):
    """Dot products of users and items, trained by BPR."""

    USER_ID, ITEM_ID, NEG_ITEM_ID = "user_id", "item_id", "neg_item_id"

    def __init__(self, config: dict, dataset: Catalogue) -> None:
        super().__init__()
        self.reg_weight = config["reg_weight"]
        dim = config["embedding_size"]
        self.user_embedding = nn.Embedding(1 + dataset.num_users, dim, padding_idx=0)
        self.item_embedding = nn.Embedding(1 + dataset.num_items, dim, padding_idx=0)
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.01)

    def calculate_loss(self, interaction: Interaction) -> Tensor:
        """Return the loss of a batch of triples."""
        users = self.user_embedding(interaction[self.USER_ID])
        liked = self.item_embedding(interaction[self.ITEM_ID])
        other = self.item_embedding(interaction[self.NEG_ITEM_ID])
        margins = (users * (liked - other)).sum(dim=1)
        norms = sum(rows.square().sum(dim=1).mean() for rows in (users, liked, other))
        return F.softplus(-margins).mean() + self.reg_weight * norms

    def full_sort_predict(self, interaction: Interaction) -> Tensor:
        """Return a score of every item, padding first. Shape ``(n, 1 + num_items)``."""
        return self.user_embedding(interaction[self.USER_ID]) @ self.item_embedding.weight.T


def train(model: MatrixFactorisation, dataset: Catalogue) -> None:
    """Train for a fixed number of epochs."""
    optimizer = torch.optim.Adam(model.parameters(), lr=CONFIG["learning_rate"])
    users, items = (torch.from_numpy(rows).long() for rows in dataset.matrix("train").nonzero())
    for _ in range(CONFIG["epochs"]):
        for batch in torch.randperm(len(users)).split(BATCH_SIZE):
            negatives = torch.randint(dataset.num_items, batch.shape)
            interaction = {
                model.USER_ID: 1 + users[batch],
                model.ITEM_ID: 1 + items[batch],
                model.NEG_ITEM_ID: 1 + negatives,
            }
            optimizer.zero_grad()
            model.calculate_loss(interaction).backward()
            optimizer.step()


@torch.no_grad()
def recall(model: MatrixFactorisation, dataset: Catalogue) -> float:
    """Return test Recall@20 over all items; the padding rows are none."""
    users, items = model.user_embedding.weight[1:], model.item_embedding.weight[1:]
    return evaluate(users, items, dataset, "test", names=("recall",)).metrics["recall@20"]


def report(name: str, model: nn.Module, reached: float) -> None:
    """Print one line of the table."""
    trained = sum(parameter.numel() for parameter in model.parameters())
    stored = sum(values.nbytes for values in model.state_dict().values())
    print(f"{name:<12}{trained:>12,}{stored:>12,}{reached:>12.4f}")


def main() -> None:
    """Train both and print what they take and reach."""
    dataset = load_catalogue("toy-shop")
    print(f"{'tables':<12}{'trained':>12}{'bytes':>12}{'Recall@20':>12}")

    torch.manual_seed(0)
    full = MatrixFactorisation(CONFIG, dataset)
    train(full, dataset)
    report("full", full, recall(full, dataset))

    torch.manual_seed(0)
    quantised = MatrixFactorisation(CONFIG, dataset)
    interactions, dim = dataset.matrix("train"), CONFIG["embedding_size"]
    codes = {
        "user_embedding": assign_by_kmeans(interactions.T.tocsr(), **CODES, embedding_dim=dim),
        "item_embedding": assign_by_kmeans(interactions, **CODES, embedding_dim=dim),
    }
    quantise(quantised, codes, CODES["codebook_size"])  # a code for every row but the padding
    train(quantised, dataset)
    report("quantised", quantised, recall(quantised, dataset))
    padding = quantised.full_sort_predict({"user_id": torch.tensor([1])})[0, 0]
    print(f"score of the padding: {padding.item():.1f}")


if __name__ == "__main__":
    main()
