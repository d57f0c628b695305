"""Sparse products and their gradients, against dense ones."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from urecjpq.data.catalogue import Neighbours
from urecjpq.graphs.item_graphs import neighbour_matrix
from urecjpq.graphs.propagation import (
    Graph,
    bipartite_graph,
    layer_mean,
    normalise_symmetrically,
)

PAIRS = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]], dtype=np.float32)


def random_matrix(rows, columns, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    matrix[np.abs(matrix) < 0.8] = 0
    return matrix


def neighbours_of(item_ids):
    item_ids = np.array(item_ids, dtype=np.int32)
    return Neighbours(item_ids, np.zeros(item_ids.shape, dtype=np.float32))


@pytest.mark.parametrize("shape", [(7, 7), (4, 9), (9, 4)])
def test_an_asymmetric_product_and_its_gradient_are_the_dense_ones(shape):
    dense_matrix = torch.from_numpy(random_matrix(*shape))
    graph = Graph(sp.csr_matrix(dense_matrix.numpy()))
    vectors = torch.randn(shape[1], 3, requires_grad=True)
    weights = torch.randn(shape[0], 3)
    expected = dense_matrix @ vectors
    found = graph(vectors)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    (expected_gradient,) = torch.autograd.grad((weights * expected).sum(), vectors)
    (gradient,) = torch.autograd.grad((weights * found).sum(), vectors)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-6)


def test_gradients_agree_with_finite_differences():
    graph = Graph(sp.csr_matrix(random_matrix(5, 4))).double()
    vectors = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(graph, vectors)


def test_a_symmetric_matrix_is_stored_once():
    graph = bipartite_graph(sp.csr_matrix(PAIRS))
    assert graph.matrix is graph.transpose
    assert not graph.state_dict()
    assert not list(graph.parameters())


def test_normalised_pairs_by_hand():
    found = normalise_symmetrically(sp.csr_matrix(PAIRS)).toarray()
    half, root = 0.5, np.sqrt(0.5)
    expected = [[root, half, 0, 0], [0, 0, 0, 0], [0, half, 0, root]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_users_come_before_items():
    found = bipartite_graph(sp.csr_matrix(PAIRS)).matrix.to_dense().numpy()
    block = normalise_symmetrically(sp.csr_matrix(PAIRS)).toarray()
    assert found.shape == (7, 7)
    np.testing.assert_allclose(found[:3, 3:], block, rtol=1e-6)
    np.testing.assert_allclose(found[3:, :3], block.T, rtol=1e-6)
    assert not found[:3, :3].any()
    assert not found[3:, 3:].any()


def test_users_and_items_without_interactions_keep_a_share_of_themselves():
    graph = bipartite_graph(sp.csr_matrix(PAIRS))
    vectors = torch.randn(7, 3)
    final = layer_mean(graph, vectors, 2)
    assert torch.isfinite(final).all()
    for isolated in (1, 3 + 2):
        torch.testing.assert_close(final[isolated], vectors[isolated] / 3)


def test_no_layers_change_nothing():
    graph = bipartite_graph(sp.csr_matrix(PAIRS))
    vectors = torch.randn(7, 3)
    assert torch.equal(layer_mean(graph, vectors, 0), vectors)


@pytest.mark.parametrize("num_layers", [1, 2, 4])
def test_the_mean_over_layers_is_that_of_matrix_powers(num_layers):
    matrix = random_matrix(6, 6).astype(np.float64)
    graph = Graph(sp.csr_matrix(matrix)).double()
    vectors = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    powers = sum(
        np.linalg.matrix_power(graph.matrix.to_dense().numpy(), n) for n in range(num_layers + 1)
    )
    expected = torch.from_numpy(powers / (num_layers + 1))
    found = layer_mean(graph, vectors, num_layers)
    torch.testing.assert_close(found, expected @ vectors)
    (gradient,) = torch.autograd.grad(found.square().sum(), vectors)
    torch.testing.assert_close(gradient, 2 * expected.T @ expected @ vectors)


def test_neighbour_lists_by_hand():
    lists = neighbours_of([[0, 2], [-1, -1], [1, -1], [-1, 3]])
    expected = [[0.5, 0, 0.5, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(neighbour_matrix(lists).toarray(), expected)


def test_unsorted_neighbours_become_a_valid_graph():
    lists = neighbours_of([[3, 0, 2], [1, 0, 3], [0, 2, 1], [2, 3, 0]])
    vectors = torch.randn(4, 3)
    expected = torch.stack([vectors[row].mean(0) for row in lists.item_ids])
    torch.testing.assert_close(Graph(neighbour_matrix(lists))(vectors), expected)


def test_one_and_two_threads_give_the_same_bits():
    matrix = sp.random_array((3000, 2000), density=0.01, rng=np.random.default_rng(0), format="csr")
    graph = Graph(sp.csr_matrix(matrix))
    vectors = torch.randn(2000, 16, requires_grad=True)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        product = graph(vectors)
        found.append((product, *torch.autograd.grad(product.square().sum(), vectors)))
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


def test_torch_does_not_warn_of_sparse_tensors():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bipartite_graph(sp.csr_matrix(PAIRS))
    assert not caught
