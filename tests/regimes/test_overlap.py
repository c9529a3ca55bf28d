"""Overlap of the most influential neurons of two conditions."""

import numpy as np
import pytest

from rareneurons.regimes import overlap
from rareneurons.regimes.curve import rank_curve


def test_top_overlap_and_its_chance():
    first = rank_curve(np.ones(50), np.arange(50.0, 0, -1), "boost")
    second = rank_curve(np.ones(50), np.concatenate([np.arange(45.0, 50), np.arange(45.0, 0, -1)]), "boost")
    found = overlap.top_overlap(first, second, (5, 10, 60))
    assert found[5] == 1
    assert found[10] == 1
    assert np.isnan(found[60])
    assert overlap.overlap_p(1.0, 5, 50) == pytest.approx(1 / 2118760)
    assert overlap.overlap_p(0.0, 5, 50) == pytest.approx(1)


@pytest.mark.calibration
def test_overlap_of_unrelated_rankings_is_chance(rng):
    p = []
    for _ in range(300):
        curves = [rank_curve(np.ones(200), rng.random(200), "boost") for _ in range(2)]
        p.append(overlap.overlap_p(overlap.top_overlap(*curves, (20,))[20], 20, 200))
    assert np.mean(np.asarray(p) <= 0.05) <= 0.08


def test_rank_fraction_elsewhere():
    influence = np.arange(11.0)
    assert overlap.rank_fraction_elsewhere(np.array([10, 9, 8]), influence) == pytest.approx(0.1)
    assert overlap.rank_fraction_elsewhere(np.array([0]), influence) == 1
    assert np.isnan(overlap.rank_fraction_elsewhere(np.array([], dtype=int), influence))
