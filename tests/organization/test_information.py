"""Mutual information: bits against a table of counts, bias, and dependence that a correlation cannot see."""

import numpy as np
import pytest

from rareneurons.organization import information


def estimate(columns: np.ndarray) -> float:
    return float(
        information.mutual_information(information.bin_masks(information.binned(columns)), np.array([[0, 1]]))[0]
    )


@pytest.mark.oracle
@pytest.mark.parametrize("n_rows", [64, 101, 1000])
def test_bits_give_what_a_table_of_counts_gives(rng, n_rows):
    values = rng.normal(size=(n_rows, 3))
    values[:, 1] += values[:, 0]
    values[:, 2] = np.maximum(values[:, 2], 0)  # ties: half the rows share a bin
    bins = information.binned(values)
    pairs = np.array([[0, 1], [0, 2], [1, 2], [0, 1]])
    fast = information.mutual_information(information.bin_masks(bins), pairs)
    for (i, j), found in zip(pairs, fast, strict=True):
        joint = np.zeros((information.BINS, information.BINS))
        for a, b in zip(bins[:, i], bins[:, j], strict=True):
            joint[a, b] += 1 / n_rows
        slow = 0.0
        for a in range(information.BINS):
            for b in range(information.BINS):
                if joint[a, b] > 0:
                    slow += joint[a, b] * np.log(joint[a, b] / (joint[a].sum() * joint[:, b].sum()))
        occupied = (joint.sum(1) > 0).sum() + (joint.sum(0) > 0).sum() - (joint > 0).sum() - 1
        assert found == pytest.approx(slow + occupied / (2 * n_rows), abs=1e-12)


def test_bins_hold_equal_numbers_and_ties_share_one(rng):
    bins = information.binned(np.column_stack([rng.permutation(np.arange(600.0)), np.repeat([0.0, 1.0], 300)]))
    assert set(np.bincount(bins[:, 0], minlength=6)) <= {99, 100, 101}
    assert len(np.unique(bins[:, 1])) == 2


@pytest.mark.calibration
def test_independent_neurons_have_none_after_the_correction(rng):
    """300 rows, 400 pairs: mean within 0.003 nats of 0, where the plug-in estimate is 0.042 too high."""
    masks = information.bin_masks(information.binned(rng.normal(size=(300, 800))))
    found = information.mutual_information(masks, np.arange(800).reshape(-1, 2))
    assert abs(found.mean()) < 0.003


@pytest.mark.calibration
def test_estimate_follows_the_truth_of_a_bivariate_normal(rng):
    """Bins lose at most a quarter of it and add nothing."""
    for r in (0.3, 0.6, 0.9):
        x = rng.normal(size=(5000, 2))
        x[:, 1] = r * x[:, 0] + np.sqrt(1 - r**2) * x[:, 1]
        truth = float(information.linear_information(np.float64(r)))
        assert truth == pytest.approx(-0.5 * np.log(1 - r**2))
        assert 0.75 * truth - 0.005 < estimate(x) < truth + 0.005


@pytest.mark.calibration
def test_a_relation_without_correlation_is_seen(rng):
    x = rng.normal(size=1000)
    columns = np.column_stack([x, x**2])
    assert estimate(columns) > 0.5
    assert information.linear_information(np.corrcoef(columns.T)[0, 1]) < 0.05


def test_rows_and_pairs_are_bounded(rng):
    assert len(information.chosen_rows(50)) == 50
    rows = information.chosen_rows(7000)
    assert (len(rows), rows[0], rows[-1]) == (information.MOST_ROWS, 0, 6999)
    assert len(information.chosen_pairs(5, 100, rng)) == 10
    pairs = information.chosen_pairs(20, 30, rng)
    assert len({tuple(pair) for pair in pairs}) == 30
    assert (pairs[:, 0] < pairs[:, 1]).all()
