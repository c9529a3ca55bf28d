"""Candidate curves (power law; with rapid decay; with a plateau before both), fitted to the curve's local exponents.

The *local exponent* at rank r is the curve's steepness there, ``-d ln influence / d ln rank``. Its natural estimate is
the normalised log-spacing ``r (ln y_r - ln y_{r+1})``: for the order statistics of any smooth distribution these are
independent and exponentially distributed with the local exponent as their mean (Renyi 1953; Beirlant, Dierckx,
Goegebeur & Matthys 1999, Extremes 2, 177-200), whereas the curve's heights all move together. Here they are averaged
over cells of equal width in ln rank, and these candidates are fitted by weighted least squares:

* power law: ``s(r) = b``;
* power law + rapid decay: ``s(r) = b + d l(u) + e u``, with ``u = (r - 1/2) / N`` and ``l = 1 / (-ln u)``, b >= 0. This
  is ``ln y = a - b ln r + d ln(ln 1/u) - e u``: a power law times the Weibull quantile (which holds the exponential and
  the half-normal's tail; the authors' third regime has this form) times an exponential cut-off. The decay sets in
  smoothly from rank 1, or with a kink at a searched rank beyond the largest possible plateau;
* plateau + power law + rapid decay: the same plus ``h`` in a window of cells. There are two readings of a plateau. A
  *flat top*: ``h < 0`` from rank 1 to a searched rank. An *excess*: ``h > 0`` in a narrow window at a searched rank, so
  that all neurons before it lie above the power law extended back to rank 1, by a factor of at least ``LEAST_EXCESS``;
* steep top: ``h > 0`` from rank 1 to a searched rank. It is the opposite of a flat top, and no plateau.

Only the upper half of the ranks enters the fits: the least influential neurons say nothing about the top.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

Reading = Literal["flat", "excess"]  # of a plateau
Shape = Literal["flat", "excess", "steep"]  # of the top: what ``h`` and its window are
READINGS: tuple[Reading, ...] = ("flat", "excess")
SHAPES: tuple[Shape, ...] = ("flat", "excess", "steep")

CELL_WIDTH = 0.2  # ln rank
RANKS_USED = 0.5  # share of the neurons
LEAST_NEURONS = 100  # shorter curves are not fitted
PLATEAU_RANKS = (3, 0.1)  # a plateau ends at this rank at the least, at this share of the neurons at most
EXCESS_CELLS = (1, 2, 4)  # widths of the window in which an excess may rise
LEAST_EXCESS = (
    1.5  # factor by which an excess lies above the power law; the bend after a flat top looks like a smaller one
)
DECAY_SHARES = (0.1, 0.4)  # a kink into the decay lies between these shares of the neurons
LEAST_POWER_LAW = 0.6  # ln rank between a plateau's end and such a kink
MISFIT = 0.02  # squared relative misfit allowed to a cell, so that cells of hundreds of neurons do not rule the fit
LEAST_EXPONENT = 0.01
FLOOR = 3 * LEAST_EXPONENT  # of the exponents that weights are made of


@dataclass(frozen=True)
class Windows:
    """P places where a candidate's exponent differs from the power law's by ``h``.

    ``kink`` (P,): number of the decay's kink; ``inside`` (P, G): the window's cells; ``end`` (P,): ln rank at which the
    plateau ends, which is the window's end for a flat top and its middle for an excess; ``width`` (P,): of the window,
    ln rank.
    """

    kink: np.ndarray
    inside: np.ndarray
    end: np.ndarray
    width: np.ndarray


@dataclass(frozen=True)
class Cells:
    """Cells of equal ln-rank width over a curve of ``n_neurons``, and the candidates' terms over its upper half.

    ``start`` index of each cell's first spacing; ``count`` spacings per cell; ``ln_rank`` their mean place, each (H,);
    the first G cells are fitted. ``terms`` (C, G, 3): constant, Weibull and exponential term of the local exponent, for
    each of C places of the decay's kink, the first being "smooth from rank 1"; ``kink`` (C,) ln rank, 0 for smooth.
    ``ln_edge`` (G + 1,): ln rank at which each fitted cell begins, and the last one ends. ``tops`` and ``rises``: all
    windows allowed to a flat (or steep) top, and to an excess.
    """

    n_neurons: int
    start: np.ndarray
    count: np.ndarray
    ln_rank: np.ndarray
    terms: np.ndarray
    kink: np.ndarray
    ln_edge: np.ndarray
    tops: Windows
    rises: Windows

    def local_exponents(self, ln_influence: np.ndarray) -> np.ndarray:
        """Mean normalised log-spacing of each cell, (..., H), of sorted curves (..., n_neurons)."""
        spacing = np.arange(1, self.n_neurons) * (ln_influence[..., :-1] - ln_influence[..., 1:])
        return np.add.reduceat(spacing, self.start, axis=-1) / self.count

    def windows(self, shape: Shape) -> Windows:
        """The windows allowed to a shape of the top."""
        return self.rises if shape == "excess" else self.tops


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
    ln_edge = np.log(edge[: fitted + 1])
    low, high = (np.log(share * n_neurons) for share in DECAY_SHARES)
    inner = ln_edge[1:-1]
    kink = np.concatenate([[0.0], inner[(inner >= low) & (inner <= high)]])
    beyond = ln_rank[None, :fitted] > kink[:, None]
    terms = np.stack([np.ones_like(beyond, dtype=float), weibull * beyond, exponential * beyond], axis=2)
    tops = [(0, last) for last in range(1, fitted)]
    rises = [(first, first + width) for width in EXCESS_CELLS for first in range(fitted - width)]
    return Cells(
        n_neurons,
        start,
        count,
        ln_rank,
        terms,
        kink,
        ln_edge,
        _windows(tops, [ln_edge[last] for _, last in tops], ln_edge, kink, n_neurons),
        _windows(rises, [(ln_edge[first] + ln_edge[last]) / 2 for first, last in rises], ln_edge, kink, n_neurons),
    )


def _windows(
    spans: list[tuple[int, int]], ends: list[float], ln_edge: np.ndarray, kink: np.ndarray, n_neurons: int
) -> Windows:
    """All combinations of spans of cells and kinks in which the plateau's end is allowed."""
    low, high = np.log(PLATEAU_RANKS[0]), np.log(PLATEAU_RANKS[1] * n_neurons)
    chosen = [
        (number, *span, end)
        for number, place in enumerate(kink)
        for span, end in zip(spans, ends, strict=True)
        if low <= end <= high and (place == 0 or place >= max(end, ln_edge[span[1]]) + LEAST_POWER_LAW)
    ]
    numbers, first, last, end = (np.asarray(column) for column in zip(*chosen, strict=True))
    cell = np.arange(len(ln_edge) - 1)
    inside = (cell >= first[:, None]) & (cell < last[:, None])
    return Windows(numbers, inside, end, ln_edge[last] - ln_edge[first])


@dataclass(frozen=True)
class Baseline:
    """Curves without a plateau under one set of weights, as orthonormal directions in the weighted space of cells.

    ``root`` (G,) square roots of the weights; ``decay`` (C, G, 2) the decay's terms; ``constant`` (C, G) the power law
    given the decay.
    """

    cells: Cells
    root: np.ndarray
    decay: np.ndarray
    constant: np.ndarray

    def deviances(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums of squares (C, B) of weighted exponents (B, G): of the decay alone, and with a power law b >= 0."""
        alone = np.square(values).sum(1) - np.square(np.einsum("cgi,bg->cbi", self.decay, values)).sum(-1)
        return alone, alone - np.square(np.maximum(self.constant @ values.T, 0))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def baseline(places: Cells, root: np.ndarray) -> Baseline:
    """Directions of the curves without a plateau under the weights ``root ** 2``."""
    weighted = places.terms * root[None, :, None]
    decay = np.linalg.qr(weighted[:, :, 1:])[0]
    raw = weighted[:, :, 0]
    constant = _unit(raw - np.einsum("cgi,ci->cg", decay, np.einsum("cgi,cg->ci", decay, raw)))
    return Baseline(places, root, decay, constant)


@dataclass(frozen=True)
class Directions:
    """What it takes to fit ``h`` in P windows at once.

    ``alone`` and ``after_constant`` (P, G): ``h`` is their product with the weighted exponents, without the power law
    and with it; the decay is always fitted. ``constant`` (P, G): direction of the power law given ``h`` and the decay;
    along it the exponents must not be negative. ``average`` (P, G): weights of the window's mean exponent. ``n`` (P,):
    spacings that the window is worth. ``own``: share of that which the power law and the decay, or the decay alone,
    cannot say as well, each (P,). ``least`` (P,): half the exponent that the weights expect in the window, which
    what is left without ``h`` may not go below.
    """

    windows: Windows
    alone: np.ndarray
    after_constant: np.ndarray
    constant: np.ndarray
    average: np.ndarray
    n: np.ndarray
    own: tuple[np.ndarray, np.ndarray]
    least: np.ndarray


def _without(vectors: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Vectors (P, G) less their parts along unit directions (P, G)."""
    return vectors - np.einsum("pg,pg->p", vectors, directions)[:, None] * directions


def _coefficient(vectors: np.ndarray) -> np.ndarray:
    """Vectors (P, G) whose products with values are the least-squares coefficients along them."""
    return vectors / np.square(vectors).sum(1, keepdims=True)


def _directions(windows: Windows, base: Baseline) -> Directions:
    decay, constant = base.decay[windows.kink], base.constant[windows.kink]
    whole = windows.inside * base.root
    raised = whole - np.einsum("pgi,pi->pg", decay, np.einsum("pgi,pg->pi", decay, whole))
    after = _without(raised, constant)
    size = np.square(whole).sum(1)
    average = np.square(whole)
    average /= average.sum(1, keepdims=True)
    steady = worth(base.cells)
    return Directions(
        windows,
        _coefficient(raised),
        _coefficient(after),
        _without(constant, _unit(raised)),
        average,
        windows.inside @ steady,
        (np.square(after).sum(1) / size, np.square(raised).sum(1) / size),
        average @ (np.sqrt(steady) / base.root) / 2,
    )


def worth(places: Cells) -> np.ndarray:
    """Spacings (G,) that each fitted cell is worth: the inverse of its exponent's relative variance."""
    return 1 / (1 / places.count[: places.terms.shape[1]] + MISFIT)


@dataclass(frozen=True)
class Candidates:
    """All candidates under one set of weights: curves without a plateau, and the windows of the shapes of the top."""

    base: Baseline
    tops: Directions
    rises: Directions

    @property
    def cells(self) -> Cells:
        """The cells that all candidates are fitted to."""
        return self.base.cells


def candidates(base: Baseline) -> Candidates:
    """All candidates under the weights of ``base``."""
    return Candidates(base, _directions(base.cells.tops, base), _directions(base.cells.rises, base))


@dataclass(frozen=True)
class Fits:
    """Deviances of B curves under each candidate, and the places that reach them.

    ``one`` and ``two`` (B,): power law; with rapid decay. ``tops``: the same for each shape of the top before both, at
    most ``two``. ``kink`` (B,) number of the two-regime candidate's kink, ``place`` (B,) number of each shape's window.
    """

    one: np.ndarray
    two: np.ndarray
    tops: Mapping[Shape, np.ndarray]
    kink: np.ndarray
    place: Mapping[Shape, np.ndarray]

    def gain(self, shape: Shape) -> np.ndarray:
        """How much a shape of the top lowers the deviance (B,)."""
        return self.two - self.tops[shape]


def fit_candidates(found: Candidates, exponents: np.ndarray) -> Fits:
    """Fit all candidates to B curves at once.

    The power law and the rapid decay are fitted by weighted least squares; weights are inverse variances, so a sum of
    squares is a deviance. The power law's exponent is kept at or above zero. What ``h < 0`` lowers the deviance by is
    the squares it explains. What ``h > 0`` does is counted as for means of exponential spacings: ``2 n (x - 1 - ln x)``
    for a window's mean exponent that is x times the one without ``h``. By squares, few large spacings would count more
    than many that are consistently large.

    Args:
        found: the candidates.
        exponents: (B, H) local exponents.
    """
    root = found.base.root
    fitted = exponents[:, : len(root)]
    values = fitted * root
    alone, two = found.base.deviances(values)
    best_two = two.min(0)
    tops: dict[Shape, np.ndarray] = {}
    place: dict[Shape, np.ndarray] = {}
    for shape in SHAPES:
        deviance = _window_deviances(found, shape, fitted, values, (alone, two))
        tops[shape] = np.minimum(deviance.min(0), best_two)
        place[shape] = deviance.argmin(0)
    one = np.square(values).sum(1) - np.square(values @ _unit(root))
    return Fits(one, best_two, tops, two.argmin(0), place)


def _window_deviances(
    found: Candidates, shape: Shape, fitted: np.ndarray, values: np.ndarray, without: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Deviances (P, B) with a shape's ``h`` in each window; ``without``: those of the curves without a plateau."""
    directions = found.rises if shape == "excess" else found.tops
    kink = directions.windows.kink
    allowed = directions.constant @ values.T > 0
    step = np.where(allowed, directions.after_constant @ values.T, directions.alone @ values.T)
    if shape == "flat":
        counts = step < 0
        lengths = (1 / np.square(each).sum(1)[:, None] for each in (directions.after_constant, directions.alone))
        gain = np.square(step) * np.where(allowed, *lengths)
    else:
        counts = step * directions.windows.width[:, None] >= np.log(LEAST_EXCESS) if shape == "excess" else step > 0
        n = directions.n[:, None] * np.where(allowed, *(each[:, None] for each in directions.own))
        mean = directions.average @ fitted.T
        ratio = np.maximum(mean, LEAST_EXPONENT) / np.maximum(mean - step, directions.least[:, None])
        gain = 2 * n * (ratio - 1 - np.log(ratio))
    return np.where(allowed, without[1][kink], without[0][kink]) - np.where(counts, gain, 0)


def _coefficients(design: np.ndarray, values: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Weighted least squares of B curves (B, G) on one design (G, F), (B, F).

    The first coefficient (the power law's exponent) is kept at or above zero.
    """
    weighted, targets = design * root[:, None], (values * root).T
    found = np.linalg.lstsq(weighted, targets, rcond=None)[0]
    rest = np.linalg.lstsq(weighted[:, 1:], targets, rcond=None)[0]
    return np.where(found[0] >= 0, found, np.concatenate([np.zeros((1, targets.shape[1])), rest])).T


def no_plateau_exponents(base: Baseline, exponents: np.ndarray) -> np.ndarray:
    """Exponents (G,), at least ``LEAST_EXPONENT``, of the curve without a plateau that fits exponents (H,) best."""
    fitted = exponents[None, : len(base.root)]
    terms = base.cells.terms[int(base.deviances(fitted * base.root)[1][:, 0].argmin())]
    return np.maximum(terms @ _coefficients(terms, fitted, base.root)[0], LEAST_EXPONENT)


def candidates_for(ln_influence: np.ndarray) -> Candidates:
    """Candidates with the weights that a curve calls for (:func:`baseline_for`)."""
    return candidates(baseline_for(ln_influence))


def baseline_for(ln_influence: np.ndarray) -> Baseline:
    """Curves without a plateau, with the weights that a curve calls for.

    A cell's variance is ``s^2 (1 / count + MISFIT)`` with ``s`` the local exponent of the fitted curve without a
    plateau; fit and weights take turns, starting from a cubic in ln rank.

    Args:
        ln_influence: (n_neurons,) sorted curve, at least ``LEAST_NEURONS`` long.
    """
    places = cells(len(ln_influence))
    exponents = places.local_exponents(ln_influence)
    fitted = places.terms.shape[1]
    count, steadiness = places.count[:fitted], np.sqrt(worth(places))
    shape = np.polynomial.Polynomial.fit(
        places.ln_rank[:fitted], np.log(np.maximum(exponents[:fitted], 1e-4)) + 0.5 / count, 3, w=steadiness
    )
    expected = np.exp(shape(places.ln_rank[:fitted]))
    for _ in range(2):
        expected = no_plateau_exponents(baseline(places, steadiness / np.maximum(expected, FLOOR)), exponents)
    return baseline(places, steadiness / np.maximum(expected, FLOOR))


@dataclass(frozen=True)
class CurveFit:
    """One curve under the candidates.

    ``n_regimes``: 1, 2 or 3, by the smallest Bayesian information criterion ``deviance + parameters * ln(cells)``; 3
    only if a plateau has a smaller one than a steep top, too. ``bic_two`` and ``bic_three`` are relative to one regime.
    The others describe the best three-regime curve, whether or not it is chosen. All are NaN where no curve with a
    plateau fits better than the best one without.

    * ``reading``: of the plateau.
    * ``plateau_end``, ``decay_start``: ln rank. From ``decay_start`` on the local exponent is at least twice the power
      law's; NaN where it never is.
    * ``plateau_exponent``: Hill's estimate over the top, of an excess before it begins to fall.
    * ``power_law_exponent``: fitted, averaged over ln rank from the plateau's end to where the fitted exponent has
      doubled, or to the end of what is fitted.
    * ``height_over_power_law``: of the top above the back-extrapolated curve, ln units. Of an excess, all of it; of a
      flat top, the mean over ln rank, which is negative.
    """

    n_regimes: int
    bic_two: float
    bic_three: float
    reading: Reading
    plateau_end: float
    decay_start: float
    plateau_exponent: float
    power_law_exponent: float
    height_over_power_law: float


N_PARAMETERS = {1: 1, 2: 4, 3: 6}


def is_better(fits: Fits, reading: Reading, n_cells: int) -> np.ndarray:
    """Whether a plateau of one reading has a smaller information criterion than no plateau and a steep top, (B,)."""
    penalty = (N_PARAMETERS[3] - N_PARAMETERS[2]) * np.log(n_cells)
    return (fits.gain(reading) > penalty) & (fits.tops[reading] < fits.tops["steep"])


def describe_fits(found: Candidates, exponents: np.ndarray, reading: Reading | None = None) -> list[CurveFit]:
    """Each of B curves under the candidates; ``exponents`` (B, H).

    ``reading``: the plateau's; without it, that of the smaller deviance.
    """
    fits = fit_candidates(found, exponents)
    readings = [reading or _better(fits, b) for b in range(len(exponents))]
    shapes: dict[int, tuple[float, ...]] = {}
    for mine in READINGS:
        fitted = (np.asarray(readings) == mine) & (fits.tops[mine] < fits.two)
        for place in np.unique(fits.place[mine][fitted]):
            alike = np.flatnonzero(fitted & (fits.place[mine] == place))
            shapes |= dict(zip(alike, _three_regimes(found, exponents[alike], mine, place), strict=True))
    described = []
    for b, mine in enumerate(readings):
        deviances = (fits.one[b], fits.two[b], fits.tops[mine][b])
        penalties = (n * np.log(len(found.base.root)) for n in N_PARAMETERS.values())
        criteria = np.array([sum(each) for each in zip(deviances, penalties, strict=True)])
        allowed = criteria if fits.tops[mine][b] < fits.tops["steep"][b] else criteria[:2]
        n_regimes, (two, three) = int(allowed.argmin()) + 1, map(float, criteria[1:] - criteria[0])
        described.append(CurveFit(n_regimes, two, three, mine, *shapes.get(b, (np.nan,) * 5)))
    return described


def _better(fits: Fits, b: int) -> Reading:
    """The reading of the smaller deviance of curve ``b``."""
    return "flat" if fits.tops["flat"][b] <= fits.tops["excess"][b] else "excess"


@dataclass(frozen=True)
class TopShape:
    """B curves with a plateau at a given place: the exponents and the height of :class:`CurveFit`, each (B,).

    ``smooth`` (B, G): the fitted exponents without ``h``, at least ``LEAST_EXPONENT``.
    """

    exponent: np.ndarray
    power_law: np.ndarray
    height: np.ndarray
    smooth: np.ndarray


def shape_of_top(base: Baseline, exponents: np.ndarray, reading: Reading, inside: np.ndarray, kink: int) -> TopShape:
    """What B curves are like if they have a plateau of one reading, at one place.

    Args:
        base: weights of the cells.
        exponents: (B, H) local exponents.
        reading: of the plateau.
        inside: (G,) the window's cells, as in :class:`Windows`.
        kink: number of the decay's kink.
    """
    places, fitted = base.cells, exponents[:, : len(base.root)]
    terms, cell = places.terms[kink], np.arange(len(base.root))
    first, last = int(inside.argmax()), int(np.flatnonzero(inside)[-1])
    coefficients = _coefficients(np.column_stack([terms, inside]), fitted, base.root)
    smooth = coefficients[:, :-1] @ terms.T
    beyond = cell > last
    at_end = np.maximum(smooth[:, last + 1], LEAST_EXPONENT)[:, None]
    between = beyond & ~np.logical_or.accumulate(beyond & (smooth >= 2 * at_end), axis=1)
    between[:, last + 1] = True
    power_law = (smooth * between).sum(1) / between.sum(1)
    top = cell < first if reading == "excess" else inside
    count = places.count[: len(cell)] * top
    width = places.ln_edge[last + 1] - places.ln_edge[first]
    return TopShape(
        fitted @ count / count.sum() if top.any() else np.full(len(fitted), np.nan),
        np.maximum(power_law, LEAST_EXPONENT),  # the decay's free terms can bend it below zero
        coefficients[:, -1] * (width if reading == "excess" else places.ln_edge[last + 1] / 2),
        np.maximum(smooth, LEAST_EXPONENT),
    )


def _three_regimes(
    found: Candidates, exponents: np.ndarray, reading: Reading, place: int
) -> list[tuple[float, float, float, float, float]]:
    """Plateau end, decay start, plateau and power-law exponent, and height of the top of each of B curves (B, H)."""
    places, windows = found.cells, found.cells.windows(reading)
    shape = shape_of_top(found.base, exponents, reading, windows.inside[place], int(windows.kink[place]))
    described = []
    for b, power_law in enumerate(shape.power_law):
        below = np.flatnonzero(exponents[b] < 2 * power_law)  # the last of these cells is not in the decay
        start = int(below[-1]) + 1 if len(below) else 0
        decay = float(np.log(places.start[start] + 1)) if start < exponents.shape[1] else np.nan
        end, height = float(windows.end[place]), float(shape.height[b])
        described.append((end, decay, float(shape.exponent[b]), float(power_law), height))
    return described


def fit_curve(ln_influence: np.ndarray) -> CurveFit | None:
    """The candidates on one sorted curve (n,), or None for fewer than ``LEAST_NEURONS`` neurons."""
    if len(ln_influence) < LEAST_NEURONS:
        return None
    found = candidates_for(ln_influence)
    return describe_fits(found, found.cells.local_exponents(ln_influence)[None])[0]
