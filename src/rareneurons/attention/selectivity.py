"""Rare compared with common rows: ratios of document sums, their draws, p-values and adjustment over heads."""

import numpy as np
from scipy.special import stdtr


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


def selectivity_beyond(group: np.ndarray, matched: np.ndarray) -> np.ndarray:
    """Rare less common effect of each head on a group, beyond what matched groups and the other heads explain.

    *Any* head moves neurons more on rows where they are more excitable, because their nonlinearity is steeper there.
    The group's gain in a condition is the median over heads of its effect over the effect on matched groups. This gain
    is taken out first: ``(e_rare - g_rare m_rare) - (e_common - g_common m_common)``. The method assumes that fewer
    than half of the heads are special.

    Args:
        group: (H, 2, ...) effects on the group on rare and on common rows.
        matched: (H, 2, ...) effects on the mean of its matched groups, or of a shape that broadcasts.

    Returns:
        (H, ...); NaN for fewer than three heads, since none can be compared with the others.
    """
    if len(group) < 3:
        return np.full((len(group), *group.shape[2:]), np.nan)
    ratio = np.divide(group, matched, out=np.zeros(np.broadcast_shapes(group.shape, matched.shape)), where=matched > 0)
    beyond = group - np.median(ratio, axis=0) * matched
    return beyond[:, 0] - beyond[:, 1]


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
    together = np.column_stack([values, controls])
    spread = together.std(1, keepdims=True)
    scores = (together - together.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1)
    largest = scores.max(0)
    return (largest >= scores[:, :1]).mean(1)
