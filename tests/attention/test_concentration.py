"""Gini coefficient, top share, and heads whose names are permuted."""

import numpy as np
import pytest

from rareneurons.attention.concentration import gini, permuted_means, top_share
from rareneurons.stats import empirical_p


def test_gini_of_known_distributions():
    assert gini(np.ones(10)) == pytest.approx(0)
    assert gini(np.array([0.0] * 9 + [1])) == pytest.approx(0.9)
    assert gini(np.array([1.0, 3.0])) == pytest.approx(0.25)
    assert np.isnan(gini(np.zeros(3)))
    assert np.isnan(gini(np.array([])))
    np.testing.assert_allclose(gini(np.array([[3.0, 1.0], [0.0, 2.0], [0.0, 0.0]])), [0.25, 0.5, np.nan])


@pytest.mark.oracle
def test_gini_is_half_the_relative_mean_difference(rng):
    values = rng.exponential(size=13)
    differences = np.abs(values[:, None] - values).mean()
    assert gini(values) == pytest.approx(differences / (2 * values.mean()))


def test_top_share_is_of_the_largest_tenth():
    assert top_share(np.array([1.0, 5.0, 2.0, 2.0])) == pytest.approx(0.5)  # at least one
    assert top_share(np.arange(20.0)) == pytest.approx((19 + 18) / 190)
    np.testing.assert_allclose(top_share(np.array([[1.0, 0.0], [0.0, 0.0]])), [1, np.nan])


def test_permuted_means_keep_documents_and_are_sorted(rng):
    sums, rows = rng.random((4, 6)), np.arange(1, 7)
    found = permuted_means(sums, rows, 50, rng)
    assert found.shape == (50, 4)
    np.testing.assert_allclose(found.sum(1), sums.sum() / rows.sum())
    assert (np.diff(found, axis=1) <= 0).all()
    one = permuted_means(sums[:, :1], rows[:1], 5, rng)  # within a document there is only the order
    np.testing.assert_allclose(one, np.tile(-np.sort(-sums[:, 0]), (5, 1)))


@pytest.mark.calibration
def test_concentration_is_found_where_a_head_is_special_and_only_there():
    rng, rows = np.random.default_rng(1), np.full(20, 5)
    false = found = 0
    for _ in range(400):
        alike = rng.gamma(2, size=(12, 20))
        special = alike.copy()
        special[3] *= 3
        p = [
            empirical_p(float(gini(sums.sum(1))), gini(permuted_means(sums, rows, 99, rng)), "greater")
            for sums in (alike, special)
        ]
        false += p[0] <= 0.05
        found += p[1] <= 0.05
    assert false <= 30
    assert found >= 380
