"""Rows of two conditions matched in clean loss and position: the nearest within the caliper, in the same bin."""

import numpy as np
import pytest

from rareneurons.joint.matched_rows import matched_rows


def pairs_of(loss, position, first, second, caliper, bins, rng):
    arrays = np.asarray(loss, dtype=float), np.asarray(position), np.asarray(first, bool), np.asarray(second, bool)
    return set(zip(*(found.tolist() for found in matched_rows(*arrays, caliper, bins, rng)), strict=True))


def test_each_row_takes_the_nearest_loss(rng):
    assert pairs_of([0, 5, 4.9, 0.1], [1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], 0.5, 1, rng) == {(0, 3), (1, 2)}


def test_a_row_is_used_once(rng):
    assert len(pairs_of([0, 0, 0, 9], [1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], 0.1, 1, rng)) == 1


def test_a_row_of_both_conditions_takes_no_part(rng):
    assert pairs_of([0, 0, 0], [1, 1, 1], [1, 1, 0], [0, 1, 1], 0.1, 1, rng) == {(0, 2)}


def test_rows_beyond_the_caliper_are_left_out(rng):
    loss, first, second = [0, 10, 1, 10.1], [1, 1, 0, 0], [0, 0, 1, 1]
    spread = np.std(loss)
    assert pairs_of(loss, [1] * 4, first, second, 0.99 / spread, 1, rng) == {(1, 3)}
    assert pairs_of(loss, [1] * 4, first, second, 1.01 / spread, 1, rng) == {(0, 2), (1, 3)}


def test_rows_are_in_the_same_bin_of_positions(rng):
    """The nearest loss is at a far position; with two bins, each row takes the one that is near in position."""
    loss, position, first, second = [0, 0.2, 0, 0.2], [1, 30, 31, 2], [1, 1, 0, 0], [0, 0, 1, 1]
    assert pairs_of(loss, position, first, second, 3, 1, rng) == {(0, 2), (1, 3)}
    assert pairs_of(loss, position, first, second, 3, 2, rng) == {(0, 3), (1, 2)}


@pytest.mark.parametrize("second", [[0, 0], [1, 1]])
def test_no_rows_of_a_condition_give_no_pairs(second, rng):
    assert pairs_of([0, 1], [1, 2], [0, 0], second, 0.1, 4, rng) == set()
