"""Shape of the rank-influence curve: fixed cuts, and a first automatic fit of one to three stretches.

Neurons of one sign (boost: ablation hurts on average; suppress: it helps) are sorted by influence; the curve is
ln influence against ln rank (paper section 3; authors' cuts: ln rank 3.5 and 5.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from typing import Literal

import numpy as np

from rareneurons.influence.sums import InfluenceSums
from rareneurons.stats import document_weights, percentile_interval
from rareneurons.tables import Estimate

Sign = Literal["boost", "suppress"]
Statistic = Literal["mean_abs", "abs_mean"]
SIGNS: tuple[Sign, ...] = ("boost", "suppress")
STATISTICS: tuple[Statistic, ...] = ("mean_abs", "abs_mean")
GRID_POINTS = 48  # points on the ln-rank axis: each stretch of log-rank weighs the same


@dataclass(frozen=True)
class RankCurve:
    """``neuron`` indices from the most influential down, ``ln_rank`` and ``ln_influence``, each (n,)."""

    neuron: np.ndarray
    ln_rank: np.ndarray
    ln_influence: np.ndarray


def rank_curve(mean: np.ndarray, mean_abs: np.ndarray, sign: Sign, statistic: Statistic = "mean_abs") -> RankCurve:
    """Rank-influence curve of the neurons of one sign.

    Args:
        mean: (N,) mean dL, nats.
        mean_abs: (N,) mean abs dL, nats.
        sign: ``boost`` for mean dL > 0, ``suppress`` for mean dL < 0.
        statistic: influence is ``mean_abs`` (mean of abs dL, the paper's) or ``abs_mean`` (abs of mean dL).
    """
    chosen = np.flatnonzero(mean > 0 if sign == "boost" else mean < 0)
    influence = (mean_abs if statistic == "mean_abs" else np.abs(mean))[chosen]
    chosen, influence = chosen[influence > 0], influence[influence > 0]
    order = np.argsort(-influence, kind="stable")
    return RankCurve(chosen[order], np.log(np.arange(1, len(order) + 1)), np.log(influence[order]))


def on_grid(curve: RankCurve) -> tuple[np.ndarray, np.ndarray]:
    """The curve read at ``GRID_POINTS`` equally spaced ln ranks: (x, y), each (GRID_POINTS,)."""
    x = np.linspace(0, curve.ln_rank[-1], GRID_POINTS)
    return x, np.interp(x, curve.ln_rank, curve.ln_influence)


@dataclass(frozen=True)
class SegmentFit:
    """Continuous piecewise-linear fit of ln influence on ln rank.

    ``breaks`` ln ranks where the slope changes; ``slopes`` one a stretch; ``intercept`` ln influence at rank 1;
    ``bic`` Bayesian information criterion over the grid points (lower is better).
    """

    breaks: tuple[float, ...]
    slopes: tuple[float, ...]
    intercept: float
    bic: float

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Fitted ln influence at ln ranks ``x``."""
        y = self.intercept + self.slopes[0] * x
        for cut, before, after in zip(self.breaks, self.slopes, self.slopes[1:], strict=False):
            y = y + (after - before) * np.maximum(x - cut, 0)
        return y


@cache
def _designs(n_points: int, n_breaks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All candidate breakpoints (C, breaks), as grid indices; their designs and orthonormal bases (C, G, 2 + breaks).

    On the grid 0, 1, ... G - 1: a stretch of ln rank keeps its designs however long the curve is.
    """
    least = 4
    x = np.arange(n_points, dtype=float)
    inner = range(least, n_points - least)
    allowed = [c for c in combinations(inner, n_breaks) if all(b - a >= least for a, b in pairwise(c))]
    cuts = np.asarray(allowed, dtype=int).reshape(len(allowed), n_breaks)
    hinges = np.maximum(x[None, :, None] - x[cuts][:, None, :], 0)
    lines = np.broadcast_to(np.column_stack([np.ones_like(x), x]), (len(cuts), n_points, 2))
    design = np.concatenate([lines, hinges], axis=2)
    return cuts, design, np.linalg.qr(design)[0]


def fit_segments(x: np.ndarray, y: np.ndarray, n_breaks: int) -> SegmentFit:
    """Least-squares fit with ``n_breaks`` breakpoints (0, 1 or 2), found by exhaustive search over the grid.

    A stretch holds at least four grid steps. The criterion counts ``2 + 2 * n_breaks`` parameters.

    Args:
        x: (G,) equally spaced ln ranks from 0.
        y: (G,) ln influence.
        n_breaks: number of breakpoints.
    """
    cuts, design, basis = _designs(len(x), n_breaks)
    explained = np.square(np.einsum("cgi,g->ci", basis, y)).sum(1)
    best = int(np.argmax(explained))
    coefficients, *_ = np.linalg.lstsq(design[best], y, rcond=None)
    squares = float(np.square(y - design[best] @ coefficients).sum())
    n_parameters = 2 + 2 * n_breaks
    bic = len(x) * np.log(max(squares, 1e-300) / len(x)) + n_parameters * np.log(len(x))
    return SegmentFit(
        breaks=tuple(float(v) for v in x[cuts[best]]),
        slopes=tuple(float(v) for v in np.cumsum(coefficients[1:]) / (x[1] - x[0])),
        intercept=float(coefficients[0]),
        bic=float(bic),
    )


def band_line(curve: RankCurve, low: float, high: float) -> tuple[float, float]:
    """Slope and intercept of ln influence on ln rank over the ranks with ``low <= ln rank < high`` (least squares).

    NaN where fewer than three ranks lie in the band.
    """
    inside = (curve.ln_rank >= low) & (curve.ln_rank < high)
    if inside.sum() < 3:
        return float("nan"), float("nan")
    slope, intercept = np.polyfit(curve.ln_rank[inside], curve.ln_influence[inside], 1)
    return float(slope), float(intercept)


def describe_curve(curve: RankCurve, cuts: tuple[float, float]) -> dict[str, float]:
    """Numbers of one curve under the authors' fixed cuts and under the automatic fit.

    ``fixed.*``: exponents (negative slopes) of the three stretches, and ``fixed.head_departure``, the mean height
    of the head above the power law extended back to rank 1, averaged evenly over ln rank. ``auto.*``: information
    criteria of one, two and three stretches relative to one stretch, and boundaries and exponents of three.

    Args:
        curve: the curve.
        cuts: ln ranks that end the plateau and the power law.

    Returns:
        Measure -> value, NaN where the curve is too short for it.
    """
    first, second = cuts
    slope, intercept = band_line(curve, first, second)
    described = {
        "n_neurons": float(len(curve.neuron)),
        "fixed.plateau_exponent": -band_line(curve, 0.0, first)[0],
        "fixed.power_law_exponent": -slope,
        "fixed.decay_exponent": -band_line(curve, second, np.inf)[0],
        "fixed.head_departure": float("nan"),
    }
    automatic = ("auto.bic_two", "auto.bic_three", "auto.plateau_end", "auto.decay_start")
    exponents = ("auto.plateau_exponent", "auto.power_law_exponent", "auto.decay_exponent")
    described |= dict.fromkeys((*automatic, *exponents), float("nan"))
    if len(curve.neuron) < GRID_POINTS:
        return described
    x, y = on_grid(curve)
    head = x < first
    described["fixed.head_departure"] = float(np.mean(y[head] - (intercept + slope * x[head])))
    one, two, three = (fit_segments(x, y, n_breaks) for n_breaks in (0, 1, 2))
    described |= dict(zip(automatic, (two.bic - one.bic, three.bic - one.bic, *three.breaks), strict=True))
    return described | dict(zip(exponents, (-s for s in three.slopes), strict=True))


UNITS: Mapping[str, str] = {
    "n_neurons": "neurons",
    "fixed.head_departure": "ln nats",
    "auto.bic_two": "BIC difference",
    "auto.bic_three": "BIC difference",
    "auto.plateau_end": "ln rank",
    "auto.decay_start": "ln rank",
}


def curve_estimates(
    sums: InfluenceSums,
    sign: Sign,
    statistic: Statistic,
    cuts: tuple[float, float],
    n_draws: int,
    rng: np.random.Generator,
) -> list[Estimate]:
    """Every number of :func:`describe_curve` with its document-bootstrap interval.

    Args:
        sums: effects by document (or by block of documents).
        sign: neurons of which sign.
        statistic: which influence.
        cuts: the fixed cuts, ln rank.
        n_draws: bootstrap draws.
        rng: draws the documents.

    Returns:
        Estimates named ``<statistic>.<measure>``; ``n`` is the number of documents (or blocks). A curve without
        neurons gives none.
    """

    def described(weights: np.ndarray) -> dict[str, float]:
        total = weights @ sums.n_rows
        mean, mean_abs = weights @ sums.signed / total, weights @ sums.absolute / total
        curve = rank_curve(mean, mean_abs, sign, statistic)
        return describe_curve(curve, cuts) if len(curve.neuron) else {}

    n_documents = len(sums.n_rows)
    values = described(np.ones(n_documents))
    draws = [described(w) for w in document_weights(n_documents, n_draws, rng)]
    estimates = []
    for name, value in values.items():
        low, high = percentile_interval(np.asarray([draw.get(name, np.nan) for draw in draws]))
        unit = UNITS.get(name, "exponent")
        estimates.append(Estimate(f"{statistic}.{name}", value, unit, n_documents, low, high))
    return estimates


def all_curve_estimates(
    sums: Mapping[str, InfluenceSums], cuts: tuple[float, float], n_draws: int, rng: np.random.Generator
) -> list[tuple[str, str, Estimate]]:
    """(condition, sign, estimate) of both signs and both statistics, on the held-out documents of every condition.

    Args:
        sums: ``<condition>/<split>`` -> sums by document.
        cuts: the fixed cuts, ln rank.
        n_draws: bootstrap draws.
        rng: draws the documents.
    """
    return [
        (name.split("/")[0], sign, estimate)
        for name, found in sums.items()
        if name.endswith("/heldout")
        for sign in SIGNS
        for statistic in STATISTICS
        for estimate in curve_estimates(found, sign, statistic, cuts, n_draws, rng)
    ]
