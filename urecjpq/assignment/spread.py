"""Interactions spread over items that resemble each other: pairs for codes that know content."""

from scipy.sparse import csr_matrix

from urecjpq.errors import require


def spread_pairs(interactions: csr_matrix, item_graph: csr_matrix) -> csr_matrix:
    """Return ``R + R S``: who took an item took a little of what resembles it.

    The factors of `normalised_factors` are taken of it as of any matrix of pairs. Users who meet
    in no item, but in items of one kind, get factors and codes that resemble each other, and so do
    items that nobody took together.

    Args:
        interactions: Training pairs ``R``. Shape ``(num_users, num_items)``.
        item_graph: ``S``, what an item hands on to those that resemble it, as
            `urecjpq.graphs.item_graphs.blend` makes it; rows that sum to 0.5 hand on half of
            what the item has itself. Shape ``(num_items, num_items)``.

    Returns:
        float32, shape ``(num_users, num_items)``, at most one entry per pair and edge of its item.

    Raises:
        InputError: The graph has other rows than there are items.
    """
    num_items = interactions.shape[1]
    rule = f"item_graph must have shape ({num_items}, {num_items})"
    require(item_graph.shape == (num_items, num_items), rule, item_graph.shape)
    return csr_matrix(interactions + interactions @ item_graph, dtype="float32")
