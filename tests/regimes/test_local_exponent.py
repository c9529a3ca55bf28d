"""Local exponents and the fits to them."""

import numpy as np
import pytest
from scipy.optimize import nnls
from shapes import SAMPLED, broken_line, measured, planted

from rareneurons.regimes import local_exponent as le


@pytest.mark.oracle
def test_local_exponents_are_mean_normalised_spacings(rng):
    n = 400
    y = -np.sort(rng.normal(size=n))
    places = le.cells(n)
    spacing = [rank * (y[rank - 1] - y[rank]) for rank in range(1, n)]
    ends = [*places.start[1:], n - 1]
    slow = [np.mean(spacing[a:b]) for a, b in zip(places.start, ends, strict=True)]
    np.testing.assert_allclose(places.local_exponents(y), slow)
    assert places.count.sum() == n - 1
    np.testing.assert_allclose(places.local_exponents(np.stack([y, 2 * y]))[1], 2 * np.asarray(slow))


def test_an_exact_power_law_has_one_local_exponent_everywhere():
    y = 3 - 0.7 * np.log(np.arange(1, 1001))
    found = le.cells(1000).local_exponents(y)
    np.testing.assert_allclose(found[12:], 0.7, rtol=0.015)  # r ln(1 + 1 / r) is near 1 from rank 40 on


@pytest.mark.oracle
def test_least_squares_equals_a_solver_with_the_same_constraints(rng):
    """Exponent and step at or above zero, decay terms free: nnls with the free columns given both signs."""
    y = measured(SAMPLED["log_normal"](500, rng), rng)
    found = le.candidates_for(y)
    exponents = found.cells.local_exponents(np.stack([y, -np.sort(-rng.normal(size=500)), planted(500, "kink")]))
    squares = le.least_squares(found, exponents)
    fitted = len(found.root)
    for b, values in enumerate(exponents):
        target = values[:fitted] * found.root

        def residual(columns: np.ndarray, target: np.ndarray = target) -> float:
            return nnls(columns * found.root[:, None], target, maxiter=1000)[1] ** 2

        bases = [np.column_stack([t, -t[:, 1:]]) for t in found.cells.terms]
        two = min(residual(base) for base in bases)
        heads = [(bases[kink], -(found.cells.ln_rank[:fitted] < end).astype(float)) for kink, end in found.cells.pairs]
        three = min(residual(np.column_stack([base, head])) for base, head in heads)
        steep = min(residual(np.column_stack([base, -head])) for base, head in heads)
        one = np.square(target - found.root * (target @ found.root) / (found.root @ found.root)).sum()
        assert squares.one[b] == pytest.approx(one, rel=1e-6)
        assert squares.two[b] == pytest.approx(two, rel=1e-6)
        assert squares.three[b] == pytest.approx(min(three, two), rel=1e-6)
        assert squares.steep[b] == pytest.approx(min(steep, two), rel=1e-6)


def test_three_regimes_recover_a_planted_curve():
    fit = le.fit_curve(broken_line(np.log(np.arange(1, 2001))))
    assert fit.n_regimes == 3
    assert fit.plateau_end == pytest.approx(3.5, abs=0.2)
    assert fit.decay_start == pytest.approx(5.5, abs=0.25)
    assert fit.plateau_exponent == pytest.approx(0, abs=0.02)
    assert fit.power_law_exponent == pytest.approx(0.5, abs=0.05)
    assert fit.height_over_power_law == pytest.approx(-0.5 * 3.5 / 2, abs=0.15)


def test_a_power_law_has_one_regime_and_an_exponential_two(rng):
    x = np.log(np.arange(1, 2001))
    assert le.fit_curve(-0.6 * x).n_regimes == 1
    quantiles = np.log(-np.log((np.arange(1, 2001) - 0.5) / 2000))
    assert le.fit_curve(quantiles).n_regimes == 2


def test_a_power_law_bent_below_zero_is_no_plateau_and_no_crash():
    """A rapid rise behind the head makes the fitted power law negative: a ratio to it must not pass for a flat head."""
    head, behind = [0.04, 0.01, 0.02, 0.02, 0.02, 0.01], [0.06, 0.05, 0.13, 0.27, 0.46, 1.67, 0.5, 1.49, 0.63, 1.3]
    exponents = [*head, *behind, 0.77, 0.62, 0.92, 1.4, 3.31, 7.53]
    places = le.cells(175)
    gaps = np.repeat(exponents, places.count) / np.arange(1, 175)
    fit = le.fit_curve(-np.concatenate([[0], np.cumsum(gaps)]))
    assert fit.power_law_exponent == le.LEAST_EXPONENT
    assert fit.plateau_exponent / fit.power_law_exponent > 1
    assert np.isfinite(fit.decay_start)


def test_short_curves_are_not_fitted():
    assert le.fit_curve(-np.arange(99.0)) is None
    assert le.fit_curve(-np.arange(100.0)) is not None
