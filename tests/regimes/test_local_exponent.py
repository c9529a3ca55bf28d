"""Local exponents and the fits to them."""

import numpy as np
import pytest
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


def slow_deviances(found: le.Candidates, values: np.ndarray) -> dict[str, float]:
    """Every candidate on one curve, one window after the other, with the same constraint on the exponent."""
    places, root = found.cells, found.base.root
    fitted = values[: len(root)]

    def solve(kink: int, column: np.ndarray | None) -> tuple[float, float]:
        """Sum of squares, and coefficient of the column; the constant is kept at or above zero."""
        terms = places.terms[kink]
        free = np.column_stack([terms, *([] if column is None else [column])])
        weighted, target = free * root[:, None], fitted * root
        coefficients = np.linalg.lstsq(weighted, target, rcond=None)[0]
        if coefficients[0] < 0:
            coefficients = np.concatenate([[0], np.linalg.lstsq(weighted[:, 1:], target, rcond=None)[0]])
        return float(np.square(target - weighted @ coefficients).sum()), float(coefficients[-1])

    kinks = range(len(places.kink))
    two = [solve(kink, None)[0] for kink in kinks]
    without_constant = [nnls_of_decay(found, kink, fitted) for kink in kinks]
    best = {"two": min(two)} | dict.fromkeys(le.SHAPES, min(two))
    steady = 1 / (1 / places.count[: len(root)] + le.MISFIT)
    for shape in le.SHAPES:
        windows = places.windows(shape)
        for kink, inside in zip(windows.kink, windows.inside, strict=True):
            squares, step = solve(kink, inside)
            if shape == "flat":
                best[shape] = min(best[shape], squares) if step < 0 else best[shape]
                continue
            weights = root[inside] ** 2
            mean = max(np.average(fitted[inside], weights=weights), le.LEAST_EXPONENT)
            least = np.average(np.sqrt(steady[inside]) / root[inside], weights=weights) / 2
            ratio = mean / max(np.average(fitted[inside], weights=weights) - step, least)
            bound = solve_with_constant(found, kink, inside, fitted)
            others = places.terms[kink][:, 0 if bound else 1 :] * root[:, None]
            explained = others @ np.linalg.lstsq(others, inside * root, rcond=None)[0]
            own = 1 - np.square(explained).sum() / np.square(inside * root).sum()
            gain = 2 * steady[inside].sum() * own * (ratio - 1 - np.log(ratio))
            base = two[kink] if bound else without_constant[kink]
            width = places.ln_edge[1:][inside].max() - places.ln_edge[:-1][inside].min()
            if step * width >= (np.log(le.LEAST_EXCESS) if shape == "excess" else 0):
                best[shape] = min(best[shape], base - gain)
    return best


def nnls_of_decay(found: le.Candidates, kink: int, fitted: np.ndarray) -> float:
    """Sum of squares of the decay alone."""
    root = found.base.root
    weighted = found.cells.terms[kink][:, 1:] * root[:, None]
    return float(np.linalg.lstsq(weighted, fitted * root, rcond=None)[1][0])


def solve_with_constant(found: le.Candidates, kink: int, inside: np.ndarray, fitted: np.ndarray) -> bool:
    """Whether the power law's exponent is positive where window and decay are free."""
    root = found.base.root
    design = np.column_stack([found.cells.terms[kink], inside]) * root[:, None]
    return bool(np.linalg.lstsq(design, fitted * root, rcond=None)[0][0] > 0)


@pytest.mark.oracle
def test_all_candidates_at_once_equal_one_after_the_other(rng):
    """To 1e-6, on a log-normal, a half-normal and a planted plateau."""
    y = measured(SAMPLED["log_normal"](300, rng), rng)
    found = le.candidates_for(y)
    exponents = found.cells.local_exponents(np.stack([y, -np.sort(-rng.normal(size=300)), planted(300, "kink")]))
    fits = le.fit_candidates(found, exponents)
    root = found.base.root
    for b, values in enumerate(exponents):
        slow = slow_deviances(found, values)
        target = values[: len(root)] * root
        assert fits.one[b] == pytest.approx(np.square(target - root * (target @ root) / (root @ root)).sum(), rel=1e-6)
        assert fits.two[b] == pytest.approx(slow["two"], rel=1e-6)
        for shape in le.SHAPES:
            assert fits.tops[shape][b] == pytest.approx(slow[shape], rel=1e-6, abs=1e-6)
            assert fits.gain(shape)[b] >= 0


def test_three_regimes_recover_a_planted_curve():
    fit = le.fit_curve(broken_line(np.log(np.arange(1, 2001))))
    assert (fit.n_regimes, fit.reading) == (3, "flat")
    assert fit.plateau_end == pytest.approx(3.5, abs=0.2)
    assert fit.decay_start == pytest.approx(5.5, abs=0.25)
    assert fit.plateau_exponent == pytest.approx(0, abs=0.02)
    assert fit.power_law_exponent == pytest.approx(0.5, abs=0.05)
    assert fit.height_over_power_law == pytest.approx(-0.5 * 3.5 / 2, abs=0.15)


def test_an_excess_is_recovered_with_its_end_and_its_height(rng):
    """33 neurons of a power law, raised twofold; and a steep top, which is none."""
    x = np.log(np.arange(1, 2001))
    curve = measured(np.exp(-0.5 * x + np.log(2) * (x < np.log(33.5))), rng)
    fit = le.fit_curve(curve)
    assert (fit.n_regimes, fit.reading) == (3, "excess")
    assert np.exp(fit.plateau_end) == pytest.approx(33, abs=4)
    assert fit.height_over_power_law == pytest.approx(np.log(2), abs=0.25)
    assert fit.power_law_exponent == pytest.approx(0.5, abs=0.1)
    steep = le.fit_curve(measured(np.exp(-0.5 * x + np.clip(np.log(33) - x, 0, None)), rng))
    assert steep.n_regimes < 3


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
