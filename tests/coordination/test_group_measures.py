"""Measures of stacked groups against one group at a time, and where their values are known."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles as angles_of_bases

from rareneurons.coordination.measures import (
    MEASURES,
    between_measures,
    dimensions,
    group_measures,
    independent_quantiles,
    negative_correlation,
    subspace_angles,
)
from rareneurons.coordination.similarity import Similarities, activity, similarities


def similar_of(x):
    return similarities(activity(x).moments(np.arange(len(x))))


def mixed(rng, n_rows=200, n=30):
    return rng.normal(size=(n_rows, n)) + rng.normal(size=(n_rows, 4)) @ rng.normal(size=(4, n))


@pytest.mark.oracle
def test_stacked_groups_equal_groups_one_by_one(rng):
    x = mixed(rng)
    similar, groups = similar_of(x), np.array([rng.permutation(30)[:8] for _ in range(5)])
    quantiles = independent_quantiles(200, 8, rng)
    found = group_measures(similar.within(groups), quantiles)
    assert set(found) == set(MEASURES)
    for number, group in enumerate(groups):
        z = (x[:, group] - x[:, group].mean(0)) / x[:, group].std(0)
        variances = np.linalg.svd(z, compute_uv=False) ** 2
        n_components = 0
        while variances[: n_components + 1].sum() < 0.95 * variances.sum():
            n_components += 1
        missing = 0.95 * variances.sum() - variances[:n_components].sum()
        eigenvalues = variances / len(z)
        above = 0
        while above < 8 and eigenvalues[above] > quantiles[above]:
            above += 1
        pairs = [(i, j) for i in group for j in group if i < j]
        expected = {
            "effective_dimension": (n_components + missing / variances[n_components]) / 8,
            "counted_dimension": (n_components + 1) / 8,
            "participation_ratio": variances.sum() ** 2 / (variances**2).sum() / 8,
            "parallel_components": above,
            "mean_correlation": np.mean([similar.correlation[p] for p in pairs]),
            "mean_abs_correlation": np.mean([abs(similar.correlation[p]) for p in pairs]),
            "positive_correlation": np.mean([max(similar.correlation[p], 0) for p in pairs]),
            "mean_cosine": np.mean([similar.cosine[p] for p in pairs]),
            "coactivation": np.mean([similar.coactivation[p] for p in pairs]),
        }
        assert {name: value[number] for name, value in found.items()} == pytest.approx(expected, abs=1e-7)


@pytest.mark.oracle
def test_angles_equal_those_of_explicit_bases(rng):
    x = mixed(rng)
    x[:, :6] += 3 * np.outer(x[:, 29], np.ones(6))  # a direction that the first group shares with the other
    groups, other = np.array([[0, 1, 2, 3, 4, 5], [10, 11, 12, 13, 14, 15]]), np.arange(25, 30)

    def leading(neurons):
        z = (x[:, neurons] - x[:, neurons].mean(0)) / x[:, neurons].std(0)
        return np.linalg.svd(z, full_matrices=False)[0][:, :3]

    found = between_measures(similar_of(x), groups, other, with_angle=True)["subspace_angle"]
    expected = [np.degrees(angles_of_bases(leading(group), leading(other)).mean()) for group in groups]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[0] < found[1] - 5


@pytest.mark.oracle
def test_means_between_groups_leave_a_neuron_and_itself_out(rng):
    x = mixed(rng)
    similar, groups, other = similar_of(x), np.array([[0, 1, 2], [2, 3, 4]]), np.array([2, 9, 8, 7])
    found = between_measures(similar, groups, other, with_angle=False)
    assert set(found) == {"correlation_between", "cosine_between"}
    for name, matrix in (("correlation", similar.correlation), ("cosine", similar.cosine)):
        expected = [np.mean([matrix[i, j] for i in group for j in other if i != j]) for group in groups]
        np.testing.assert_allclose(found[f"{name}_between"], expected, atol=1e-12)


@pytest.mark.oracle
def test_negative_correlation_is_that_of_pairs_with_a_neuron_outside(rng):
    x = mixed(rng)
    x[:, 17] = 3  # a constant neuron is no neuron outside
    correlation, groups = similar_of(x).correlation, np.array([[0, 1, 2], [2, 3, 4], [16, 17, 18]])
    found = negative_correlation(correlation, groups, groups[0])
    for number, group in enumerate(groups[:2]):
        others = set(range(30)) - {17, *group, *groups[0]}
        assert found[number] == pytest.approx(np.mean([max(-correlation[i, j], 0) for i in group for j in others]))
    assert np.isnan(found[2])
    some = negative_correlation(correlation[:5], groups[:2], groups[0], groups[:2])
    np.testing.assert_allclose(some, found[:2], atol=1e-12)
    assert np.isnan(negative_correlation(correlation[:3, :3], groups[:1], groups[0])).all()  # nobody is left


@pytest.mark.oracle
def test_parallel_analysis_draws_what_normal_columns_give():
    """Bartlett's decomposition against correlations of columns that are really drawn: quantiles within 2 %."""
    rng = np.random.default_rng(4)
    direct = [np.linalg.eigvalsh(np.corrcoef(rng.normal(size=(60, 10)), rowvar=False))[::-1] for _ in range(1500)]
    drawn = np.mean([independent_quantiles(60, 10, rng) for _ in range(5)], axis=0)
    np.testing.assert_allclose(drawn, np.quantile(direct, 0.95, axis=0), rtol=0.02)


def test_known_dimensions(rng):
    found = dimensions(np.eye(20)[None])
    assert found["counted_dimension"] == 19 / 20  # 19 of 20 equal components hold 95 %
    assert found["effective_dimension"] == pytest.approx(0.95)
    halves = np.kron(np.eye(2), np.ones((5, 5)))  # two components, and nine tenths of the second are needed
    assert dimensions(halves[None])["effective_dimension"] == pytest.approx(1.9 / 10)
    assert dimensions(halves[None])["counted_dimension"] == 2 / 10
    assert found["participation_ratio"] == pytest.approx(1)
    low = similar_of(rng.normal(size=(500, 3)) @ rng.normal(size=(3, 30))).correlation
    assert dimensions(low[None])["effective_dimension"] <= 3 / 30


def test_known_angles():
    """Three neurons and themselves, and three that share no direction with them."""
    same, none = np.eye(3)[None], np.zeros((1, 3, 3))
    assert subspace_angles(same, same, same[0]) == pytest.approx(0, abs=1e-5)
    assert subspace_angles(same, none, same[0]) == pytest.approx(90)


def test_parallel_analysis_counts_planted_factors(rng):
    x = rng.normal(size=(400, 24)) + 2 * np.repeat(rng.normal(size=(400, 3)), 8, axis=1)
    quantiles = independent_quantiles(400, 24, rng)
    everyone = np.arange(24)[None]
    assert group_measures(similar_of(x).within(everyone), quantiles)["parallel_components"] == 3
    noise = similar_of(rng.normal(size=(400, 24))).within(everyone)
    assert group_measures(noise, quantiles)["parallel_components"] <= 1


def test_constant_neuron_gives_no_number_to_its_group_alone(rng):
    x = rng.normal(size=(50, 8))
    x[:, 2] = 1
    found = group_measures(similar_of(x).within(np.array([[0, 1, 2], [3, 4, 5]])), independent_quantiles(50, 3, rng))
    for value in found.values():
        assert np.isnan(value[0])
        assert np.isfinite(value[1])


def test_no_group_gives_no_number(rng):
    empty = Similarities(*np.empty((3, 0, 5, 5)))
    assert all(value.shape == (0,) for value in group_measures(empty, np.ones(5)).values())
