"""Curves, fixed cuts, piecewise fits."""

import numpy as np
import pytest

from rareneurons import regimes
from rareneurons.influence.sums import InfluenceSums


def curve_from(ln_influence: np.ndarray) -> regimes.RankCurve:
    n = len(ln_influence)
    return regimes.RankCurve(np.arange(n), np.log(np.arange(1, n + 1)), ln_influence)


def broken_line(x: np.ndarray) -> np.ndarray:
    """Flat to 3.5, slope -0.5 to 5.5, then slope -2."""
    return -5 - 0.5 * np.clip(x - 3.5, 0, None) - 1.5 * np.clip(x - 5.5, 0, None)


def test_curve_takes_one_sign_and_sorts_by_influence():
    mean = np.array([0.1, -0.2, 0.3, 0.0, 0.2])
    mean_abs = np.array([0.5, 0.6, 0.4, 0.9, 0.7])
    boost = regimes.rank_curve(mean, mean_abs, "boost")
    assert boost.neuron.tolist() == [4, 0, 2]
    np.testing.assert_allclose(boost.ln_influence, np.log([0.7, 0.5, 0.4]))
    np.testing.assert_allclose(boost.ln_rank, np.log([1, 2, 3]))
    assert regimes.rank_curve(mean, mean_abs, "suppress").neuron.tolist() == [1]
    assert regimes.rank_curve(mean, mean_abs, "boost", "abs_mean").neuron.tolist() == [2, 4, 0]


def test_three_stretches_recover_a_planted_curve():
    x = np.log(np.arange(1, 2001))
    fit = regimes.fit_segments(*regimes.on_grid(curve_from(broken_line(x))), n_breaks=2)
    np.testing.assert_allclose(fit.breaks, [3.5, 5.5], atol=0.2)
    np.testing.assert_allclose(fit.slopes, [0, -0.5, -2], atol=0.12)
    np.testing.assert_allclose(fit.predict(x), broken_line(x), atol=0.15)


@pytest.mark.oracle
@pytest.mark.parametrize("n_breaks", [0, 1, 2])
def test_search_equals_brute_force(rng, n_breaks):
    x = np.linspace(0, 6, regimes.GRID_POINTS)
    y = broken_line(x) + 0.1 * rng.normal(size=len(x))
    fit = regimes.fit_segments(x, y, n_breaks)
    inner = x[4 : len(x) - 4]
    candidates = {
        0: [()],
        1: [(a,) for a in inner],
        2: [(a, b) for a in inner for b in inner if b - a > 3.9 * (x[1] - x[0])],
    }[n_breaks]
    least = np.inf
    for cuts in candidates:
        design = np.column_stack([np.ones_like(x), x, *(np.maximum(x - cut, 0) for cut in cuts)])
        coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
        least = min(least, np.square(y - design @ coefficients).sum())
    assert np.square(y - fit.predict(x)).sum() == pytest.approx(least, rel=1e-9)


def test_fixed_cuts_describe_a_planted_curve():
    x = np.log(np.arange(1, 2001))
    described = regimes.describe_curve(curve_from(broken_line(x)), (3.5, 5.5))
    assert described["fixed.plateau_exponent"] == pytest.approx(0, abs=1e-9)
    assert described["fixed.power_law_exponent"] == pytest.approx(0.5)
    assert described["fixed.decay_exponent"] == pytest.approx(2)
    # The power law extended back rises 0.5 a unit of ln rank above the flat head.
    assert described["fixed.head_departure"] == pytest.approx(-0.5 * 3.5 / 2, abs=0.05)
    straight = regimes.describe_curve(curve_from(-5 - 0.7 * x), (3.5, 5.5))
    assert straight["fixed.head_departure"] == pytest.approx(0, abs=1e-9)


def test_short_curves_have_no_fit():
    described = regimes.describe_curve(curve_from(-np.arange(10.0)), (3.5, 5.5))
    assert described["n_neurons"] == 10
    assert np.isnan(described["auto.plateau_end"])
    assert np.isnan(described["fixed.power_law_exponent"])


def test_intervals_hold_the_estimate(rng):
    effect = np.sort(rng.lognormal(-6, 1, 300))[::-1] * rng.choice([-1, 1], 300, p=[0.3, 0.7])
    n_rows = np.full(40, 25)
    signed = n_rows[:, None] * effect * rng.normal(1, 0.2, size=(40, 300))
    sums = InfluenceSums(np.arange(40), n_rows, signed, np.abs(signed))
    found = regimes.all_curve_estimates({"rare/heldout": sums, "rare/discovery": sums}, (2, 4), 60, rng)
    assert {condition for condition, _, _ in found} == {"rare"}
    by_name = {(sign, e.measure): e for _, sign, e in found}
    exponent = by_name["boost", "mean_abs.fixed.power_law_exponent"]
    assert exponent.ci_low < exponent.value < exponent.ci_high
    assert exponent.n == 40
