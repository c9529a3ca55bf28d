"""Rows of two conditions that are alike in clean loss and position.

Ablation hurts a row more if the model predicts it badly, whatever its target. Rare targets are predicted worse than
common ones. Among rows of equal clean loss, a difference between the conditions is not due to this alone.
"""

import numpy as np


def matched_rows(
    loss: np.ndarray,
    position: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    caliper: float,
    bins: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of one row from each condition, matched without replacement (Stuart 2010, arXiv 1010.5586).

    The rows of the first condition take turns in random order. Each takes the row of the second condition that is
    nearest in clean loss among those in the same bin of positions, if it lies within the caliper. What finds none is
    left out.

    Args:
        loss: (T,) clean loss, nats.
        position: (T,) position in the block.
        first: boolean (T,), rows of the first condition.
        second: boolean (T,), rows of the second. A row of both belongs to neither.
        caliper: largest difference in clean loss, in standard deviations of the loss over all these rows.
        bins: number of bins of positions, with equal numbers of rows.
        rng: draws the order.

    Returns:
        Row indices of the pairs, int64 (pairs,) for each condition.
    """
    either = first ^ second
    edges = np.quantile(position[either], np.arange(1, bins) / bins) if either.any() else np.empty(0)
    place = np.searchsorted(edges, position, side="right")
    largest = caliper * loss[either].std() if either.any() else 0.0
    free = second & ~first
    pairs = []
    for row in rng.permutation(np.flatnonzero(first & ~second)):
        others = np.flatnonzero(free & (place == place[row]))
        if not len(others):
            continue
        distance = np.abs(loss[others] - loss[row])
        nearest = int(np.argmin(distance))
        if distance[nearest] <= largest:
            pairs.append((row, others[nearest]))
            free[others[nearest]] = False
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]
