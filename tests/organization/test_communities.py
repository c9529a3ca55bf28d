"""Batched partitions against brute force, double sums, networkx and scikit-learn."""

import networkx as nx
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from rareneurons.organization import communities


def random_graphs(rng, number: int, n: int) -> np.ndarray:
    weights = rng.normal(size=(number, n, n))
    return weights + weights.transpose(0, 2, 1)


def all_partitions(n: int) -> np.ndarray:
    """Every partition of n nodes once, as restricted growth strings."""
    found = [[0]]
    for _ in range(n - 1):
        found = [[*labels, label] for labels in found for label in range(max(labels) + 2)]
    return np.array(found)


@pytest.mark.oracle
def test_signed_modularity_equals_the_double_sum(rng):
    weights = random_graphs(rng, 1, 8)
    labels = np.array([[0, 0, 0, 1, 1, 2, 2, 2]])
    off = weights[0] - np.diag(np.diag(weights[0]))
    positive, negative = np.clip(off, 0, None), np.clip(-off, 0, None)
    total = 0.0
    for i in range(8):
        for j in range(8):
            if labels[0, i] == labels[0, j]:
                expected = positive[i].sum() * positive[j].sum() / positive.sum()
                unexpected = negative[i].sum() * negative[j].sum() / negative.sum()
                total += off[i, j] - (expected - unexpected)
    slow = total / (positive.sum() + negative.sum())
    assert communities.signed_modularity(weights, labels)[0] == pytest.approx(slow, abs=1e-12)


@pytest.mark.oracle
def test_unsigned_graph_gives_the_usual_modularity():
    graph = nx.karate_club_graph()
    found = nx.community.louvain_communities(graph, weight="weight", seed=1)
    labels = np.array([next(k for k, part in enumerate(found) if node in part) for node in graph])
    ours = communities.signed_modularity(nx.to_numpy_array(graph, weight="weight")[None], labels[None])
    assert ours[0] == pytest.approx(nx.community.modularity(graph, found, weight="weight"))


@pytest.mark.oracle
def test_search_finds_the_best_of_all_partitions(rng):
    """Ten seeds on 60 signed graphs of 7 nodes: never above the optimum of all 877 partitions, and mostly on it."""
    weights = random_graphs(rng, 60, 7)
    every = all_partitions(7)
    assert len(every) == 877
    gain = communities.modularity_matrix(weights)
    best = np.array([communities.signed_modularity(np.tile(w, (877, 1, 1)), every).max() for w in weights])
    found = np.max(
        [
            communities.signed_modularity(
                weights, communities.best_partitions(gain, np.tile(rng.permutation(7), (60, 1)))
            )
            for _ in range(10)
        ],
        axis=0,
    )
    assert (found <= best + 1e-12).all()
    assert np.mean(found >= best - 1e-9) >= 0.95


@pytest.mark.oracle
def test_search_is_as_good_as_networkx_louvain(rng):
    """On graphs with positive links alone: the mean over graphs of the best of three runs, within 0.002."""
    weights = np.abs(random_graphs(rng, 20, 25)) ** 2
    gain = communities.modularity_matrix(weights)
    runs = [communities.best_partitions(gain, np.tile(rng.permutation(25), (20, 1))) for _ in range(3)]
    ours = np.max([communities.signed_modularity(weights, labels) for labels in runs], axis=0)
    theirs = []
    for w in weights:
        graph = nx.from_numpy_array(communities.without_diagonal(w))
        found = [nx.community.louvain_communities(graph, seed=seed) for seed in range(3)]
        theirs.append(max(nx.community.modularity(graph, partition) for partition in found))
    assert ours.mean() >= np.mean(theirs) - 0.002


@pytest.mark.oracle
def test_a_stack_of_graphs_gives_what_each_gives_alone(rng, monkeypatch):
    weights = random_graphs(rng, 9, 12)
    together = communities.consensus_partitions(weights, 2, [0.8, 1.2], np.random.default_rng(4))
    alone = [communities.consensus_partitions(w[None], 2, [0.8, 1.2], np.random.default_rng(4))[0] for w in weights]
    np.testing.assert_array_equal(together, alone)
    monkeypatch.setattr(communities, "ELEMENTS_PER_CHUNK", 1200)  # two graphs per chunk
    chunked = communities.consensus_partitions(weights, 2, [0.8, 1.2], np.random.default_rng(4))
    np.testing.assert_array_equal(together, chunked)


def test_consensus_finds_planted_blocks_and_labels_have_no_gaps():
    truth = np.repeat(np.arange(3), 6)
    weights = np.where(truth[:, None] == truth, 0.6, -0.1)[None]
    labels = communities.consensus_partitions(weights, 3, [0.75, 1, 1.25], np.random.default_rng(0))
    assert communities.partition_agreement(labels, truth[None])[0] == 1
    assert sorted(set(labels[0])) == [0, 1, 2]


def test_higher_resolution_splits():
    """A ring of 8 triangles: neighbours merge at low resolution and stay apart at high resolution."""
    ring = nx.ring_of_cliques(8, 3)
    weights = nx.to_numpy_array(ring)[None]
    n = [
        communities.consensus_partitions(weights, 1, [resolution], np.random.default_rng(0)).max() + 1
        for resolution in (0.3, 1.5)
    ]
    assert n[0] < n[1] == 8


def test_graph_without_links_is_single_nodes_of_no_modularity():
    labels = communities.consensus_partitions(np.zeros((1, 4, 4)), 2, [1.0], np.random.default_rng(0))
    assert sorted(labels[0]) == [0, 1, 2, 3]
    assert communities.signed_modularity(np.zeros((1, 4, 4)), labels)[0] == 0


@pytest.mark.oracle
def test_silhouette_equals_scikit_learn(rng):
    distance = np.abs(random_graphs(rng, 10, 9))
    labels = np.array([rng.permutation([0, 0, 0, 1, 1, 2, 2, 2, 3]) for _ in range(10)])  # one alone
    for d in distance:
        np.fill_diagonal(d, 0)
    slow = [silhouette_score(d, each, metric="precomputed") for d, each in zip(distance, labels, strict=True)]
    np.testing.assert_allclose(communities.silhouettes(distance, labels), slow, atol=1e-12)


def test_silhouette_of_one_community_is_unknown():
    assert np.isnan(communities.silhouettes(np.ones((1, 4, 4)), np.zeros((1, 4), dtype=int))).all()


@pytest.mark.oracle
def test_agreement_equals_scikit_learn(rng):
    first, second = rng.integers(0, 4, (30, 12)), rng.integers(0, 3, (30, 12))
    first[0], second[0] = 0, 0
    second[1] = first[1]
    slow = [adjusted_rand_score(a, b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(communities.partition_agreement(first, second), slow, atol=1e-12)
