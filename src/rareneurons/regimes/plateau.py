"""Is there a plateau at all? A test of the top neurons by order statistics, and on other documents.

There are two readings of a plateau: a flat top, and an excess over the power law (``local_exponent``). One of them is
declared when all of these hold (:func:`declared_reading`):

1. Of the candidate curves, that with this reading has the smallest information criterion.
2. The top neurons depart from the curve further than chance allows. Chance is given by the order statistics of the
   fitted curve without a plateau, plus the neurons' own standard errors (:func:`departure_test`). The two readings
   share alpha.
3. A flat top's exponent is at most a stated share of the power law's; an excess is at least a stated factor.
4. The top neurons found on discovery documents are also the top on held-out documents (:func:`share_kept`).

A top that is steeper than the power law is reported too, and is never called a plateau.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rareneurons.regimes.local_exponent import (
    LEAST_EXPONENT,
    LEAST_NEURONS,
    READINGS,
    SHAPES,
    Candidates,
    CurveFit,
    Reading,
    Shape,
    candidates_for,
    describe_fits,
    fit_candidates,
    no_plateau_exponents,
)

NULL_CURVES_AT_ONCE = 100  # bounds the memory of the simulation


@dataclass(frozen=True)
class DepartureTest:
    """Fit of one curve, and whether its top departs from a curve without a plateau.

    ``gain``: how much the deviance falls when the top may have each shape. ``p_value``: of that, ``(b + 1) / (m + 1)``
    over simulated curves without a plateau, shape by shape.
    """

    fit: CurveFit
    gain: Mapping[Shape, float]
    p_value: Mapping[Shape, float]

    @property
    def flatness(self) -> float:
        """Plateau exponent over power-law exponent; NaN where no curve with a plateau fits better."""
        return self.fit.plateau_exponent / self.fit.power_law_exponent

    @property
    def p_of_both(self) -> float:
        """The smaller p of the two readings, adjusted for both (Bonferroni)."""
        return min(1.0, len(READINGS) * min(self.p_value[reading] for reading in READINGS))


@dataclass(frozen=True)
class PlateauBounds:
    """``alpha``: largest p, shared by the readings; ``flatness``: largest exponent of a flat top, as a share of the
    power law's; ``excess``: smallest factor by which an excess lies above the power law; ``overlap``: smallest share of
    the top neurons that other documents find again.
    """

    alpha: float
    flatness: float
    excess: float
    overlap: float


def curves_without_plateau(
    found: Candidates,
    ln_influence: np.ndarray,
    relative_error: np.ndarray,
    n_curves: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sorted curves (n_curves, n) drawn from the best-fitting curve without a plateau.

    Order statistics: normalised log-spacings are independent exponential draws with the fitted local exponents as
    means (Renyi 1953); in the lower half of the ranks, which is not fitted, with the measured ones. Then every
    neuron's influence gets an error of its own size, and the curve is sorted again, as a measured one is.

    Args:
        found: candidates with the curve's weights.
        ln_influence: (n,) the sorted curve.
        relative_error: (n,) standard error over influence of the neuron at each rank.
        n_curves: how many.
        rng: draws spacings and errors.
    """
    rank = np.arange(1, len(ln_influence))
    mean_gap = _no_plateau_steepness(found, ln_influence, rank) / rank
    gaps = mean_gap * rng.standard_exponential((n_curves, len(rank)))
    curves = ln_influence[0] - np.concatenate([np.zeros((n_curves, 1)), np.cumsum(gaps, axis=1)], axis=1)
    return sorted_curves(measured_order(curves, relative_error, rng))


def _no_plateau_steepness(found: Candidates, ln_influence: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Steepness at some ranks of the best-fitting curve without a plateau; in the lower half as it was measured."""
    exponents = found.cells.local_exponents(ln_influence)
    fitted = no_plateau_exponents(found.base, exponents)
    means = np.concatenate([fitted, np.maximum(exponents[len(fitted) :], LEAST_EXPONENT)])
    return np.exp(np.interp(np.log(rank), found.cells.ln_rank, np.log(means)))


def in_a_wider_layer(ln_influence: np.ndarray, relative_error: np.ndarray, times: int) -> tuple[np.ndarray, np.ndarray]:
    """The curve that ``times`` as many neurons of the same distribution without a plateau would have.

    Its steepness at a share of the neurons is the fitted curve's at the same share; ahead of the first rank the
    steepness goes on as it is there. Relative errors are read at the same shares.

    Args:
        ln_influence: (n,) sorted curve, at least ``LEAST_NEURONS`` long.
        relative_error: (n,) standard error over influence of the neuron at each rank.
        times: how many times as many neurons.

    Returns:
        The curve and its relative errors, each (times * n,).
    """
    rank = np.arange(1, times * len(ln_influence))
    gap = _no_plateau_steepness(candidates_for(ln_influence), ln_influence, rank / times) / rank
    error = np.interp(np.arange(1, len(rank) + 2) / times, np.arange(1, len(ln_influence) + 1), relative_error)
    return ln_influence[0] - np.concatenate([[0.0], np.cumsum(gap)]), error


def measured_order(ln_influence: np.ndarray, relative_error: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """ln influence (B, n) after every neuron's influence got an error of its own size, not sorted."""
    factor = np.abs(1 + relative_error * rng.standard_normal(ln_influence.shape))
    return ln_influence + np.log(np.maximum(factor, 1e-12))


def sorted_curves(ln_influence: np.ndarray) -> np.ndarray:
    """Curves (B, n), each from the most influential neuron down."""
    return -np.sort(-ln_influence, axis=1)


def null_gains(
    found: Candidates, ln_influence: np.ndarray, relative_error: np.ndarray, n_curves: int, rng: np.random.Generator
) -> dict[Shape, np.ndarray]:
    """What each shape of the top lowers the deviance by in simulated curves without a plateau, (n_curves,)."""
    gains: dict[Shape, list[np.ndarray]] = {shape: [] for shape in SHAPES}
    for first in range(0, n_curves, NULL_CURVES_AT_ONCE):
        drawn = min(NULL_CURVES_AT_ONCE, n_curves - first)
        curves = curves_without_plateau(found, ln_influence, relative_error, drawn, rng)
        fits = fit_candidates(found, found.cells.local_exponents(curves))
        for shape in SHAPES:
            gains[shape].append(fits.gain(shape))
    return {shape: np.concatenate(parts) for shape, parts in gains.items()}


def departure_test(
    ln_influence: np.ndarray, relative_error: np.ndarray, n_curves: int, rng: np.random.Generator
) -> DepartureTest | None:
    """Test a sorted curve's top against curves without a plateau.

    Args:
        ln_influence: (n,) sorted curve.
        relative_error: (n,) standard error over influence of the neuron at each rank.
        n_curves: simulated curves; the smallest possible p is ``1 / (n_curves + 1)``.
        rng: draws the curves.

    Returns:
        The test, or None for fewer than ``LEAST_NEURONS`` neurons.
    """
    if len(ln_influence) < LEAST_NEURONS:
        return None
    found = candidates_for(ln_influence)
    null = null_gains(found, ln_influence, relative_error, n_curves, rng)
    return departure_from(found, found.cells.local_exponents(ln_influence), null)


def departure_from(found: Candidates, exponents: np.ndarray, null: Mapping[Shape, np.ndarray]) -> DepartureTest:
    """The test of one curve's local exponents (H,) against the gains of curves without a plateau."""
    fits = fit_candidates(found, exponents[None])
    gain = {shape: float(fits.gain(shape)[0]) for shape in SHAPES}
    p_value = {shape: float((np.sum(null[shape] >= gain[shape]) + 1) / (len(null[shape]) + 1)) for shape in SHAPES}
    return DepartureTest(describe_fits(found, exponents[None])[0], gain, p_value)


def no_plateau_band(
    ln_influence: np.ndarray, relative_error: np.ndarray, n_curves: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Where curves without a plateau lie: ln rank, and lower and upper 2.5 % of their ln influence, each (cells,).

    The simulated curves are those of :func:`departure_test`, each shifted to the measured curve's mean height over the
    fitted cells, so that the band shows shape. None for fewer than ``LEAST_NEURONS`` neurons.
    """
    if len(ln_influence) < LEAST_NEURONS:
        return None
    found = candidates_for(ln_influence)
    curves = curves_without_plateau(found, ln_influence, relative_error, n_curves, rng)
    at = np.unique(np.concatenate([[0], found.cells.start]))
    shift = ln_influence[at].mean() - curves[:, at].mean(1, keepdims=True)
    low, high = np.quantile(curves[:, at] + shift, [0.025, 0.975], axis=0)
    return np.log(at + 1), low, high


def share_kept(top: np.ndarray, order: np.ndarray) -> float:
    """Share of some top neurons that are among as many first neurons of another curve.

    Args:
        top: (k,) the top neurons of one curve, for example on discovery documents.
        order: (n,) neurons of the other curve (held-out documents), from the most influential down.

    Returns:
        0 to 1; NaN where there are no top neurons.
    """
    if len(top) == 0:
        return float("nan")
    return float(np.isin(top, order[: len(top)]).mean())


def declared_reading(test: DepartureTest, overlap: float, bounds: PlateauBounds) -> Reading | None:
    """The reading by which a plateau is declared: the four conditions of this module's text. None where none is.

    Args:
        test: of the held-out curve.
        overlap: as :func:`share_kept` returns it.
        bounds: decision bounds.
    """
    fit, reading = test.fit, test.fit.reading
    large = test.flatness <= bounds.flatness if reading == "flat" else _factor(fit) >= bounds.excess
    departs = test.p_value[reading] <= bounds.alpha / len(READINGS)
    return reading if fit.n_regimes == 3 and departs and large and overlap >= bounds.overlap else None


def _factor(fit: CurveFit) -> float:
    """How many times the influence that the power law predicts an excess is."""
    return float(np.exp(fit.height_over_power_law))


def plateau_size(fit: CurveFit | None) -> int:
    """Neurons of the fitted plateau, 0 where there is none."""
    return 0 if fit is None or not np.isfinite(fit.plateau_end) else round(float(np.exp(fit.plateau_end)))
