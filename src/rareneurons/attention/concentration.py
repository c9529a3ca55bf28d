"""How concentrated influence is over heads: Gini coefficient and share of the top heads, with a permutation null."""

import numpy as np

TOP = 0.1  # the top heads are this share of all, at least one


def gini(values: np.ndarray) -> np.ndarray:
    """Gini coefficient over the last axis of non-negative values (..., H).

    Returns:
        (...): 0 when all are equal, 1 - 1/H when one holds all; NaN where all are 0 or there are none.
    """
    n = values.shape[-1]
    total = values.sum(-1)
    weighted = np.sort(values, axis=-1) @ (2 * np.arange(1, n + 1) - n - 1.0)
    return np.divide(weighted, n * total, out=np.full(np.shape(total), np.nan), where=total > 0)


def top_share(values: np.ndarray) -> np.ndarray:
    """Share of the sum over the last axis (..., H) that the largest ``TOP`` of the values hold; NaN where it is 0."""
    top = max(1, round(TOP * values.shape[-1]))
    total = values.sum(-1)
    largest = np.sort(values, axis=-1)[..., -top:].sum(-1)
    return np.divide(largest, total, out=np.full(np.shape(total), np.nan), where=total > 0)


CONCENTRATION = {"gini": gini, "top_share": top_share}


def permuted_means(sums: np.ndarray, rows: np.ndarray, n_permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Mean effects of heads if no head were special: the heads' names dealt out anew in every document.

    Args:
        sums: (H, D) sums of an effect over each document's rows.
        rows: (D,) numbers of these rows.
        n_permutations: how often the names are dealt.
        rng: deals them.

    Returns:
        (permutations, H) means over rows, each permutation sorted from the largest down.
    """
    found = np.empty((n_permutations, len(sums)))
    for number in range(n_permutations):
        found[number] = rng.permuted(sums, axis=0).sum(1) / rows.sum()
    return -np.sort(-found, axis=1)
