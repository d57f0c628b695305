"""Products and softmax over edges with weights, against dense ones."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from urecjpq.graphs.edges import Edges

PATTERN = sp.csr_matrix(np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]], dtype=np.float32))


def dense(weights):
    matrix = torch.zeros(3, 4)
    matrix[[0, 0, 2, 2], [0, 1, 1, 3]] = weights
    return matrix


def test_products_are_the_dense_ones():
    edges = Edges(PATTERN)
    weights, vectors = torch.randn(4), torch.randn(4, 5)
    torch.testing.assert_close(edges.product(weights, vectors), dense(weights) @ vectors)
    left = torch.randn(3, 5)
    expected = (left @ vectors.T)[[0, 0, 2, 2], [0, 1, 1, 3]]
    torch.testing.assert_close(edges.dot(left, vectors), expected, rtol=1e-5, atol=1e-6)


def test_softmax_goes_row_by_row_and_stands_large_logits():
    shares = Edges(PATTERN).softmax(torch.tensor([1e4, 1e4, -3.0, 0.0]))
    expected = torch.tensor([0.5, 0.5, 1 / (1 + np.e**3), 1 / (1 + np.e**-3)])
    torch.testing.assert_close(shares, expected)


def test_gradients_agree_with_finite_differences():
    edges = Edges(PATTERN)
    double = {"dtype": torch.float64, "requires_grad": True}
    weights, left = torch.randn(4, **double), torch.randn(3, 2, **double)
    right = torch.randn(4, 2, **double)
    assert torch.autograd.gradcheck(edges.product, (weights, right))
    assert torch.autograd.gradcheck(edges.dot, (left, right))
    assert torch.autograd.gradcheck(edges.softmax, (weights,))


def test_zeros_of_the_pattern_are_edges_too():
    pattern = PATTERN.copy()
    pattern.data[:] = 0
    weights, vectors = torch.randn(4), torch.randn(4, 5, requires_grad=True)
    product = Edges(pattern).product(weights, vectors)
    torch.testing.assert_close(product, dense(weights) @ vectors)
    (gradient,) = torch.autograd.grad(product.sum(), vectors)
    torch.testing.assert_close(gradient, dense(weights).T @ torch.ones(3, 5))


def test_nothing_is_trained_or_saved():
    edges = Edges(PATTERN)
    assert not edges.state_dict()
    assert not list(edges.parameters())
    assert len(edges) == 4


@pytest.mark.parametrize("deterministic", [False, True])
def test_one_and_two_threads_give_the_same_bits(deterministic):
    matrix = sp.random_array((3000, 2000), density=0.01, rng=np.random.default_rng(0), format="csr")
    edges = Edges(sp.csr_matrix(matrix))
    left, right = torch.randn(3000, 16, requires_grad=True), torch.randn(2000, 16)
    found = []
    torch.use_deterministic_algorithms(deterministic)
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            product = edges.product(edges.softmax(edges.dot(left, right)), right)
            found.append((product, *torch.autograd.grad(product.square().sum(), left)))
    finally:
        torch.use_deterministic_algorithms(False)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)
