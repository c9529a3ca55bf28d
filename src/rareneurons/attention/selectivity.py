"""Rare against common: ratios of document sums, their bootstrap draws and p, and p adjusted over heads."""

import numpy as np
from scipy.special import stdtr


def condition_means(sums: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Means over rows (..., C) from sums by document (..., C, D) and numbers of rows (C, D)."""
    n = rows.sum(-1)
    return sums.sum(-1) / np.where(n > 0, n, np.nan)


def condition_draws(sums: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same means in each bootstrap draw, (..., C, B), from how often it holds each document, (B, D).

    NaN where a draw holds no row of a condition.
    """
    n_rows = (rows @ weights.T).astype(float)
    return (sums @ weights.T) / np.where(n_rows > 0, n_rows, np.nan)


def clustered_p(sums: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Two-sided p of "the first condition's mean equals the second's".

    Student's t with D - 1 degrees of freedom on the difference over its standard error clustered by document: a
    document's share in the difference is ``(S_d - n_d m) / n`` of each condition (linearised ratio). Not a bootstrap p,
    because many heads are tested at once and adjusted p need small ones.

    Args:
        sums: (..., 2, D) sums over each document's rows of the conditions.
        rows: (2, D) numbers of these rows.

    Returns:
        (...); 1 where all documents agree on 0, NaN for fewer than two documents.
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
    """Rare less common of what each head does to a group beyond what matched groups and the other heads explain.

    Neurons that are more excitable on rare rows are moved more there by *any* head, because their nonlinearity is
    steeper. So the group's gain in a condition, the median over heads of its effect over that on matched groups, is
    taken out first: ``(e_rare - g_rare m_rare) - (e_common - g_common m_common)``. Fewer than half of the heads can be
    special.

    Args:
        group: (H, 2, ...) effects on the group on rare and on common rows.
        matched: (H, 2, ...) on the mean of its matched controls, or of a shape that broadcasts.

    Returns:
        (H, ...); NaN for fewer than three heads, where none can stand out.
    """
    if len(group) < 3:
        return np.full((len(group), *group.shape[2:]), np.nan)
    ratio = np.divide(group, matched, out=np.zeros(np.broadcast_shapes(group.shape, matched.shape)), where=matched > 0)
    beyond = group - np.median(ratio, axis=0) * matched
    return beyond[:, 0] - beyond[:, 1]


def adjusted_over_heads(values: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """One-sided p "larger than in control groups", adjusted for the number of heads (Westfall & Young 1993).

    Each head is measured in standard deviations of its controls. A head's p is the share of control groups, the group
    itself among them, whose largest value over *all* heads is at least the head's: the chance that any head of a
    group like the controls gets this far.

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
