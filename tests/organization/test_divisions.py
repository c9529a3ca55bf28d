"""Divisions against slow twins, and what the rule of C4 says of planted clusters, factors and noise."""

import itertools
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT

from rareneurons.claims.clusters import decide_clusters
from rareneurons.groups import ControlledGroup
from rareneurons.organization import divisions
from rareneurons.organization.activations import LayerActivations
from rareneurons.organization.communities import partition_agreement, signed_modularity
from rareneurons.organization.estimates import group_division
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.stats import correlation_matrix, document_weights
from rareneurons.tables import CheckpointName, measure_frame

sys.path.append(str(PROJECT / "tests/claims"))
from claim_tables import BOUNDS, VIEW

SETTINGS = OrganizationSettings(20, 10, 1, [1.0], 5, rotations=39, plants=12)
DRAWS = 100


def activations(rng, blocks, n_rows, within=0.0, loading=0.0):
    """Rows by neurons: blocks that correlate by ``within`` in what a common factor of these loadings leaves."""
    n = len(blocks)
    signals = rng.normal(size=(n_rows, blocks.max() + 1))[:, blocks]
    own = np.sqrt(within) * signals + np.sqrt(1 - within) * rng.normal(size=(n_rows, n))
    return np.sqrt(1 - np.square(loading)) * own + loading * rng.normal(size=(n_rows, 1))


def both_splits(rng, *args):
    return tuple(correlation_matrix(activations(rng, *args)) for _ in range(2))


def test_blocks_under_a_strong_factor_are_found_where_modularity_of_the_correlations_sees_one_community():
    """Three perfect blocks of 33 neurons under one factor."""
    rng = np.random.default_rng(3)
    blocks = np.arange(33) % 3
    discovery, heldout = both_splits(rng, blocks, 1000, 0.95, 0.9)
    found = divisions.divide(discovery[None], 2, rng)
    assert partition_agreement(found.labels, blocks[None])[0] == 1
    assert found.factor[0] > 0.8
    assert signed_modularity(heldout[None], blocks[None])[0] < 0.1
    assert found.separation(heldout)[0] > 1.3


def test_without_a_common_factor_the_first_component_is_one_of_the_blocks_and_stays():
    rng = np.random.default_rng(4)
    blocks = np.arange(24) % 4
    discovery, _ = both_splits(rng, blocks, 900, 0.4)
    found = divisions.divide(discovery[None], 2, rng)
    assert found.factor[0] == 0
    assert partition_agreement(found.labels, blocks[None])[0] == 1


@pytest.mark.oracle
@pytest.mark.parametrize("loading", [0.0, 0.7])
def test_separation_equals_a_loop_over_pairs_of_residual_activations(rng, loading):
    """The factor, its loadings and the scales are those of discovery rows; correlations are those of the residuals."""
    blocks = np.arange(9) % 3
    before, after = (activations(rng, blocks, 400, 0.4, loading) for _ in range(2))
    correlation = correlation_matrix(before)
    found = divisions.divide(correlation[None], 1, rng)
    assert (found.factor[0] > 0) == (loading > 0)
    scaled = (after - after.mean(0)) / after.std(0)
    if loading:
        direction = np.linalg.eigh(correlation)[1][:, -1]
        scaled = scaled - np.outer(scaled @ direction, direction)
    residual, labels = np.corrcoef(scaled, rowvar=False), found.labels[0]
    pairs = list(itertools.combinations(range(9), 2))
    inside = np.mean([residual[i, j] for i, j in pairs if labels[i] == labels[j]])
    outside = np.mean([residual[i, j] for i, j in pairs if labels[i] != labels[j]])
    assert found.separation(correlation_matrix(after))[0] == pytest.approx(inside - outside, abs=1e-12)


def test_one_community_or_only_single_neurons_have_no_separation():
    correlation = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    for labels in ([0, 0, 0, 0], [0, 1, 2, 3]):
        left, nothing = np.eye(4)[None], np.zeros((1, 4))
        division = divisions.Divisions(left, nothing, np.zeros(1), np.array([labels]))
        assert division.separation(correlation)[0] == 0


def test_rotations_are_orthogonal_uniform_and_keep_what_is_fixed(rng):
    fixed = np.repeat([[0.6, 0.8, 0.0, 0.0], [0.0] * 4], 4000, axis=0)
    found = divisions.random_rotations(fixed, rng)
    np.testing.assert_allclose(found @ found.transpose(0, 2, 1), np.broadcast_to(np.eye(4), found.shape), atol=1e-12)
    np.testing.assert_allclose(np.einsum("gij,gj->gi", found, fixed), fixed, atol=1e-12)
    mean, square = found[4000:].mean(0), np.square(found[4000:]).mean(0)
    np.testing.assert_allclose(mean, 0, atol=0.04)
    np.testing.assert_allclose(square, 0.25, atol=0.03)
    across = np.array([0.8, -0.6, 0.0, 0.0])  # one of three directions that move: its own part is a third of its square
    kept = np.einsum("i,gij,j->g", across, found[:4000], across)
    assert np.mean(kept) == pytest.approx(0, abs=0.05)
    assert np.mean(np.square(kept)) == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.oracle
def test_rotated_neurons_keep_components_and_are_mixtures_of_the_residuals(rng):
    before, after = (activations(rng, np.arange(8) % 2, 300, 0.3, 0.6) for _ in range(2))
    discovery = correlation_matrix(before)
    own = divisions.divide(discovery[None], 1, rng)
    mixed = divisions.rotated(own, discovery[None], 3, 1, rng)
    spectrum = np.linalg.eigvalsh(own.left[0] @ discovery @ own.left[0].T)
    for left in mixed.left:
        np.testing.assert_allclose(np.linalg.eigvalsh(left @ discovery @ left.T), spectrum, atol=1e-10)
    scaled = (after - after.mean(0)) / after.std(0)
    neurons = scaled @ mixed.left[1].T
    np.testing.assert_allclose(
        mixed.residual(correlation_matrix(after))[1], np.corrcoef(neurons, rowvar=False), atol=1e-12
    )


@pytest.mark.oracle
def test_planted_correlations_equal_those_of_planted_activations(rng, monkeypatch):
    """The products with the signals against activations into which the blocks are really planted."""
    n_rows, n, within = 200, 7, 0.3
    values = activations(rng, np.zeros(n, dtype=int), n_rows, 0.0, 0.6)
    values = (values - values.mean(0)) / np.linalg.norm(values - values.mean(0), axis=0)
    strength, vectors = np.linalg.eigh(values.T @ values)
    factor = strength[-1:], vectors[None, :, -1]
    blocks = np.array([[0, 1, 2, 0, 1, 2, 0], [2, 2, 1, 1, 0, 0, 0]])
    found = divisions.with_blocks(values, factor, blocks, within, np.random.default_rng(8))
    again = np.random.default_rng(8)
    sources, offsets = again.integers(n, size=6), again.integers(n_rows, size=6)
    shared = np.outer(values @ vectors[:, -1], vectors[:, -1])
    spread = np.sqrt(1 - strength[-1] * np.square(vectors[:, -1]))
    for plant, labels in enumerate(blocks):
        signals = [np.roll(values[:, sources[3 * plant + k]], offsets[3 * plant + k]) for k in range(3)]
        planted = shared + np.sqrt(1 - within) * (values - shared)
        planted = planted + np.sqrt(within) * spread * np.column_stack([signals[k] for k in labels])
        np.testing.assert_allclose(found[plant], np.corrcoef(planted, rowvar=False), atol=1e-12)


def test_draws_in_which_a_neuron_is_constant_are_left_out_of_the_interval_of_the_excess(rng):
    drawn = rng.normal(size=50)
    tests = [
        divisions.DivisionTest(0.3, np.array([0.1, 0.2]), draws, draws, 0.0)
        for draws in (drawn, np.append(drawn, np.nan))
    ]
    assert tests[0].excess_interval(20) == tests[1].excess_interval(20)
    assert np.isfinite(tests[1].excess_interval(20)).all()


def test_planted_blocks_are_as_clear_as_the_group_s_own_division():
    assert divisions.planted_correlation(0.3) == 0.3
    assert divisions.planted_correlation(-0.1) == 0.05
    assert divisions.planted_correlation(1.5) == 0.95


def decided(rng, blocks, n_rows, within=0.0, loading=0.0, per_document=5):
    """C4's decision on a group with these blocks, through the estimators and the rule."""
    heldout, discovery = (activations(rng, blocks, n_rows, within, loading) for _ in range(2))
    layer = LayerActivations(heldout, np.arange(n_rows) // per_document, discovery)
    group = ControlledGroup(np.arange(len(blocks)), {})
    found = [("rare", "top_33", each) for each in group_division(layer, group, SETTINGS, rng)]
    tables = {
        "organization": measure_frame(CheckpointName("a", "step1"), found),
        "groups": pd.DataFrame({"group": ["top_33"] * len(blocks)}),
    }
    return decide_clusters(tables, replace(VIEW, group="top_33"), BOUNDS)


def shares(seed, blocks, n_rows, **planted):
    """Share of each verdict in ``DRAWS`` draws; a loading (low, high) is drawn anew for each neuron and draw."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS):
        given = dict(planted)
        if isinstance(given.get("loading"), tuple):
            given["loading"] = rng.uniform(*given["loading"], size=len(blocks))
        found.append(decided(rng, blocks, n_rows, **given).verdict)
    return {verdict: found.count(verdict) / DRAWS for verdict in ("supported", "contradicted", "undecided")}


FOUR = np.arange(24) % 4
UNEQUAL = np.repeat([0, 1, 2], [10, 7, 5])


@pytest.mark.calibration
@pytest.mark.parametrize(
    ("blocks", "n_rows", "within", "loading"),
    [(UNEQUAL, 500, 0.35, (0.3, 0.8)), (FOUR, 400, 0.3, 0.0)],
)
def test_blocks_are_clusters_under_a_factor_and_without_one(blocks, n_rows, within, loading):
    found = shares(101, blocks, n_rows, within=within, loading=loading)
    assert found["contradicted"] >= 0.8, found
    assert found["supported"] <= 0.02, found


@pytest.mark.calibration
@pytest.mark.parametrize(("n_rows", "loading"), [(1200, 0.7), (400, (-0.9, 0.9))])
def test_a_factor_alone_is_no_clusters(n_rows, loading):
    found = shares(103, FOUR, n_rows, loading=loading)
    assert found["contradicted"] <= 0.05, found
    assert n_rows < 1000 or found["supported"] >= 0.8, found


@pytest.mark.calibration
@pytest.mark.parametrize("n_rows", [300, 1500])
def test_faint_blocks_are_undecided_with_few_rows_and_with_many(n_rows):
    """Blocks of r = 0.05 are not found with few rows, and too faint to matter with many."""
    found = shares(107, FOUR, n_rows, within=0.05, loading=0.5)
    assert found["undecided"] >= 0.8, found
    assert found["contradicted"] == 0, found


@pytest.mark.calibration
def test_continuous_components_are_no_clusters():
    """Neurons with two more components of normal loadings can be divided, but are not discrete clusters."""
    rng = np.random.default_rng(109)
    small = 0
    for _ in range(DRAWS):
        loadings = 0.4 * rng.normal(size=(3, 26)) + np.array([[0.6], [0], [0]])
        splits = [rng.normal(size=(500, 3)) @ loadings + 0.7 * rng.normal(size=(500, 26)) for _ in range(2)]
        both = [correlation_matrix(each) for each in splits]
        test = divisions.division_test(*both, np.empty((0, 26, 26)), 39, 1, rng)
        assert test.separation > 0.1
        small += (np.sum(test.null >= test.separation) + 1) / 40 <= 0.05
    assert small <= 0.1 * DRAWS


@pytest.mark.calibration
def test_intervals_of_the_excess_cover_it():
    """Truth: the same divisions and rotations at the correlations that the rows are drawn from."""
    rng = np.random.default_rng(113)
    blocks = np.repeat([0, 1, 2], [7, 6, 5])
    n, n_documents, per_document = len(blocks), 80, 5
    loading = np.linspace(0.3, 0.8, n)
    unique = np.sqrt(1 - loading**2)
    true = np.outer(loading, loading) + np.outer(unique, unique) * np.where(blocks[:, None] == blocks, 0.25, 0.0)
    np.fill_diagonal(true, 1)
    document = np.arange(n_documents * per_document) // per_document
    covered = []
    for _ in range(2 * DRAWS):
        discovery = correlation_matrix(activations(rng, blocks, 500, 0.25, loading))
        heldout = activations(rng, blocks, len(document), 0.25, loading)
        weights = document_weights(n_documents, 40, rng)
        draws = np.stack([correlation_matrix(heldout, weight[document]) for weight in weights])
        state = int(rng.integers(2**32))
        found, same = (
            divisions.division_test(discovery, given, draws, 20, 1, np.random.default_rng(state))
            for given in (correlation_matrix(heldout), true)
        )
        low, high = found.excess_interval(n_documents)
        covered.append(low <= same.excess <= high)
    assert 0.92 <= np.mean(covered) <= 0.98, np.mean(covered)
