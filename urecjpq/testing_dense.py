"""Dense references of graph models, written from the papers: helpers of tests/parity."""

import numpy as np
import torch
import torch.nn.functional as F


def dense_adjacency(pairs):
    """LightGCN (arXiv:2002.02126), equations 7 and 8: Â = D^-½ A D^-½ with D the row sums."""
    num_users, num_items = pairs.shape
    adjacency = np.zeros((num_users + num_items,) * 2)
    adjacency[:num_users, num_users:] = pairs
    adjacency[num_users:, :num_users] = pairs.T
    scale = np.zeros(len(adjacency))
    connected = adjacency.sum(1) > 0
    scale[connected] = adjacency.sum(1)[connected] ** -0.5
    return torch.from_numpy(np.diag(scale) @ adjacency @ np.diag(scale)).float()


def dense_item_graph(neighbours, weights):
    """MMRec's frozen item graph: kNN lists with weight 1/k, mixed by modality."""
    num_items = len(next(iter(neighbours.values())).item_ids)
    graph = torch.zeros(num_items, num_items)
    for name, weight in weights.items():
        for item, row in enumerate(neighbours[name].item_ids):
            known = [other for other in row if other >= 0]
            for other in known:
                graph[item, other] += weight / len(known)
    return graph


def mean_of_layers(adjacency, start, num_layers):
    """The mean of ``start`` and its first propagations."""
    layers = [start]
    for _ in range(num_layers):
        layers.append(adjacency @ layers[-1])
    return torch.stack(layers, dim=1).mean(dim=1)


def bpr(users, positives, negatives):
    """The mean of −log σ(u·p − u·n)."""
    return -F.logsigmoid((users * positives).sum(1) - (users * negatives).sum(1)).mean()


def half_squares(*rows):
    """Half the squared norm of rows, averaged over the batch."""
    return sum(row.norm(2).pow(2) for row in rows) / 2 / len(rows[0])


def batch_rows(batch, users, items):
    """Rows of a batch's users, positives and negatives."""
    return users[batch.users], items[batch.positives], items[batch.negatives]


def present_values(features):
    """Features as a tensor, zeros without content, and the mask of content as a column."""
    present = torch.from_numpy(features.present)[:, None].float()
    return torch.from_numpy(np.nan_to_num(features.values)) * present, present


def assert_equal_training(backbone, loss, expected, vectors):
    """Same loss, same gradient of every parameter, same final vectors."""
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    for name, parameter in backbone.named_parameters():
        gradients = [
            torch.autograd.grad(value, parameter, retain_graph=True)[0]
            for value in (loss, expected)
        ]
        torch.testing.assert_close(
            *gradients, rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )
        # The bias of a projection cancels between positive and negative.
        assert gradients[0].abs().max() > 1e-6 or name.endswith("bias")
    for one, other in zip(backbone.vectors(), vectors, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
