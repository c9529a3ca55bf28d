"""Signed modularity and communities, with planted blocks."""

import numpy as np
import pytest

from rareneurons.organization import group_organization, organization_measures, signed_modularity


def blocks_correlation(n_blocks: int, size: int, inside: float, outside: float) -> np.ndarray:
    label = np.repeat(np.arange(n_blocks), size)
    matrix = np.where(label[:, None] == label[None], inside, outside)
    np.fill_diagonal(matrix, 1)
    return matrix


@pytest.mark.oracle
def test_signed_modularity_equals_the_double_sum(rng):
    weights = rng.normal(size=(8, 8))
    weights = weights + weights.T
    communities = [{0, 1, 2}, {3, 4}, {5, 6, 7}]
    label = {node: c for c, community in enumerate(communities) for node in community}
    off = weights - np.diag(np.diag(weights))
    positive, negative = np.clip(off, 0, None), np.clip(-off, 0, None)
    total = 0.0
    for i in range(8):
        for j in range(8):
            if label[i] == label[j]:
                expected = positive[i].sum() * positive[j].sum() / positive.sum()
                unexpected = negative[i].sum() * negative[j].sum() / negative.sum()
                total += off[i, j] - (expected - unexpected)
    expected_quality = total / (positive.sum() + negative.sum())
    assert signed_modularity(weights, communities) == pytest.approx(expected_quality)


def test_unsigned_graph_gives_the_usual_modularity():
    import networkx as nx

    graph = nx.karate_club_graph()
    communities = nx.community.louvain_communities(graph, weight="weight", seed=1)
    ours = signed_modularity(nx.to_numpy_array(graph, weight="weight"), communities)
    assert ours == pytest.approx(nx.community.modularity(graph, communities, weight="weight"))


def test_planted_blocks_are_found():
    measures = organization_measures(blocks_correlation(3, 8, 0.6, -0.1), seed=0)
    assert measures["n_communities"] == 3
    assert measures["signed_modularity"] > 0.5


def test_graph_without_links_has_no_modularity():
    assert signed_modularity(np.zeros((3, 3)), [{0, 1, 2}]) == 0


def modularity_p(activation, members, controls, rng) -> float:
    return group_organization(activation, {"g": (members, controls)}, rng)[0][1].p_value


def test_groups_of_one_size_share_a_null_and_others_do_not(rng):
    activation = rng.normal(size=(200, 40))
    controls = [rng.permutation(40)[:10] for _ in range(12)]
    smaller = [control[:6] for control in controls]
    groups = {
        "a": (np.arange(10), controls),
        "b": (np.arange(10, 20), controls),
        "c": (np.arange(6), smaller),
    }
    found = group_organization(activation, groups, rng)
    null = {group: e.value for group, e in found if e.measure == "signed_modularity.null_mean"}
    assert null["a"] == null["b"] != null["c"]


@pytest.mark.calibration
def test_blocks_stand_out_from_controls_and_noise_does_not():
    rng = np.random.default_rng(13)
    found, false = 0, 0
    for _ in range(30):
        activation = rng.normal(size=(300, 60))
        controls = [rng.choice(np.arange(12, 60), 12, replace=False) for _ in range(40)]
        members = np.arange(12)
        false += modularity_p(activation, members, controls, rng) < 0.05
        activation[:, members] += 2 * np.repeat(rng.normal(size=(300, 3)), 4, axis=1)
        found += modularity_p(activation, members, controls, rng) < 0.05
    assert found == 30
    assert false <= 5
