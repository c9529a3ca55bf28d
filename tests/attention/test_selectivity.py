"""Document sums to means, draws and p; gains taken out; p and bounds over heads."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from rareneurons.attention.selectivity import (
    adjusted_over_heads,
    bounds_over_heads,
    clustered_p,
    condition_draws,
    condition_means,
    routing_shares,
    selectivity_beyond,
)
from rareneurons.stats import document_weights


def rows_of(rng, n_documents, effect=0.0, gap=0.0):
    """Values of rows with a common part per document: (document, condition, value)."""
    n = 12 * n_documents
    document, condition = rng.integers(0, n_documents, n), rng.integers(0, 2, n)
    shared = rng.normal(size=(n_documents, 2)) + rng.normal(size=(n_documents, 1))
    value = shared[document, condition] + rng.normal(size=n) + effect + gap * (condition == 0)
    return document, condition, value


def summed(document, condition, value, n_documents):
    sums, rows = np.zeros((2, n_documents)), np.zeros((2, n_documents), dtype=int)
    np.add.at(sums, (condition, document), value)
    np.add.at(rows, (condition, document), 1)
    return sums, rows


@pytest.mark.oracle
def test_means_and_draws_equal_those_of_the_rows_themselves(rng):
    document, condition, value = rows_of(rng, 7)
    sums, rows = summed(document, condition, value, 7)
    np.testing.assert_allclose(condition_means(sums, rows), [value[condition == c].mean() for c in range(2)])
    weights = document_weights(7, 6, rng)
    draws = condition_draws(sums, rows, weights)
    for number, drawn in enumerate(weights):
        repeated = np.repeat(np.arange(len(value)), drawn[document])
        expected = [value[repeated][condition[repeated] == c].mean() for c in range(2)]
        np.testing.assert_allclose(draws[:, number], expected)


def test_conditions_without_rows_have_no_mean():
    rows = np.array([[2, 0], [0, 3]])
    sums = np.array([[1.0, 0.0], [0.0, 6.0]])
    draws = condition_draws(sums, rows, np.array([[2, 0], [1, 1]]))
    np.testing.assert_allclose(draws, [[0.5, 0.5], [np.nan, 2]])
    assert np.isnan(condition_means(sums * 0, rows * 0)).all()


@pytest.mark.oracle
def test_clustered_p_is_a_paired_t_test_where_every_document_has_one_row_of_each(rng):
    sums = rng.normal(size=(3, 2, 15))
    rows = np.ones((2, 15), dtype=int)
    expected = [scipy_stats.ttest_rel(each[0], each[1]).pvalue for each in sums]
    np.testing.assert_allclose(clustered_p(sums, rows), expected)


def test_clustered_p_of_nothing():
    rows = np.ones((2, 5), dtype=int)
    assert clustered_p(np.zeros((2, 5)), rows) == 1
    assert clustered_p(np.array([[1.0] * 5, [0.0] * 5]), rows) == 0
    assert np.isnan(clustered_p(np.ones((2, 1)), rows[:, :1]))


@pytest.mark.calibration
def test_clustered_p_keeps_its_level_with_rows_alike_within_documents(rng):
    p = {gap: [] for gap in (0.0, 1.0)}
    for gap, found in p.items():
        for _ in range(400):
            found.append(float(clustered_p(*summed(*rows_of(rng, 20, gap=gap), 20))))
    assert np.mean(np.array(p[0.0]) <= 0.05) <= 0.075
    assert np.mean(np.array(p[1.0]) <= 0.05) >= 0.6


def test_a_gain_of_the_group_is_no_selectivity_of_its_heads(rng):
    matched = rng.random((7, 2)) + 0.5
    gained = matched * [3.0, 1.5]
    np.testing.assert_allclose(selectivity_beyond(gained, matched), 0, atol=1e-12)
    special = gained.copy()
    special[4, 0] += 0.4
    special[2, 1] += 0.1
    expected = np.zeros(7)
    expected[[4, 2]] = 0.4, -0.1
    np.testing.assert_allclose(selectivity_beyond(special, matched), expected, atol=1e-12)
    many = np.stack([special, gained], axis=-1)
    np.testing.assert_allclose(
        selectivity_beyond(many, matched[..., None]), np.stack([expected, 0 * expected], axis=-1), atol=1e-12
    )
    assert np.isnan(selectivity_beyond(special[:2], matched[:2])).all()
    silent = matched.copy()
    silent[0] = 0
    assert np.isfinite(selectivity_beyond(gained, silent)).all()


@pytest.mark.oracle
def test_adjusted_p_counts_groups_with_a_head_as_far_out(rng):
    values, controls = rng.normal(size=4) + 1, rng.normal(size=(4, 30)) * [[1], [5], [0.1], [1]]
    values[2] = 0.02
    everything = np.column_stack([values, controls])
    for head, found in enumerate(adjusted_over_heads(values, controls)):
        mine = (everything[head] - everything[head].mean()) / everything[head].std()
        count = 0
        for group in range(31):
            scores = [(each[group] - each.mean()) / each.std() for each in everything]
            count += max(scores) >= mine[0] - 1e-12
        assert found == pytest.approx(count / 31)
    assert np.isnan(adjusted_over_heads(values, controls[:, :0])).all()
    assert (adjusted_over_heads(np.zeros(3), np.zeros((3, 9))) == 1).all()


@pytest.mark.calibration
def test_adjusted_p_keeps_its_level_over_all_heads(rng):
    """Effects of heads go together and differ in size: some p is at most 0.05 in at most 7 % of groups like others."""
    false = found = 0
    for _ in range(400):
        shared = rng.normal(size=100)
        groups = (shared + rng.normal(size=(20, 100))) * rng.gamma(1, size=(20, 1))
        false += adjusted_over_heads(groups[:, 0], groups[:, 1:]).min() <= 0.05
        moved = groups[:, 0].copy()
        moved[3] += 5 * groups[3].std()
        p = adjusted_over_heads(moved, groups[:, 1:])
        found += p[3] <= 0.05
    assert false <= 28
    assert found >= 360


def effects_of_heads(rng, n_heads, n_documents, error, planted=0.0, spread=1.2):
    """Effects of log-normal heads on a group with a gain, and on its matched groups, and numbers of rows.

    The error of a head's share is ``error``; routing makes up the share ``planted`` of the first head's effect.
    """
    size = np.exp(spread * rng.normal(size=n_heads))[:, None, None]
    rows = rng.integers(4, 30, size=(2, n_documents))
    of_documents = error * np.sqrt(n_documents / 2)
    own = size * rng.gamma(of_documents**-2, of_documents**2, size=(n_heads, 2, n_documents))
    matched = size + 0 * own
    own *= np.array([1.4, 0.9])[:, None]
    own[0, 0] /= 1 - planted
    return own * rows, matched * rows, rows


def shares_and_bounds(rng, own, matched, rows):
    """Shares of the heads, their bounds, and effects (H,) on rare rows."""
    weights = document_weights(rows.shape[1], 200, rng)
    effects, draws = (
        (of(own, rows, *more), of(matched, rows, *more))
        for of, more in ((condition_means, ()), (condition_draws, (weights,)))
    )
    shares, drawn = (routing_shares(selectivity_beyond(*each), each[0][:, 0]) for each in (effects, draws))
    return shares, bounds_over_heads(shares, drawn, rows.shape[1]), effects[0][:, 0]


def decided(rng, n, margin=0.5, **planted):
    """Of n draws: in how many no head may reach the margin; some head is clear of 0; the first is clear of the margin.

    And in how many a margin of half a mean head's effect would be excluded for all heads, each with its own interval.
    """
    found = np.zeros((n, 4), dtype=bool)
    for draw in found:
        shares, bounds, effect = shares_and_bounds(rng, *effects_of_heads(rng, 70, 40, **planted))
        in_mean_heads = ((shares + 1.96 * bounds.error) * effect).max() / effect.mean()
        draw[:] = bounds.high.max() < margin, (bounds.low > 0).any(), bounds.low[0] > margin, in_mean_heads < margin
    return found.mean(0)


@pytest.mark.calibration
def test_a_margin_per_head_is_decided_where_one_for_all_heads_is_not(rng):
    """Five percent error per head: without routing nearly always excluded, and a planted head nearly always found."""
    without, some_clear, _, for_all_heads = decided(rng, 100, error=0.05)
    assert without >= 0.95
    assert for_all_heads <= 0.3
    assert some_clear <= 0.07
    at_margin, found, _, _ = decided(rng, 100, error=0.05, planted=0.5)
    assert at_margin <= 0.08
    assert found >= 0.95
    assert decided(rng, 100, error=0.05, planted=0.8)[2] >= 0.95


@pytest.mark.calibration
def test_bounds_hold_for_few_documents(rng):
    lows = highs = 0
    for _ in range(200):
        shares, bounds, _ = shares_and_bounds(rng, *effects_of_heads(rng, 12, 12, 0.1, planted=0.5))
        lows += (bounds.low > np.r_[0.5, np.zeros(11)]).any()
        highs += bounds.high.max() < 0.5
    assert lows <= 14  # 2.5 % on either side
    assert highs <= 14


def test_bounds_by_hand(rng):
    draws = rng.normal(size=(3, 400)) * [[1], [2], [0]]
    found = bounds_over_heads(np.array([1.0, 2.0, 3.0]), draws, 10**6)
    np.testing.assert_allclose(found.error, draws.std(1), rtol=1e-5)
    np.testing.assert_allclose(found.high, [1, 2, 3] + 1.96 * found.error, rtol=1e-3)
    np.testing.assert_allclose(found.low, [1, 2, 3] - found.critical * found.error)
    scores = ((draws.mean(1, keepdims=True) - draws)[:2] / draws.std(1)[:2, None]).max(0)
    assert found.critical == pytest.approx(np.quantile(scores, 0.975), rel=1e-3)
    few = bounds_over_heads(np.array([1.0, 2.0, 3.0]), draws, 8)
    assert few.critical > found.critical
    assert (few.high[:2] > found.high[:2]).all()
    assert np.isnan(bounds_over_heads(np.ones(3), draws[:, :9], 8).high).all()
    assert np.isnan(bounds_over_heads(np.ones(3), draws, 1).low).all()


def test_share_of_a_head_without_effect_is_zero():
    np.testing.assert_allclose(routing_shares(np.array([0.3, 0.0]), np.array([0.6, 0.0])), [0.5, 0])


def test_stand_ins_count_in_the_group_s_gain(rng):
    group, matched = rng.random((5, 2)) + 1, rng.random((5, 2)) + 1
    everyone = np.array([0, 1, 2, 3, 4, 4, 4, 4])
    found = selectivity_beyond(group, matched, everyone)
    gain = np.median((group / matched)[everyone], axis=0)
    np.testing.assert_allclose(found, (group - gain * matched) @ [1, -1])
