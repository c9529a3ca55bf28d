"""Is there a plateau at all? A test of the top neurons against order statistics, and on other documents.

A plateau is declared when all of these hold (:func:`plateau_rule`):

1. Of the three candidate curves, the one with a plateau has the smallest information criterion.
2. The top departs from the curve further than chance allows. Chance is the order statistics of the fitted curve without
   a plateau, plus the neurons' own standard errors (:func:`departure_test`).
3. The top is flat: its exponent is at most a stated share of the power law's.
4. The top neurons found on discovery documents are also the top on held-out documents (:func:`share_kept`).

A top that is steeper than the power law is reported beside it and never called a plateau.
"""

from dataclasses import dataclass

import numpy as np

from rareneurons.regimes.local_exponent import (
    LEAST_EXPONENT,
    LEAST_NEURONS,
    Candidates,
    CurveFit,
    candidates_for,
    describe_fits,
    least_squares,
    no_plateau_exponents,
)

NULL_CURVES_AT_ONCE = 100  # bounds the memory of the simulation


@dataclass(frozen=True)
class DepartureTest:
    """Fit of one curve, and whether its top departs from a curve without a plateau.

    ``fit``: the candidates' fit. ``flat_gain`` and ``steep_gain``: how much the deviance falls when the top may be
    flatter, or steeper, than the rest of the curve. ``flat_p`` and ``steep_p``: their p-values, ``(b + 1) / (m + 1)``
    over simulated curves without a plateau.
    """

    fit: CurveFit
    flat_gain: float
    flat_p: float
    steep_gain: float
    steep_p: float

    @property
    def flatness(self) -> float:
        """Plateau exponent over power-law exponent; NaN where no curve with a plateau fits better."""
        return self.fit.plateau_exponent / self.fit.power_law_exponent


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
    return _with_errors(curves, relative_error, rng)


def _no_plateau_steepness(found: Candidates, ln_influence: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Steepness at some ranks of the best-fitting curve without a plateau; in the lower half as it was measured."""
    exponents = found.cells.local_exponents(ln_influence)
    kink = int(least_squares(found, exponents[None]).kink[0])
    fitted = no_plateau_exponents(found, exponents, kink)
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


def _with_errors(ln_influence: np.ndarray, relative_error: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Curves (B, n) after every neuron's influence got an error of its own size, sorted again."""
    factor = np.abs(1 + relative_error * rng.standard_normal(ln_influence.shape))
    return -np.sort(-ln_influence - np.log(np.maximum(factor, 1e-12)), axis=1)


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
    exponents = found.cells.local_exponents(ln_influence)[None]
    observed = least_squares(found, exponents)
    flat, steep = [], []
    for first in range(0, n_curves, NULL_CURVES_AT_ONCE):
        drawn = min(NULL_CURVES_AT_ONCE, n_curves - first)
        curves = curves_without_plateau(found, ln_influence, relative_error, drawn, rng)
        null = least_squares(found, found.cells.local_exponents(curves))
        flat.append(null.two - null.three)
        steep.append(null.two - null.steep)
    flat_gain = float((observed.two - observed.three)[0])
    steep_gain = float((observed.two - observed.steep)[0])
    return DepartureTest(
        describe_fits(found, exponents)[0],
        flat_gain,
        float((np.sum(np.concatenate(flat) >= flat_gain) + 1) / (n_curves + 1)),
        steep_gain,
        float((np.sum(np.concatenate(steep) >= steep_gain) + 1) / (n_curves + 1)),
    )


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


def plateau_rule(test: DepartureTest, overlap: float, alpha: float, flatness: float, least_overlap: float) -> bool:
    """Whether a plateau is declared: the four conditions of this module's text.

    Args:
        test: of the held-out curve.
        overlap: as :func:`share_kept` returns it.
        alpha: largest p-value of the departure.
        flatness: largest ratio of plateau exponent to power-law exponent.
        least_overlap: smallest overlap of the top neurons.
    """
    return test.fit.n_regimes == 3 and test.flat_p <= alpha and test.flatness <= flatness and overlap >= least_overlap


def power(
    ln_influence: np.ndarray,
    relative_error: np.ndarray,
    n_plateau: int,
    bounds: tuple[float, float],
    draws: tuple[int, int],
    rng: np.random.Generator,
) -> float:
    """Share of planted plateaus that conditions 1 to 3 find in curves like this one.

    Curves are drawn from the fitted curve without a plateau; the first ``n_plateau`` neurons are set to the influence
    of the last of them, and all get errors of their own size.

    Args:
        ln_influence: (n,) sorted curve.
        relative_error: (n,) standard error over influence of the neuron at each rank.
        n_plateau: neurons of the planted plateau, at most ``PLATEAU_RANKS[1]`` of the curve.
        bounds: largest p and flatness, as :func:`plateau_rule` takes them.
        draws: planted curves, and simulated null curves for each.
        rng: draws the curves.

    Returns:
        0 to 1; NaN for fewer than ``LEAST_NEURONS`` neurons.
    """
    if len(ln_influence) < LEAST_NEURONS:
        return float("nan")
    n_planted, n_null = draws
    no_error = np.zeros_like(relative_error)
    curves = curves_without_plateau(candidates_for(ln_influence), ln_influence, no_error, n_planted, rng)
    planted = np.minimum(curves, curves[:, n_plateau - 1 : n_plateau])
    found = [
        plateau_rule(test, 1.0, *bounds, 0.0)
        for curve in _with_errors(planted, relative_error, rng)
        if (test := departure_test(curve, relative_error, n_null, rng)) is not None
    ]
    return float(np.mean(found))
