"""A two-tower model in plain PyTorch, with full and with quantised tables.

    python examples/two_tower.py

Two nn.Embedding tables, a small network on each, trained on a generated shop with the items of the
batch as negatives. `quantise` swaps the tables; the model and its training stay as they are.

Both are trained for as many epochs, not to the end; on one core in about ten seconds it prints

    tables           trained       bytes   Recall@20
    full             200,320     801,280      0.2781
    quantised         16,512      90,048      0.2973
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from urecjpq import assign_by_kmeans, load_catalogue, quantise
from urecjpq.data import Catalogue
from urecjpq.evaluation import evaluate

DIM, CODE_LENGTH, CODEBOOK_SIZE = 64, 8, 64
EPOCHS, BATCH_SIZE, LEARNING_RATE, TEMPERATURE = 10, 512, 5e-3, 0.2


class TwoTower(nn.Module):
    """Users and items as unit vectors; their cosine is the score."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        self.user_table = nn.Embedding(num_users, DIM)
        self.item_table = nn.Embedding(num_items, DIM)
        self.user_tower = nn.Linear(DIM, DIM)
        self.item_tower = nn.Linear(DIM, DIM)
        for table in (self.user_table, self.item_table):
            nn.init.normal_(table.weight, std=0.1)

    def users(self, ids: Tensor) -> Tensor:
        """Return user vectors. Shape ``(n, d)``."""
        return F.normalize(self.user_tower(self.user_table(ids)), dim=1)

    def items(self, ids: Tensor) -> Tensor:
        """Return item vectors. Shape ``(n, d)``."""
        return F.normalize(self.item_tower(self.item_table(ids)), dim=1)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the loss of a batch of pairs."""
        scores = self.users(users) @ self.items(items).T / TEMPERATURE
        return F.cross_entropy(scores, torch.arange(len(users)))


def train(model: TwoTower, catalogue: Catalogue) -> None:
    """Train for a fixed number of epochs."""
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    rows, columns = catalogue.matrix("train").nonzero()
    users, items = torch.from_numpy(rows).long(), torch.from_numpy(columns).long()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(users)).split(BATCH_SIZE):
            optimizer.zero_grad()
            model(users[batch], items[batch]).backward()
            optimizer.step()


@torch.no_grad()
def recall(model: TwoTower, catalogue: Catalogue) -> float:
    """Return test Recall@20 over all items."""
    users = model.users(torch.arange(catalogue.num_users))
    items = model.items(torch.arange(catalogue.num_items))
    return evaluate(users, items, catalogue, "test", names=("recall",)).metrics["recall@20"]


def report(name: str, model: nn.Module, reached: float) -> None:
    """Print one line of the table."""
    trained = sum(parameter.numel() for parameter in model.parameters())
    stored = sum(values.nbytes for values in model.state_dict().values())
    print(f"{name:<12}{trained:>12,}{stored:>12,}{reached:>12.4f}")


def main() -> None:
    """Train both and print what they take and reach."""
    catalogue = load_catalogue("toy-shop")
    interactions = catalogue.matrix("train")
    print(f"{'tables':<12}{'trained':>12}{'bytes':>12}{'Recall@20':>12}")

    torch.manual_seed(0)
    full = TwoTower(catalogue.num_users, catalogue.num_items)
    train(full, catalogue)
    report("full", full, recall(full, catalogue))

    torch.manual_seed(0)
    quantised = TwoTower(catalogue.num_users, catalogue.num_items)
    sizes = {"code_length": CODE_LENGTH, "codebook_size": CODEBOOK_SIZE, "embedding_dim": DIM}
    codes = {
        "user_table": assign_by_kmeans(interactions.T.tocsr(), **sizes),
        "item_table": assign_by_kmeans(interactions, **sizes),
    }
    quantise(quantised, codes, CODEBOOK_SIZE)
    train(quantised, catalogue)
    report("quantised", quantised, recall(quantised, catalogue))


if __name__ == "__main__":
    main()
