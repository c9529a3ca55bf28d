"""A rise in training: a logistic in ln(step + 1) fitted to a measure over checkpoints, and how wide the rise is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rareneurons.stats import NORMAL_95

PARAMETERS = 4
LEAST_CHECKPOINTS = 6  # two degrees of freedom for the scatter about the curve
LEAST_DRAWS = 10
NARROWEST = 0.05  # in ln step; a narrower rise looks the same between any checkpoints
LN_9 = float(np.log(9))  # a logistic goes from a quarter to three quarters within ln 9 of its scale
COARSE, FINE = (60, 30), (40, 40)  # centres and widths of the two grids
ROUNDS = 3  # of weights and scatter
MARGIN = 3  # times the threshold of the interval, within which the fine grid looks

Ends = tuple[float, float]


@dataclass(frozen=True)
class Rise:
    """A logistic in x = ln(step + 1), ``base + height / (1 + exp(-ln 9 (x - centre) / width))``.

    ``base`` and ``height`` have the measure's unit; ``height`` is negative for a measure that falls. ``centre`` and
    ``width`` are in ln step: the width is that of the middle half, from a quarter to three quarters of the height.
    ``centre_interval`` and ``width_interval`` are 95 % intervals. A ``width_interval`` that begins at 0 means that no
    rise is too steep; one that ends at twice the range of the checkpoints is open. ``scatter``: standard deviation of
    the measure about the curve beyond what documents explain, in its unit.
    """

    base: float
    height: float
    centre: float
    width: float
    scatter: float
    centre_interval: Ends
    width_interval: Ends


def rise_at(steps: np.ndarray, base: float, height: float, centre: float, width: float) -> np.ndarray:
    """Value (n,) of a :class:`Rise` at training steps (n,)."""
    return base + height * _logistic(np.log1p(steps), centre, width)


def _logistic(x: np.ndarray, centre: np.ndarray | float, width: np.ndarray | float) -> np.ndarray:
    """Logistic curve at x, from 0 to 1; the arguments are broadcast."""
    return 0.5 * (1 + np.tanh(0.5 * LN_9 * (x - centre) / width))


def fitted_rise(steps: np.ndarray, values: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> Rise | None:
    """The rise, or fall, of a measure from its first checkpoint to its last.

    Weighted least squares over a grid of centres, which lie among the checkpoints, and of widths. A checkpoint's
    variance is that over documents plus that of the scatter. A width is in the interval if the sum of squares at it
    exceeds the least one by at most a threshold (profile likelihood): the 95 % quantile of this excess at the fitted
    width over simulated courses, or the quantile of its usual law if that is larger. A simulated course is the fitted
    curve, plus how a draw of documents departs from the mean draw, plus scatter. Where no checkpoint lies within the
    rise, all widths that fit alike are in the interval, and the width given is the middle one of them.

    Args:
        steps: (n,) training steps, rising.
        values: (n,) the measure.
        drawn: (B, n) bootstrap draws of documents; those that are not finite are left out.
        rng: draws the scatter.

    Returns:
        The rise; None for fewer than ``LEAST_CHECKPOINTS``, fewer than ``LEAST_DRAWS``, or a measure that ends where it
        began.
    """
    x, n, sign = np.log1p(steps.astype(float)), len(steps), np.sign(values[-1] - values[0])
    drawn = drawn[np.isfinite(drawn).all(1)]
    if n < LEAST_CHECKPOINTS or len(drawn) < LEAST_DRAWS or sign == 0:
        return None
    noise = sign * (drawn - drawn.mean(0))
    fit = _fit(x, sign * values, noise)
    noise = noise + fit.scatter * _student(noise.shape, n - PARAMETERS, rng)
    courses = fit.curve + _whitened(noise, fit.grid.root)
    least = fit.grid.left(courses).min((0, 1))
    ends = []
    for axis, tried in enumerate((fit.grid.centres, fit.grid.widths)):
        here = fit.grid.at(fit.best[axis], axis).left(courses).min((0, 1))
        threshold = max(np.quantile(here - least, 0.95), fit.usual_threshold)
        ends.append(_within(tried, fit.left.min(1 - axis) - fit.left.min(), threshold))
    centre, width = (tried[place] for tried, place in zip((fit.grid.centres, fit.grid.widths), fit.best, strict=True))
    height, base = np.polyfit(_logistic(x, centre, width), values, 1, w=fit.grid.root)
    (narrow, wide), around = ends[1], ends[0]
    numbers = float(base), float(height), float(centre), float(width), fit.scatter
    return Rise(*numbers, around, (0.0 if narrow <= NARROWEST else narrow, wide))


@dataclass(frozen=True)
class _Grid:
    """Logistic curves at the checkpoints: centres (C,), widths (W,), and ``shapes`` (C, W, n), whitened, of length 1.

    ``root`` (n,): one over the standard deviation of each checkpoint, by which courses are whitened.
    """

    centres: np.ndarray
    widths: np.ndarray
    root: np.ndarray
    shapes: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, centres: np.ndarray, widths: np.ndarray, root: np.ndarray) -> _Grid:
        shapes = _whitened(_logistic(x, centres[:, None, None], widths[:, None]), root)
        return cls(centres, widths, root, shapes / np.linalg.norm(shapes, axis=-1, keepdims=True))

    def at(self, place: int, axis: int) -> _Grid:
        """The part of the grid at one centre (axis 0) or width (axis 1)."""
        return replace(self, shapes=self.shapes.take([place], axis))

    def left(self, courses: np.ndarray) -> np.ndarray:
        """Sum of squares (C, W, ...) that a rise leaves of whitened courses (..., n); a fall explains nothing."""
        explained = np.square(np.clip(self.shapes @ courses.T, 0, None))
        return np.square(courses).sum(-1) - explained

    def finer(self, x: np.ndarray, marked: np.ndarray) -> _Grid:
        """A grid over the part of this one that is marked (C, W), and its neighbours."""
        ends = []
        for axis, tried in enumerate((self.centres, self.widths)):
            places = np.flatnonzero(marked.any(1 - axis))
            ends.append((tried[max(places[0] - 1, 0)], tried[min(places[-1] + 1, len(tried) - 1)]))
        return _Grid.of(x, np.linspace(*ends[0], FINE[0]), np.geomspace(*ends[1], FINE[1]), self.root)


def _whitened(courses: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Courses (..., n) less their weighted mean, times ``root`` (n,), the square roots of the weights."""
    mean = courses @ root**2 / (root @ root)
    return (courses - mean[..., None]) * root


@dataclass(frozen=True)
class _Fit:
    """Least squares: the grid, what its rises leave (C, W), the best one's place, and the scatter beyond documents.

    ``curve`` (n,): the best one, whitened. ``usual_threshold``: quantile 0.95 of the excess at the true width, if all
    is normal: chi-squared where documents are the noise, F where it is the scatter, which is estimated.
    """

    grid: _Grid
    left: np.ndarray
    best: tuple[int, int]
    curve: np.ndarray
    scatter: float
    usual_threshold: float


def _fit(x: np.ndarray, values: np.ndarray, noise: np.ndarray) -> _Fit:
    """The best rise of values (n,) with noise (B, n); weights come from the scatter, which comes from the residuals."""
    freedom = len(x) - PARAMETERS
    variance = np.var(noise - noise.mean(1, keepdims=True), axis=0)
    # A checkpoint at which documents hardly differ must not outweigh all others.
    variance = np.maximum(variance, max(0.01 * variance.mean(), (1e-6 * np.ptp(values)) ** 2))
    root, scatter = np.full(len(x), 1 / np.std(values)), 0.0
    for last in [False] * ROUNDS + [True]:
        course = _whitened(values, root)
        first = _Grid.of(
            x, np.linspace(x[0], x[-1], COARSE[0]), np.geomspace(NARROWEST, 2 * np.ptp(x), COARSE[1]), root
        )
        left = first.left(course)
        error = max(left.min() / freedom, float(last))  # with the last weights, each checkpoint's variance is 1
        grid = first.finer(x, left - left.min() <= MARGIN * _f_quantile(freedom) * error)
        left = grid.left(course)
        best = _middle_of_the_best(left, course @ course)
        curve = grid.shapes[best] * (grid.shapes[best] @ course)
        if not last:
            scatter = _scatter((course - curve) / root, variance, freedom)
            root = 1 / np.sqrt(variance + scatter**2)
    share = np.mean(scatter**2 * root**2)
    usual = (1 - share) * NORMAL_95**2 + share * _f_quantile(freedom)
    return _Fit(grid, left, best, curve, scatter, float(usual))


def _scatter(residual: np.ndarray, variance: np.ndarray, freedom: int) -> float:
    """Standard deviation beyond the variances (n,) with which residuals (n,) have the sum of squares they should have.

    Paule & Mandel 1982.
    """
    from scipy.optimize import brentq

    def excess(squared: float) -> float:
        return float((residual**2 / (variance + squared)).sum() - freedom)

    return float(np.sqrt(brentq(excess, 0, residual @ residual / freedom))) if excess(0) > 0 else 0.0


def _f_quantile(freedom: int) -> float:
    """Quantile 0.95 of F with 1 and ``freedom`` degrees of freedom."""
    from scipy.special import fdtri

    return float(fdtri(1, freedom, 0.95))


def _student(shape: tuple[int, int], freedom: int, rng: np.random.Generator) -> np.ndarray:
    """Multivariate t (B, n): one unknown variance per draw."""
    return rng.normal(size=shape) * np.sqrt(freedom / rng.chisquare(freedom, size=(shape[0], 1)))


def _middle_of_the_best(left: np.ndarray, total: float) -> tuple[int, int]:
    """Place in (C, W) of the least sum of squares; of widths that are equally good, the middle one's."""
    widths = np.flatnonzero(left.min(0) <= left.min() + 1e-9 * total)
    width = int(widths[len(widths) // 2])
    return int(left[:, width].argmin()), width


def _within(values: np.ndarray, excess: np.ndarray, threshold: float) -> Ends:
    """First and last of the values (n,) whose excess (n,) stays below the threshold, interpolated."""
    inside = np.flatnonzero(excess <= threshold)
    ends = []
    for place, beyond in ((inside[0], inside[0] - 1), (inside[-1], inside[-1] + 1)):
        if not 0 <= beyond < len(values):
            ends.append(float(values[place]))
            continue
        part = (threshold - excess[place]) / (excess[beyond] - excess[place])
        ends.append(float(values[place] + part * (values[beyond] - values[place])))
    return ends[0], ends[1]
