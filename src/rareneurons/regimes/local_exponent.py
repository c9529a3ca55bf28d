"""Candidate curves (power law; with rapid decay; with a plateau before both), fitted to the curve's local exponents.

The *local exponent* at rank r is the curve's steepness there, ``-d ln influence / d ln rank``. Its natural estimate is
the normalised log-spacing ``r (ln y_r - ln y_{r+1})``: for the order statistics of any smooth distribution these are
independent and exponentially distributed with the local exponent as their mean (Renyi 1953; Beirlant, Dierckx,
Goegebeur & Matthys 1999, Extremes 2, 177-200), whereas the curve's heights all move together. Here they are averaged
over cells of equal width in ln rank, and three candidates are fitted by weighted least squares:

* power law: ``s(r) = b``;
* power law + rapid decay: ``s(r) = b + d l(u) + e u``, with ``u = (r - 1/2) / N`` and ``l = 1 / (-ln u)``, b >= 0. This
  is ``ln y = a - b ln r + d ln(ln 1/u) - e u``: a power law times the Weibull quantile (which holds the exponential and
  the half-normal's tail; the authors' third regime has this form) times an exponential cut-off. The decay sets in
  smoothly from rank 1, or with a kink at a searched rank beyond the largest possible plateau;
* plateau + power law + rapid decay: the same, lowered by a step ``h >= 0`` for ranks before the plateau's end, which
  is searched. A top that is steeper than the power law (``h <= 0``) is fitted beside it, as the opposite answer.

Only the upper half of the ranks enters the fits: the least influential neurons say nothing about the top.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

CELL_WIDTH = 0.2  # ln rank
RANKS_USED = 0.5  # share of the neurons
LEAST_NEURONS = 100  # shorter curves are not fitted
PLATEAU_RANKS = (5, 0.1)  # a plateau ends at this rank at the least, at this share of the neurons at most
DECAY_SHARES = (0.1, 0.4)  # a kink into the decay lies between these shares of the neurons
LEAST_POWER_LAW = 0.6  # ln rank between a plateau's end and such a kink
MISFIT = 0.02  # squared relative misfit allowed to a cell, so that cells of hundreds of neurons do not rule the fit
LEAST_EXPONENT = 0.01


@dataclass(frozen=True)
class Cells:
    """Cells of equal ln-rank width over a curve of ``n_neurons``, and the candidates' terms over its upper half.

    ``start`` index of each cell's first spacing; ``count`` spacings per cell; ``ln_rank`` their mean place, each (H,);
    the first G cells are fitted. ``terms`` (C, G, 3): constant, Weibull and exponential term of the local exponent, for
    each of C places of the decay's kink, the first being "smooth from rank 1"; ``kink`` (C,) ln rank, 0 for smooth.
    ``pairs`` (P, 2): index of a kink and ln rank of a plateau's end, all combinations allowed.
    """

    n_neurons: int
    start: np.ndarray
    count: np.ndarray
    ln_rank: np.ndarray
    terms: np.ndarray
    kink: np.ndarray
    pairs: tuple[tuple[int, float], ...]

    def local_exponents(self, ln_influence: np.ndarray) -> np.ndarray:
        """Mean normalised log-spacing of each cell, (..., H), of sorted curves (..., n_neurons)."""
        spacing = np.arange(1, self.n_neurons) * (ln_influence[..., :-1] - ln_influence[..., 1:])
        return np.add.reduceat(spacing, self.start, axis=-1) / self.count


@lru_cache(maxsize=64)
def cells(n_neurons: int) -> Cells:
    """Cells and candidates for curves of ``n_neurons`` (at least ``LEAST_NEURONS``)."""
    used = int(RANKS_USED * n_neurons)
    edges = np.exp(np.arange(np.log(3), np.log(n_neurons), CELL_WIDTH)).round().astype(int)
    edge = np.unique(np.concatenate([[1], edges, [used, n_neurons]]))
    start, count = edge[:-1] - 1, np.diff(edge)
    fitted = int(np.searchsorted(edge, used))
    rank = np.arange(1, n_neurons)

    def averaged(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, start) / count

    u = (np.arange(1, n_neurons + 1) - 0.5) / n_neurons
    weibull = averaged(-rank * np.diff(np.log(-np.log(u))))[:fitted]
    exponential = averaged(rank * np.diff(u))[:fitted]
    ln_rank = averaged(np.log(rank * (rank + 1)) / 2)
    ln_edge = np.log(edge[1:fitted])
    low, high = (np.log(share * n_neurons) for share in DECAY_SHARES)
    kink = np.concatenate([[0.0], ln_edge[(ln_edge >= low) & (ln_edge <= high)]])
    beyond = ln_rank[None, :fitted] > kink[:, None]
    terms = np.stack([np.ones_like(beyond, dtype=float), weibull * beyond, exponential * beyond], axis=2)
    ends = ln_edge[(ln_edge >= np.log(PLATEAU_RANKS[0])) & (ln_edge <= np.log(PLATEAU_RANKS[1] * n_neurons))]
    pairs = tuple(
        (number, float(end))
        for number, place in enumerate(kink)
        for end in ends
        if place == 0 or place >= end + LEAST_POWER_LAW
    )
    return Cells(n_neurons, start, count, ln_rank, terms, kink, pairs)


@dataclass(frozen=True)
class Candidates:
    """All candidates under one set of weights, as orthonormal directions in the weighted space of cells.

    ``root`` (G,) square roots of the weights; ``decay`` (C, G, 2) the decay's terms; ``constant`` (C, G) the power law
    given the decay; ``step``, ``step_after_constant``, ``constant_after_step`` (P, G) the plateau's step and the power
    law, each given what is named and the decay.
    """

    cells: Cells
    root: np.ndarray
    decay: np.ndarray
    constant: np.ndarray
    step: np.ndarray
    step_after_constant: np.ndarray
    constant_after_step: np.ndarray


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _without(vectors: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Vectors (P, G) less their parts along unit directions (P, G)."""
    return vectors - np.einsum("pg,pg->p", vectors, directions)[:, None] * directions


def candidates(places: Cells, root: np.ndarray) -> Candidates:
    """Orthonormal directions of all candidates under the weights ``root ** 2``."""
    weighted = places.terms * root[None, :, None]
    decay = np.linalg.qr(weighted[:, :, 1:])[0]
    raw = weighted[:, :, 0]
    constant = _unit(raw - np.einsum("cgi,ci->cg", decay, np.einsum("cgi,cg->ci", decay, raw)))
    kink = np.asarray([number for number, _ in places.pairs], dtype=int)
    end = np.asarray([place for _, place in places.pairs])
    step = np.where(places.ln_rank[None, : len(root)] < end[:, None], -root, 0.0)
    step = step - np.einsum("pgi,pi->pg", decay[kink], np.einsum("pgi,pg->pi", decay[kink], step))
    return Candidates(
        places,
        root,
        decay,
        constant,
        _unit(step),
        _unit(_without(step, constant[kink])),
        _unit(_without(constant[kink], _unit(step))),
    )


@dataclass(frozen=True)
class LeastSquares:
    """Weighted sums of squares of B curves under each candidate, and the places that reach them.

    ``one``, ``two``, ``three`` (B,): power law; with rapid decay; with a plateau before both (``steep``: with a top
    steeper than the power law instead). ``kink`` (B,) number of the two-regime candidate's kink, ``pair`` (B,) number
    of the three-regime candidate. Weights are inverse variances, so a sum of squares is a deviance.
    """

    one: np.ndarray
    two: np.ndarray
    three: np.ndarray
    steep: np.ndarray
    kink: np.ndarray
    pair: np.ndarray


def least_squares(found: Candidates, exponents: np.ndarray) -> LeastSquares:
    """Fit all candidates to B curves at once.

    The power law's exponent is kept at or above zero, as is the plateau's step: of the fits with each constraint
    either free or binding, the best one that is allowed is the constrained optimum.

    Args:
        found: the candidates.
        exponents: (B, H) local exponents.
    """
    values = exponents[:, : len(found.root)] * found.root
    total = np.square(values).sum(1)
    unit = found.root / np.linalg.norm(found.root)
    base = total - np.square(np.einsum("cgi,bg->cbi", found.decay, values)).sum(-1)
    along = found.constant @ values.T
    two = base - np.square(np.maximum(along, 0))
    number = np.asarray([kink for kink, _ in found.cells.pairs], dtype=int)
    step, step_after = found.step @ values.T, found.step_after_constant @ values.T
    allowed = found.constant_after_step @ values.T > 0

    def with_top(sign: int) -> np.ndarray:
        free = np.where(
            (sign * step_after > 0) & allowed, base[number] - np.square(along[number]) - np.square(step_after), np.inf
        )
        flat = np.where(sign * step > 0, base[number] - np.square(step), np.inf)
        return np.minimum(np.minimum(free, flat), two[number])

    plateau = with_top(1)
    best_two = two.min(0)
    return LeastSquares(
        total - np.square(values @ unit),
        best_two,
        np.minimum(plateau.min(0), best_two),
        np.minimum(with_top(-1).min(0), best_two),
        two.argmin(0),
        plateau.argmin(0),
    )


def _coefficients(design: np.ndarray, values: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Weighted least squares; the first coefficient (the power law's exponent) is kept at or above zero."""
    weighted = design * root[:, None]
    found = np.linalg.lstsq(weighted, values * root, rcond=None)[0]
    if found[0] >= 0:
        return found
    return np.concatenate([[0.0], np.linalg.lstsq(weighted[:, 1:], values * root, rcond=None)[0]])


def no_plateau_exponents(found: Candidates, exponents: np.ndarray, kink: int) -> np.ndarray:
    """Local exponents (G,) of the best curve without a plateau, at least ``LEAST_EXPONENT``."""
    terms = found.cells.terms[kink]
    fitted = exponents[: len(found.root)]
    return np.maximum(terms @ _coefficients(terms, fitted, found.root), LEAST_EXPONENT)


def candidates_for(ln_influence: np.ndarray) -> Candidates:
    """Candidates with the weights that a curve calls for.

    A cell's variance is ``s^2 (1 / count + MISFIT)`` with ``s`` the local exponent of the fitted curve without a
    plateau; fit and weights take turns, starting from a cubic in ln rank.

    Args:
        ln_influence: (n_neurons,) sorted curve, at least ``LEAST_NEURONS`` long.
    """
    places = cells(len(ln_influence))
    exponents = places.local_exponents(ln_influence)
    fitted = places.terms.shape[1]
    count = places.count[:fitted]
    steadiness = np.sqrt(1 / (1 / count + MISFIT))
    shape = np.polynomial.Polynomial.fit(
        places.ln_rank[:fitted], np.log(np.maximum(exponents[:fitted], 1e-4)) + 0.5 / count, 3, w=steadiness
    )
    expected = np.exp(shape(places.ln_rank[:fitted]))
    for _ in range(2):
        found = candidates(places, steadiness / np.maximum(expected, 3 * LEAST_EXPONENT))
        kink = int(least_squares(found, exponents[None]).kink[0])
        expected = no_plateau_exponents(found, exponents, kink)
    return candidates(places, steadiness / np.maximum(expected, 3 * LEAST_EXPONENT))


@dataclass(frozen=True)
class CurveFit:
    """One curve under the three candidates.

    ``n_regimes``: 1, 2 or 3, by the smallest Bayesian information criterion ``deviance + parameters * ln(cells)``;
    ``bic_two`` and ``bic_three`` are relative to one regime. The others describe the best three-regime curve, whether
    or not it is chosen. All are NaN where no curve with a plateau fits better than the best one without.

    * ``plateau_end``, ``decay_start``: ln rank. From ``decay_start`` on the local exponent is at least twice the power
      law's; NaN where it never is.
    * ``plateau_exponent``: Hill's estimate over the top.
    * ``power_law_exponent``: fitted, averaged over ln rank from the plateau's end to where the fitted exponent has
      doubled, or to the end of what is fitted.
    * ``height_over_power_law``: mean height of the top above the back-extrapolated curve, evenly over ln rank, ln
      units; negative for a flat top.
    """

    n_regimes: int
    bic_two: float
    bic_three: float
    plateau_end: float
    decay_start: float
    plateau_exponent: float
    power_law_exponent: float
    height_over_power_law: float


N_PARAMETERS = {1: 1, 2: 4, 3: 6}


def describe_fits(found: Candidates, exponents: np.ndarray) -> list[CurveFit]:
    """Each of B curves under the candidates; ``exponents`` (B, H)."""
    squares = least_squares(found, exponents)
    penalty = np.log(len(found.root))
    criteria = np.stack(
        [
            deviance + N_PARAMETERS[n] * penalty
            for n, deviance in enumerate((squares.one, squares.two, squares.three), 1)
        ]
    )
    fits = []
    for b, values in enumerate(exponents):
        n_regimes = int(criteria[:, b].argmin()) + 1
        differences = criteria[1:, b] - criteria[0, b]
        shape = (
            _three_regimes(found, values, *found.cells.pairs[squares.pair[b]])
            if squares.three[b] < squares.two[b]
            else (np.nan,) * 5
        )
        fits.append(CurveFit(n_regimes, *map(float, differences), *shape))
    return fits


def _three_regimes(found: Candidates, exponents: np.ndarray, kink: int, end: float) -> tuple[float, ...]:
    """Plateau end, decay start, plateau and power-law exponent, and height of the top of a three-regime curve."""
    places, fitted = found.cells, len(found.root)
    ln_rank = places.ln_rank[:fitted]
    top = ln_rank < end
    design = np.column_stack([places.terms[kink], -top.astype(float)])
    coefficients = _coefficients(design, exponents[:fitted], found.root)
    smooth = places.terms[kink] @ coefficients[:-1]
    at_end = max(float(smooth[~top][0]), LEAST_EXPONENT)
    doubled = ln_rank[~top & (smooth >= 2 * at_end)]
    between = ~top & (ln_rank < (doubled[0] if len(doubled) else np.inf))
    power_law = max(float(smooth[between].mean()), LEAST_EXPONENT)  # the decay's free terms can bend it below zero
    below = np.flatnonzero(exponents < 2 * power_law)  # the last of these cells is not in the decay
    start = int(below[-1]) + 1 if len(below) else 0
    decay = float(np.log(places.start[start] + 1)) if start < len(exponents) else np.nan
    hill = float(np.average(exponents[:fitted][top], weights=places.count[:fitted][top]))
    return end, decay, hill, power_law, -float(coefficients[-1]) * end / 2


def fit_curve(ln_influence: np.ndarray) -> CurveFit | None:
    """The three candidates on one sorted curve (n,), or None for fewer than ``LEAST_NEURONS`` neurons."""
    if len(ln_influence) < LEAST_NEURONS:
        return None
    found = candidates_for(ln_influence)
    return describe_fits(found, found.cells.local_exponents(ln_influence)[None])[0]
