"""Statistics that more than one module needs: bootstrap, empirical p, multiple testing, means over models."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from rareneurons.tables import FINAL_PREFIX, CheckpointName, Estimate, measure_frame

Alternative = Literal["less", "greater", "two-sided"]
MOST_BLOCKS = 100  # of documents, of which a jackknife leaves out one at a time
NORMAL_95 = 1.959963984540054  # standard errors from a value to either end of its 95 % interval


def correlation_matrix(activation: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Pearson correlations of columns, float64 (n, n).

    Args:
        activation: (T, n) activations.
        weights: (T,) non-negative weights of the rows, all one if not given.

    Returns:
        The correlations; NaN in the row and column of a constant neuron.
    """
    values = activation.astype(np.float64)
    weights = np.ones(len(values)) if weights is None else weights
    centred = values - weights @ values / weights.sum()
    covariance = (centred * weights[:, None]).T @ centred
    deviation = np.sqrt(np.diag(covariance))
    deviation[np.ptp(values[weights > 0], axis=0) == 0] = np.nan  # their sum of squares is rounding noise, not always 0
    with np.errstate(invalid="ignore", divide="ignore"):
        return covariance / np.outer(deviation, deviation)


def document_weights(n_documents: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each document occurs in each bootstrap draw, int64 (draws, documents); rows sum to ``n_documents``."""
    return rng.multinomial(n_documents, np.full(n_documents, 1 / n_documents), size=n_draws)


def percentile_interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Central interval of bootstrap draws (n,), NaN where fewer than ten are finite."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < 10:
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def log_scale_interval(value: float, draws: np.ndarray) -> tuple[float, float]:
    """95 % interval of a positive number from draws (n,) of it, on the logarithmic scale and about the value.

    For numbers whose spread grows with their size; NaN where fewer than ten draws are finite.
    """
    from scipy.special import stdtrit

    known = draws[np.isfinite(draws)]
    if len(known) < 10:
        return float("nan"), float("nan")
    half = stdtrit(len(known) - 1, 0.975) * np.log(known).std(ddof=1)
    return float(value * np.exp(-half)), float(value * np.exp(half))


def moved_to(value: float, draws: np.ndarray) -> np.ndarray:
    """Bootstrap draws (B,) moved so that the mean of the finite ones is the value: their spread without their bias."""
    known = draws[np.isfinite(draws)]
    return draws + (value - known.mean()) if len(known) else draws


def document_blocks(n_documents: int) -> np.ndarray:
    """Block 0, 1, ... of each of the documents (D,), at most ``MOST_BLOCKS`` of about one size."""
    return np.arange(n_documents) * min(n_documents, MOST_BLOCKS) // n_documents


@dataclass(frozen=True)
class Jackknife:
    """How much a number depends on each block of documents.

    ``influence`` (K,): mean of the number over left-out blocks, minus the number without the block. The number without
    a block on which it does not exist counts as the mean.
    """

    influence: np.ndarray

    @classmethod
    def of(cls, left_out: np.ndarray) -> "Jackknife":
        """From the number without each block, (K,)."""
        known = np.isfinite(left_out)
        mean = left_out[known].mean() if known.any() else np.nan
        return cls(np.where(known, mean - left_out, 0.0 if known.any() else np.nan))

    @property
    def standard_error(self) -> float:
        """The delete-a-group jackknife's (Efron & Tibshirani 1993, section 11.3); NaN for fewer than two blocks."""
        k = len(self.influence)
        return float(np.sqrt((k - 1) / k * np.square(self.influence).sum())) if k > 1 else float("nan")

    def interval(self, value: float) -> tuple[float, float]:
        """95 % interval about the value, Student's with as many degrees of freedom as blocks less one."""
        from scipy.special import stdtrit

        half = stdtrit(max(1, len(self.influence) - 1), 0.975) * self.standard_error
        return float(value - half), float(value + half)

    def draws(self, value: float, weights: np.ndarray) -> np.ndarray:
        """What the value would be, to first order, with documents drawn ``weights`` (B, D) times: (B,).

        Their mean is the value, and their standard deviation the jackknife's error.
        """
        k, block = len(self.influence), document_blocks(weights.shape[1])
        size = np.bincount(block, minlength=k)
        more = np.add.reduceat(weights - 1, np.searchsorted(block, np.arange(k)), axis=1) / np.sqrt(size)
        return np.asarray(value + np.sqrt((k - 1) / k) * (more @ self.influence))


def bootstrap_p(draws: np.ndarray) -> float:
    """Two-sided p-value of "zero" from bootstrap draws (n,) of a difference: twice the smaller share beyond zero.

    ``(b + 1) / (m + 1)`` on either side, at most 1; NaN where fewer than ten draws are finite.
    """
    finite = draws[np.isfinite(draws)]
    if len(finite) < 10:
        return float("nan")
    smaller = min(np.sum(finite <= 0), np.sum(finite >= 0))
    return float(min(1.0, 2 * (smaller + 1) / (len(finite) + 1)))


def empirical_p(value: float, null: np.ndarray, alternative: Alternative) -> float:
    """Share of null values at least as extreme, ``(b + 1) / (m + 1)`` (Davison & Hinkley 1997, 4.2.3).

    ``two-sided`` doubles the smaller tail, at most 1. NaN where the value or every null value is NaN.

    Examples:
        >>> empirical_p(5.0, np.array([1.0, 2.0, 3.0]), "greater")
        0.25
    """
    null = null[np.isfinite(null)]
    if not np.isfinite(value) or len(null) == 0:
        return float("nan")
    lower = (np.sum(null <= value) + 1) / (len(null) + 1)
    upper = (np.sum(null >= value) + 1) / (len(null) + 1)
    if alternative == "less":
        return float(lower)
    if alternative == "greater":
        return float(upper)
    return float(min(1.0, 2 * min(lower, upper)))


def against_controls(
    estimate: Estimate,
    draws: Sequence[float] | np.ndarray,
    null: Sequence[float] | np.ndarray,
    alternative: Alternative,
) -> Estimate:
    """An estimate with its bootstrap interval, its controls and its empirical p-value.

    Args:
        estimate: the group's value, with the kind of controls as ``against``.
        draws: bootstrap draws of the value; none where the measure has no resampling (weights, not rows).
        null: the same measure of each control group.
        alternative: which tail counts as extreme.

    Returns:
        The estimate with ``ci_low``, ``ci_high``, ``p_value``, and with mean, central 95 % and number of the control
        groups that have a value.
    """
    low, high = percentile_interval(np.asarray(draws, dtype=float))
    controls = np.asarray(null, dtype=float)
    p_value = empirical_p(estimate.value, controls, alternative)
    controls = controls[np.isfinite(controls)]
    null_low, null_high = percentile_interval(controls)
    return replace(
        estimate,
        ci_low=low,
        ci_high=high,
        p_value=p_value,
        null_mean=float(controls.mean()) if len(controls) else float("nan"),
        null_low=null_low,
        null_high=null_high,
        null_n=len(controls),
    )


def against_permuted(estimate: Estimate, permuted: np.ndarray, share: float, alternative: Alternative) -> Estimate:
    """An estimate that was compared with controls, with the p-value from groups that are exchangeable with the group.

    Controls that hold none of the group's neurons resemble one another more than the group resembles them, whatever
    the group is. Permuted groups are drawn from the controls' pool and the group's own neurons.

    Args:
        estimate: as :func:`against_controls` returns it.
        permuted: (m,) the same measure of each permuted group.
        share: mean share of the group's neurons that they hold.
        alternative: which tail counts as extreme.

    Returns:
        The estimate with the new ``p_value`` and ``null_n``. ``null_low`` and ``null_high`` are the central 95 % of the
        permuted groups, moved to the controls' mean and widened to what a group without their neurons would show.
    """
    known = permuted[np.isfinite(permuted)]
    low, high = percentile_interval(known)
    middle = float(known.mean()) if len(known) else float("nan")
    spread = 1 / (1 - share) if share < 1 else float("nan")  # groups that are all the group itself show nothing
    return replace(
        estimate,
        p_value=empirical_p(estimate.value, permuted, alternative),
        null_low=estimate.null_mean - spread * (middle - low),
        null_high=estimate.null_mean + spread * (high - middle),
        null_n=len(known),
    )


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values that control the false discovery rate (Benjamini & Hochberg 1995); NaN stays NaN.

    Examples:
        >>> benjamini_hochberg(np.array([0.125, 0.5, np.nan, 0.25])).tolist()
        [0.375, 0.5, nan, 0.375]
    """
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    falling = known[np.argsort(-p_values[known], kind="stable")]
    share = np.arange(len(falling), 0, -1) / max(1, len(falling))
    # Written out, because loading scipy.stats takes longer than most jobs that import this module.
    adjusted[falling] = np.minimum(np.minimum.accumulate(p_values[falling] / share), 1)
    return adjusted


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values that control the chance of any false rejection (Holm 1979); NaN stays NaN.

    Examples:
        >>> holm(np.array([0.125, 0.5, np.nan, 0.25])).tolist()
        [0.375, 0.5, nan, 0.5]
    """
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    rising = known[np.argsort(p_values[known], kind="stable")]
    times = np.arange(len(rising), 0, -1)
    adjusted[rising] = np.minimum(np.maximum.accumulate(p_values[rising] * times), 1)
    return adjusted


def frame_of_tests(checkpoint: CheckpointName, estimates: Iterable[tuple[str, str, Estimate]]) -> pd.DataFrame:
    """Long table of (condition, group, estimate) triples with adjusted p-values.

    Returns:
        ``MEASURE_COLUMNS``; ``q_value`` is adjusted as :func:`adjusted_in_families` does.
    """
    frame = measure_frame(checkpoint, estimates)
    return frame.assign(q_value=adjusted_in_families(frame))


def adjusted_in_families(frame: pd.DataFrame) -> np.ndarray:
    """Adjusted p-values (n,) of the tests of one checkpoint's table (Benjamini & Hochberg 1995).

    A family is all tests of the table against one kind of controls: tests against random groups answer another question
    and must not help those against matched ones. Nor must groups that are tracked backwards from the last checkpoint.
    A p-value that belongs to no kind of controls is not adjusted (NaN).
    """
    tracked = frame["group"].str.startswith(FINAL_PREFIX).to_numpy(dtype=bool)
    against, p_value = frame["against"].to_numpy(), frame["p_value"].to_numpy(dtype=float)
    adjusted = np.full(len(frame), np.nan)
    for kind in set(against) - {""}:
        for family in (tracked & (against == kind), ~tracked & (against == kind)):
            adjusted[family] = benjamini_hochberg(p_value[family])
    return adjusted


def largest_share(count: int, n: int, level: float) -> float:
    """One-sided upper bound of a share of which ``count`` of ``n`` cases are known (Clopper & Pearson 1934).

    Examples:
        >>> round(largest_share(0, 20, 0.95), 3)
        0.139
    """
    from scipy.special import betaincinv

    return 1.0 if count == n else float(betaincinv(count + 1, n - count, level))


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman correlation of two arrays (n,), ties ranked by their mean; NaN where ``y`` is constant."""
    from scipy import stats

    if np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])


def spearman_of_draws(x: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Spearman correlation of ``x`` (n,) with each row of ``draws`` (B, n), of the finite ones of its values.

    NaN for a row with fewer than four finite values, or a constant one.
    """
    from scipy import stats

    known = np.isfinite(draws)
    whole = known.all(1) & (np.ptp(np.where(known, draws, 0), axis=1) > 0) & (len(x) >= 4)
    found = np.full(len(draws), np.nan)
    ranks = stats.rankdata(draws[whole], axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    places = stats.rankdata(x) - (len(x) + 1) / 2
    found[whole] = ranks @ places / (np.linalg.norm(ranks, axis=1) * np.linalg.norm(places))
    for row in np.flatnonzero(~known.all(1) & (known.sum(1) >= 4)):
        found[row] = spearman(x[known[row]], draws[row, known[row]])
    return found


def spearman_trend(x: np.ndarray, y: np.ndarray, n_draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """Spearman correlation of ``y`` with ``x`` and its two-sided permutation p-value.

    NaN for fewer than four points or a constant ``y``.
    """
    if len(x) < 4 or np.ptp(y) == 0:
        return float("nan"), float("nan")
    from scipy import stats

    ranks_x, ranks_y = stats.rankdata(x), stats.rankdata(y)
    rho = spearman(x, y)
    centred_x, centred_y = ranks_x - ranks_x.mean(), ranks_y - ranks_y.mean()
    permuted = rng.permuted(np.tile(centred_y, (n_draws, 1)), axis=1)
    null = permuted @ centred_x / (np.linalg.norm(centred_x) * np.linalg.norm(centred_y))
    return rho, float((np.sum(np.abs(null) >= abs(rho) - 1e-12) + 1) / (n_draws + 1))


@dataclass(frozen=True)
class RandomEffects:
    """Mean over models (``ci_low``, ``ci_high``: 95 %; ``p_value`` of "it is the given bound").

    ``spread``: standard deviation of the models' true values; ``heterogeneity``: I squared, 0 to 1.
    """

    mean: float
    ci_low: float
    ci_high: float
    p_value: float
    spread: float
    heterogeneity: float


def _spread_beyond(values: np.ndarray, variances: np.ndarray) -> float:
    """Variance of the true values at which their weighted scatter is what it should be (Paule & Mandel 1982)."""
    from scipy.optimize import brentq

    def excess(between: float) -> float:
        weights = 1 / (variances + between)
        return float(weights @ np.square(values - np.average(values, weights=weights)) - (len(values) - 1))

    widest = len(values) * np.ptp(values) ** 2
    return float(brentq(excess, 0, widest)) if excess(0) > 0 else 0.0


def random_effects(values: np.ndarray, errors: np.ndarray, bound: float) -> RandomEffects:
    """Random-effects mean of one number over models, with Hartung and Knapp's interval.

    The variance between models is Paule and Mandel's, the interval Student's with k - 1 degrees of freedom on Hartung
    and Knapp's (2001) standard error, which is not let fall below the usual one (Roever, Knapp & Friede 2015). Models
    evaluated on the same documents err together: nor is the interval narrower than it would be for errors that are
    fully correlated, whose weighted mean has the weighted mean of the errors as its own.

    Args:
        values: (k,) one per model, at least two.
        errors: (k,) their standard errors, above zero.
        bound: the value that ``p_value`` is about.
    """
    from scipy.special import ndtr, stdtr, stdtrit

    k = len(values)
    between = _spread_beyond(values, np.square(errors))
    weights = 1 / (np.square(errors) + between)
    mean = float(np.average(values, weights=weights))
    scatter = max(1.0, float(weights @ np.square(values - mean)) / (k - 1))
    error = np.sqrt(scatter / weights.sum())
    together = float(np.average(errors, weights=weights))
    half = max(stdtrit(k - 1, 0.975) * error, NORMAL_95 * together)
    distance = abs(mean - bound)
    p = 2 * max(stdtr(k - 1, -distance / error), ndtr(-distance / together))
    fixed = 1 / np.square(errors)
    q = float(fixed @ np.square(values - np.average(values, weights=fixed)))
    heterogeneity = max(0.0, 1 - (k - 1) / q) if q > 0 else 0.0
    return RandomEffects(mean, float(mean - half), float(mean + half), float(p), float(np.sqrt(between)), heterogeneity)
