import numpy as np
import pytest
from scipy.sparse import csr_matrix

from urecjpq.assignment import (
    assign_by_kmeans,
    assign_factors,
    interaction_weights,
    kmeans,
    normalised_factors,
)


def rebuild(assignment):
    columns = [
        part[ids] for part, ids in zip(assignment.centroids, assignment.codes.T, strict=True)
    ]
    return np.concatenate(columns, axis=1)


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)


def test_separated_clusters_are_found():
    rng = np.random.default_rng(1)
    centres = rng.permutation(40)[:, None] * np.array([10.0, -7.0])
    members = np.repeat(np.arange(40), 25)
    points = (centres[members] + 0.01 * rng.standard_normal((1000, 2))).astype(np.float32)
    codes, centroids = assign_factors(points, 1, 40)
    np.testing.assert_allclose(centroids[0][codes[:, 0]], centres[members], atol=0.05)


def test_every_code_names_the_nearest_centroid(vectors):
    codes, centroids = assign_factors(vectors, 4, 32)
    for split in range(4):
        points = vectors[:, 2 * split : 2 * split + 2]
        gaps = ((points[:, None].astype(np.float64) - centroids[split]) ** 2).sum(axis=2)
        chosen = gaps[np.arange(len(points)), codes[:, split]]
        np.testing.assert_allclose(chosen, gaps.min(axis=1), atol=1e-5)


def test_error_falls_with_the_codebook_size(vectors):
    sizes = (1, 8, 64, 256)
    errors = [np.square(rebuild(assign_factors(vectors, 4, b)) - vectors).mean() for b in sizes]
    assert errors[0] == pytest.approx(vectors.var(), rel=0.01)
    assert errors == sorted(errors, reverse=True)
    # Rate-distortion bound of a Gaussian: 2^(-2·bits per dimension); four bits each at b = 256.
    assert 1 / 256 < errors[-1] < 2.5 / 256


def test_error_is_on_par_with_scikit_learn(vectors):
    from sklearn.cluster import KMeans

    ours = np.square(rebuild(assign_factors(vectors[:, :4], 1, 64)) - vectors[:, :4]).sum()
    theirs = KMeans(64, n_init=1, max_iter=25, random_state=0).fit(vectors[:, :4]).inertia_
    assert ours < 1.03 * theirs  # two runs of either differ by about one per cent


def test_a_sample_trains_the_centroids_of_large_inputs(vectors, monkeypatch):
    whole = np.square(rebuild(assign_factors(vectors, 4, 16)) - vectors).mean()
    monkeypatch.setattr(kmeans, "POINTS_PER_CENTROID", 40)
    sampled = assign_factors(vectors, 4, 16)
    assert sampled.codes.shape == (3000, 4)
    assert whole < np.square(rebuild(sampled) - vectors).mean() < 1.1 * whole


def test_weights_move_the_error_to_where_they_are_small(vectors):
    weights = np.random.default_rng(3).pareto(1.5, size=len(vectors))
    heavy = weights > np.quantile(weights, 0.9)
    plain, weighted = (
        np.square(rebuild(assign_factors(vectors, 4, 32, weights=w)) - vectors).sum(axis=1)
        for w in (None, weights)
    )
    assert weights @ weighted < 0.9 * (weights @ plain)
    assert weighted[heavy].mean() < 0.9 * plain[heavy].mean()
    assert weighted.mean() > plain.mean()


def test_a_weight_counts_as_so_many_vectors():
    points = np.array([[1.0], [2.0], [10.0]], dtype=np.float32)
    _, centroids = assign_factors(points, 1, 1, weights=np.array([3.0, 1.0, 1.0]))
    np.testing.assert_allclose(centroids[0], [[3.0]])


def test_equal_weights_are_none(vectors):
    one, other = (assign_factors(vectors, 4, 32, weights=w) for w in (None, np.ones(3000)))
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.centroids, other.centroids)


def test_interactions_are_weights(lanczos_matrix):
    degrees = np.asarray(lanczos_matrix.sum(axis=0)).ravel()
    weights = interaction_weights(lanczos_matrix, 1.0)
    np.testing.assert_allclose(weights, degrees / degrees.mean())
    np.testing.assert_array_equal(interaction_weights(lanczos_matrix, 0), 1)
    with pytest.raises(ValueError, match="weight_power must be at least 0; got -1"):
        interaction_weights(lanczos_matrix, -1)
    with pytest.raises(ValueError, match="interactions must not be empty; got no entries"):
        interaction_weights(csr_matrix((3, 4)), 1.0)


def test_zero_vectors_share_one_code_and_train_nothing(vectors):
    mixed = np.concatenate([np.zeros((5000, 8), dtype=np.float32), vectors[:400]])
    codes, centroids = assign_factors(mixed, 4, 16)
    assert (codes[:5000] == codes[0]).all()
    np.testing.assert_array_equal(centroids, assign_factors(vectors[:400], 4, 16).centroids)


def test_fewer_different_vectors_than_centroids():
    points = np.repeat(np.eye(3, 4, dtype=np.float32), 10, axis=0)
    assignment = assign_factors(points, 2, 20)
    np.testing.assert_array_equal(rebuild(assignment), points)
    assert assign_factors(np.zeros((9, 4)), 2, 4).centroids.shape == (2, 4, 2)


def test_an_empty_cluster_restarts_at_the_worst_served_point():
    points = np.array([[0.0], [1.0], [9.0]], dtype=np.float32)
    nearest, errors = kmeans._nearest(points, np.array([[0.0], [50.0]], dtype=np.float32))
    np.testing.assert_array_equal(nearest, [0, 0, 0])
    means = kmeans._means(points, np.ones(3), nearest, errors, 2)
    np.testing.assert_allclose(means, [[10 / 3], [9]], rtol=1e-6)


def test_users_and_items_live_in_one_space():
    rng = np.random.default_rng(0)
    tastes = rng.integers(5, size=400)
    likes = rng.random((400, 200)) < np.where(np.arange(200) % 5 == tastes[:, None], 0.4, 0.02)
    matrix = csr_matrix(likes, dtype=np.float32)
    items = rebuild(assign_by_kmeans(matrix, 4, 16, embedding_dim=8))
    users = rebuild(assign_by_kmeans(matrix.T.tocsr(), 4, 16, embedding_dim=8))
    scores = users @ items.T
    assert scores[likes].mean() > 3 * scores[~likes].mean()


@pytest.mark.parametrize("weight_power", [0.0, 0.5])
def test_by_interactions_equals_by_factors(lanczos_matrix, weight_power):
    factors = normalised_factors(lanczos_matrix, 16, 5)
    _, items = factors.vectors(0.3)
    weights = interaction_weights(lanczos_matrix, weight_power)
    one = assign_factors(items, 4, 32, weights=weights, seed=5)
    options = {"embedding_dim": 16, "power": 0.3, "seed": 5, "weight_power": weight_power}
    other = assign_by_kmeans(lanczos_matrix, 4, 32, **options)
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.centroids, other.centroids)


def test_wrong_sizes_are_refused(vectors, lanczos_matrix):
    rule = "embedding_dim must be a multiple of the code length 3; got 8. Try 9."
    with pytest.raises(ValueError, match=rule):
        assign_factors(vectors, 3)
    with pytest.raises(ValueError, match=rule):
        assign_by_kmeans(lanczos_matrix, 3, embedding_dim=8)
    with pytest.raises(
        ValueError, match="embedding_dim must be at most 1210, the smaller.*; got 1216"
    ):
        assign_by_kmeans(lanczos_matrix, 8, embedding_dim=1216)
    with pytest.raises(ValueError, match="factors must be finite; got NaN or infinity"):
        assign_factors(np.full((300, 8), np.nan), 4)
    for weights in (np.ones(4), -np.ones(3000), np.zeros(3000), np.full(3000, np.nan)):
        with pytest.raises(ValueError, match="weights must"):
            assign_factors(vectors, 4, weights=weights)
    with pytest.raises(ValueError, match="factors must be a matrix; got shape"):
        assign_factors(np.ones(300), 4)
