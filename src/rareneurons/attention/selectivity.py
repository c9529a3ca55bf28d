"""Rare compared with common rows: ratios of document sums, their draws, p-values and bounds over heads."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit

LEVEL = 0.95


def condition_means(sums: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Means over rows (..., C) from sums by document (..., C, D) and numbers of rows (C, D)."""
    n = rows.sum(-1)
    return sums.sum(-1) / np.where(n > 0, n, np.nan)


def condition_draws(sums: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same means in each bootstrap draw, (..., C, B); NaN where a draw has no row of a condition.

    Args:
        sums: (..., C, D) by document.
        rows: (C, D) numbers of rows.
        weights: (B, D) how often each draw holds each document.
    """
    n_rows = (rows @ weights.T).astype(float)
    return (sums @ weights.T) / np.where(n_rows > 0, n_rows, np.nan)


def clustered_p(sums: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Two-sided p-value of "the first condition's mean equals the second's".

    A t-test with D - 1 degrees of freedom of the difference over its standard error, clustered by document. In each
    condition a document contributes ``(S_d - n_d m) / n`` to the difference (linearised ratio). A bootstrap p-value
    would not do: many heads are tested at once, and adjusted p-values need small ones.

    Args:
        sums: (..., 2, D) by document, of both conditions.
        rows: (2, D) numbers of rows.

    Returns:
        (...) p-values: 1 where the difference is 0 in every document, NaN for fewer than two documents.
    """
    n_documents = int((rows.sum(0) > 0).sum())
    means = condition_means(sums, rows)
    shares = (sums - rows * means[..., None]) / rows.sum(-1)[:, None]
    difference, share = means[..., 0] - means[..., 1], shares[..., 0, :] - shares[..., 1, :]
    if n_documents < 2:
        return np.full(difference.shape, np.nan)
    error = np.sqrt(n_documents / (n_documents - 1) * np.square(share).sum(-1))
    t = np.divide(np.abs(difference), error, out=np.where(difference == 0, 0.0, np.inf), where=error > 0)
    return 2 * stdtr(n_documents - 1, -t)


def selectivity_beyond(group: np.ndarray, matched: np.ndarray, everyone: np.ndarray | None = None) -> np.ndarray:
    """Rare less common effect of each head on a group, beyond what matched groups and the other heads explain.

    *Any* head moves neurons more on rows where they are more excitable, because their nonlinearity is steeper there.
    The group's gain in a condition is the median over heads of its effect over the effect on matched groups. This gain
    is taken out first: ``(e_rare - g_rare m_rare) - (e_common - g_common m_common)``. The method assumes that fewer
    than half of the heads are special.

    Args:
        group: (H, 2, ...) effects on the group on rare and on common rows.
        matched: (H, 2, ...) effects on the mean of its matched groups, or of a shape that broadcasts.
        everyone: indices of the heads that the median is over, where some heads represent others that were not
            measured; by default each head once.

    Returns:
        (H, ...); NaN for fewer than three heads, since none can be compared with the others.
    """
    if len(group) < 3:
        return np.full((len(group), *group.shape[2:]), np.nan)
    ratio = np.divide(group, matched, out=np.zeros(np.broadcast_shapes(group.shape, matched.shape)), where=matched > 0)
    gain = np.median(ratio if everyone is None else ratio[everyone], axis=0)
    beyond = group - gain * matched
    return beyond[:, 0] - beyond[:, 1]


def routing_shares(beyond: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """Routing as a share of what a head does: 1 for a head that moves the group on rare rows and nothing else.

    Args:
        beyond: (H, ...) as :func:`selectivity_beyond` returns it.
        effect: (H, ...) effect on the group on rare rows.

    Returns:
        (H, ...); 0 where a head has no effect.
    """
    return np.divide(beyond, effect, out=np.zeros(np.shape(beyond)), where=effect > 0)


@dataclass(frozen=True)
class HeadBounds:
    """Bounds (H,) of a number of each head.

    ``low``: all numbers lie above theirs together. ``high``: each number lies below its own; the largest number lies
    below the largest of these bounds, whichever head it belongs to (Berger 1982: a union of hypotheses is rejected if
    each of them is), so that no adjustment is needed for "no head has more". ``error``: standard errors. ``critical``:
    how many of them ``low`` lies below the number.
    """

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray
    critical: float


def bounds_over_heads(values: np.ndarray, draws: np.ndarray, n_documents: int) -> HeadBounds:
    """Bounds of a number of each head, each with a confidence of ``LEVEL`` that leaves out half of it on either side.

    Args:
        values: (H,) numbers.
        draws: (H, B) their bootstrap draws, of the same documents for all heads.
        n_documents: D. Errors of few documents are themselves uncertain, so Student's t with D - 1 degrees of freedom
            takes the place of the normal distribution.

    Returns:
        Bounds; NaN where fewer than ten draws are finite for all heads. ``low`` takes the largest deviation over heads
        in each draw (max-t: Westfall & Young 1993).
    """
    known = draws[:, np.isfinite(draws).all(0)]
    if known.shape[1] < 10 or n_documents < 2:
        nothing = np.full(len(values), np.nan)
        return HeadBounds(nothing, nothing, nothing, float("nan"))
    spread = known.std(1)
    deviation = (known.mean(1, keepdims=True) - known) / np.where(spread > 0, spread, 1)[:, None]
    largest = float(np.quantile(-np.sort(-deviation, axis=0)[0], (1 + LEVEL) / 2))
    tail = min(max(float(ndtr(-largest)), 1e-12), (1 - LEVEL) / 2)
    one, all_heads = (-float(stdtrit(n_documents - 1, p)) for p in ((1 - LEVEL) / 2, tail))
    error = spread * np.sqrt(n_documents / (n_documents - 1))
    return HeadBounds(values - all_heads * error, values + one * error, error, all_heads)


def standardised_over_groups(values: np.ndarray, controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of heads in standard deviations over a group and its controls, less their mean.

    Args:
        values: (H,) of the group.
        controls: (H, m) of m control groups.

    Returns:
        Scores (H, 1 + m), the group first, and the unit (H,).
    """
    together = np.column_stack([values, controls])
    spread = together.std(1)
    unit = np.where(spread > 0, spread, 1)
    return (together - together.mean(1, keepdims=True)) / unit[:, None], unit


def adjusted_over_heads(values: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """One-sided p-value of "larger than in control groups", adjusted for the number of heads (Westfall & Young 1993).

    Each head is measured in standard deviations over the group and its controls. A head's p-value is the share of these
    groups whose largest value over *all* heads is at least the head's value. It is the chance that any head of a group
    like the controls gets this far.

    Args:
        values: (H,) of the group.
        controls: (H, m) of m control groups.

    Returns:
        (H,); NaN without controls.
    """
    if controls.shape[1] == 0:
        return np.full(len(values), np.nan)
    scores, _ = standardised_over_groups(values, controls)
    largest = scores.max(0)
    return (largest >= scores[:, :1]).mean(1)
