"""Concentration of effects over heads: Gini coefficient and share of the top heads, with a permutation null."""

import numpy as np

TOP = 0.1  # the top heads are this share of all heads, and at least one


def gini(values: np.ndarray) -> np.ndarray:
    """Gini coefficient over the last axis of non-negative values (..., H).

    Returns:
        (...): 0 where all are equal, 1 - 1/H where one has everything. NaN where all are 0, or where H is 0.
    """
    n = values.shape[-1]
    total = values.sum(-1)
    weighted = np.sort(values, axis=-1) @ (2 * np.arange(1, n + 1) - n - 1.0)
    return np.divide(weighted, n * total, out=np.full(np.shape(total), np.nan), where=total > 0)


def top_share(values: np.ndarray) -> np.ndarray:
    """Share (...) of the sum over the last axis (..., H) that comes from the largest ``TOP`` of the values.

    NaN where the sum is 0.
    """
    top = max(1, round(TOP * values.shape[-1]))
    total = values.sum(-1)
    largest = np.sort(values, axis=-1)[..., -top:].sum(-1)
    return np.divide(largest, total, out=np.full(np.shape(total), np.nan), where=total > 0)


CONCENTRATION = {"gini": gini, "top_share": top_share}


def permuted_means(sums: np.ndarray, rows: np.ndarray, n_permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Mean effects of heads if no head were special: within each document, the heads are permuted.

    Args:
        sums: (H, D) an effect, summed over the rows of each document.
        rows: (D,) number of these rows.
        n_permutations: how often heads are permuted.
        rng: permutes them.

    Returns:
        (permutations, H) means over rows, the largest first in each permutation.
    """
    found = np.empty((n_permutations, len(sums)))
    for number in range(n_permutations):
        found[number] = rng.permuted(sums, axis=0).sum(1) / rows.sum()
    return -np.sort(-found, axis=1)
