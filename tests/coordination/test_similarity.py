"""Similarities of all pairs at once, against one pair at a time."""

import numpy as np
import pytest

from rareneurons.coordination.similarity import activity, correlations_without, similarities

WITHIN = 1e-10  # tolerance of the twins; counts are exact


def loud(rng, n_rows=60, n=7):
    """Activations far from zero, where products of uncentred values would lose digits."""
    return rng.normal(size=(n_rows, n)) @ rng.normal(size=(n, n)) + 100 * rng.normal(size=n)


def pairs_one_by_one(x, active, i, j):
    """Correlation, cosine and coactivation of two neurons, by the book."""
    cosine = x[:, i] @ x[:, j] / (np.linalg.norm(x[:, i]) * np.linalg.norm(x[:, j]))
    together = np.mean(active[:, i] & active[:, j]) - active[:, i].mean() * active[:, j].mean()
    return np.corrcoef(x[:, i], x[:, j])[0, 1], cosine, together


@pytest.mark.oracle
def test_all_pairs_equal_pairs_one_by_one(rng):
    x = loud(rng)
    found = similarities(activity(x).moments(np.arange(len(x))))
    active = x > x.mean(0) + x.std(0)
    for i in range(7):
        for j in range(7):
            expected = pairs_one_by_one(x, active, i, j)
            mine = found.correlation[i, j], found.cosine[i, j], found.coactivation[i, j]
            assert mine[:2] == pytest.approx(expected[:2], abs=WITHIN)
            assert mine[2] == pytest.approx(expected[2], abs=1e-6)  # counts divided in float32


@pytest.mark.oracle
def test_weighted_stacks_equal_repeated_rows(rng):
    """What a bootstrap draw sees: rows repeated, the activity threshold that of all rows."""
    x, groups = loud(rng), np.array([[0, 3, 5], [6, 1, 2]])
    weights = rng.integers(0, 4, len(x))
    drawn = np.flatnonzero(weights)
    found = similarities(activity(x).of(groups).moments(drawn, weights[drawn]))
    repeated = np.repeat(x, weights, axis=0)
    active = np.repeat(x > x.mean(0) + x.std(0), weights, axis=0)
    for number, group in enumerate(groups):
        for a, i in enumerate(group):
            for b, j in enumerate(group):
                expected = pairs_one_by_one(repeated, active, i, j)
                mine = [m[number, a, b] for m in (found.correlation, found.cosine, found.coactivation)]
                assert mine[:2] == pytest.approx(expected[:2], abs=WITHIN)
                assert mine[2] == pytest.approx(expected[2], abs=1e-6)


def test_moments_of_parts_add_up(rng):
    x = loud(rng)
    active = activity(x)
    whole = similarities(active.moments(np.arange(60)))
    parts = similarities(active.moments(np.arange(20)) + active.moments(np.arange(20, 60)))
    np.testing.assert_allclose(parts.correlation, whole.correlation, atol=WITHIN)
    np.testing.assert_allclose(parts.cosine, whole.cosine, atol=WITHIN)
    np.testing.assert_allclose(parts.coactivation, whole.coactivation, atol=1e-7)


@pytest.mark.parametrize("constant", [0.0, 1.0, 123.456])
def test_constant_neuron_has_no_correlation(rng, constant):
    x = rng.normal(size=(50, 4))
    x[:, 2] = constant
    found = similarities(activity(x).moments(np.arange(50))).correlation
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 2]).all()
    assert np.isfinite(np.delete(np.delete(found, 2, 0), 2, 1)).all()


def test_neuron_constant_on_the_drawn_rows_has_no_correlation(rng):
    """Sums leave rounding noise where its variance was, which must not pass for a signal."""
    x = rng.normal(size=(50, 4))
    x[:49, 2] = 0.1
    found = similarities(activity(x).moments(np.arange(49), rng.integers(1, 4, 49))).correlation
    assert np.isnan(found[2]).all()
    assert np.isfinite(np.delete(np.delete(found, 2, 0), 2, 1)).all()


@pytest.mark.oracle
def test_correlations_without_rows_equal_those_of_the_other_rows(rng):
    x = loud(rng)
    x[5:, 3] = 2.0  # constant without the first rows
    some, left_out = np.array([1, 3, 6]), np.arange(5)
    seen = activity(x)
    found = correlations_without(seen.moments(np.arange(len(x))), seen, some, left_out)
    with np.errstate(invalid="ignore", divide="ignore"):
        slow = np.corrcoef(x[5:], rowvar=False)[some]
    assert np.isnan(found[:, 3]).all()
    assert np.isnan(found[1]).all()
    known = np.array([0, 1, 2, 4, 5, 6])
    np.testing.assert_allclose(found[np.ix_([0, 2], known)], slow[np.ix_([0, 2], known)], atol=1e-9)


def test_groups_are_index_sets(rng):
    found = similarities(activity(rng.normal(size=(50, 9))).moments(np.arange(50)))
    groups, other = np.array([[0, 4, 2], [8, 1, 3]]), np.array([5, 6])
    np.testing.assert_array_equal(found.within(groups).cosine[1], found.cosine[np.ix_(groups[1], groups[1])])
    np.testing.assert_array_equal(
        found.between(groups, other[None]).correlation[0], found.correlation[np.ix_(groups[0], other)]
    )
