"""Groups that resemble a group: their probabilities and balance, and p-values of groups chosen for their features."""

import itertools

import numpy as np
import pytest

from rareneurons.matching import inclusion, resembling_groups, systematic_samples
from rareneurons.stats import empirical_p


def features_of(rng, n):
    """Correlated features with a long tail, standardised."""
    loud = rng.gamma(2, size=n)
    columns = np.column_stack([loud + rng.normal(size=n), loud**1.5 + rng.normal(size=n), rng.normal(size=n)])
    return (columns - columns.mean(0)) / columns.std(0)


@pytest.mark.oracle
def test_inclusion_is_that_of_the_most_varied_groups_with_these_sums():
    """Against all groups of three of nine, each weighted by exp(b . sum of features): probabilities within 0.02."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(9, 1))
    features = (features - features.mean()) / features.std()
    members = np.argsort(-features[:, 0])[[0, 3, 4]]
    everyone = [list(group) for group in itertools.combinations(range(9), 3)]
    sums = np.array([features[group].sum() for group in everyone])
    slopes = np.linspace(-3, 3, 6001)
    means = np.array([np.average(sums, weights=np.exp(slope * sums)) for slope in slopes])
    weights = np.exp(slopes[np.abs(means - features[members].sum()).argmin()] * sums)
    expected = [np.average([neuron in group for group in everyone], weights=weights) for neuron in range(9)]
    found = inclusion(members, np.arange(9), features)
    assert found.sum() == pytest.approx(3)
    np.testing.assert_allclose(found, expected, atol=0.1)  # with squares too, and of independent draws
    assert np.corrcoef(found, expected)[0, 1] > 0.97


@pytest.mark.oracle
def test_samples_hold_each_unit_as_often_as_they_should(rng):
    chance = np.array([1.0, 0.9, 0.05, 0.35, 0.4, 0.3, 0.6, 0.4])
    drawn = systematic_samples(chance, 20_000, rng)
    assert drawn.shape == (20_000, 4)
    assert all(len(set(sample)) == 4 for sample in drawn[:500])
    np.testing.assert_allclose(np.bincount(drawn.ravel(), minlength=8) / 20_000, chance, atol=0.015)


def test_groups_resemble_members_where_the_pool_has_peers(rng):
    features = features_of(rng, 600)
    members = np.argsort(-(0.7 * features[:, 0] + rng.gumbel(size=600)))[:30]
    pool = np.setdiff1d(np.arange(600), members)
    drawn = resembling_groups(members, pool, features, 100, rng)
    assert drawn.shape == (100, 30)
    assert not np.isin(drawn, members).any()
    gaps = features[members].mean(0) - features[drawn].mean(1)
    assert np.abs(gaps.mean(0)).max() < 0.1
    assert np.abs(gaps).max() < 0.4
    assert len({tuple(sorted(group)) for group in drawn}) == 100


def test_the_loudest_have_no_peers_and_a_small_pool_gives_what_it_has(rng):
    features = features_of(rng, 300)
    loudest = np.argsort(-features[:, 1])[:30]
    drawn = resembling_groups(loudest, np.setdiff1d(np.arange(300), loudest), features, 50, rng)
    assert (features[loudest].mean(0) - features[drawn].mean((0, 1)))[1] > 0.5
    assert resembling_groups(np.arange(4), np.arange(5, 8), features, 50, rng).shape == (0, 4)
    assert {tuple(sorted(g)) for g in resembling_groups(np.arange(3), np.arange(5, 8), features, 5, rng)} == {(5, 6, 7)}


@pytest.mark.calibration
@pytest.mark.parametrize(("n_neurons", "n", "steep"), [(150, 25, 0.4), (400, 33, 0.7)])
def test_groups_chosen_for_their_features_are_called_different_in_five_percent(n_neurons, n, steep):
    """100 groups that are themselves draws of resembling groups: p <= 0.05 in at most 8 %, and about half below 0.5.

    Loud neurons share a factor. Against groups without the group's own neurons, p is too small far more often.
    """
    rng = np.random.default_rng(41)
    features = features_of(rng, n_neurons)
    loadings = features[:, 0] + rng.normal(size=n_neurons)
    correlation = np.tanh(np.outer(loadings, loadings) + rng.normal(size=(n_neurons, n_neurons)))
    correlation = (correlation + correlation.T) / 2

    def statistic(groups):
        return correlation[groups[:, :, None], groups[:, None, :]].mean((1, 2))

    def p_value(group, pool):
        null = statistic(resembling_groups(group, pool, features, 79, rng))
        return empirical_p(float(statistic(group[None])[0]), null, "two-sided")

    first = np.argsort(-(steep * features[:, 1] + rng.gumbel(size=n_neurons)))[:n]
    pool = np.setdiff1d(np.arange(n_neurons), first)
    groups = resembling_groups(first, pool, features, 100, rng)
    found = np.array([p_value(group, pool) for group in groups])
    assert np.mean(found <= 0.05) <= 0.08
    assert 0.3 <= np.mean(found <= 0.5) <= 0.65
    apart = np.array([p_value(group, np.setdiff1d(pool, group)) for group in groups[:40]])
    assert np.mean(apart) < np.mean(found) - 0.05
