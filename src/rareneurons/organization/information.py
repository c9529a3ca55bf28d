"""Mutual information between neurons by binning, with Miller and Madow's correction, and its linear part.

The activations of each neuron are cut into ``BINS`` bins of equal numbers of rows. For independent neurons the plug-in
estimate is ``(BINS - 1)^2 / 2T`` nats too high. The correction removes this first-order bias (Miller 1955). The
estimate never exceeds ``ln BINS``, so that a nearly deterministic relation is underestimated.
"""

import numpy as np

BINS = 6
MOST_ROWS = 1000  # evenly spaced; more rows take longer and change little, since the bias is corrected
PAIRS_PER_CHUNK = 2048  # so that their bits stay in the processor's cache


def chosen_rows(n_rows: int) -> np.ndarray:
    """At most ``MOST_ROWS`` evenly spaced row indices."""
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, MOST_ROWS)).round().astype(np.int64))


def chosen_pairs(size: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Pairs (P, 2), i < j, of places in a group of ``size``: all, or ``most`` of them drawn without repeats."""
    pairs = np.column_stack(np.triu_indices(size, 1))
    return pairs if len(pairs) <= most else pairs[np.sort(rng.choice(len(pairs), most, replace=False))]


def binned(activation: np.ndarray) -> np.ndarray:
    """Bin numbers uint8 (T, N), from 0. Equal values share a bin, so a neuron with ties fills fewer bins."""
    edges = np.quantile(activation, np.arange(1, BINS) / BINS, axis=0, method="lower")
    return sum((activation > edge).astype(np.uint8) for edge in edges)


def bin_masks(bins: np.ndarray) -> np.ndarray:
    """Which rows lie in each bin, one bit per row: uint64 (BINS, words, N) from bin numbers (T, N)."""
    flags = np.ascontiguousarray(bins.T) == np.arange(BINS, dtype=bins.dtype)[:, None, None]
    packed = np.packbits(flags, axis=2)
    padded = np.zeros((*packed.shape[:2], -(-packed.shape[2] // 8) * 8), dtype=np.uint8)
    padded[:, :, : packed.shape[2]] = packed
    return np.ascontiguousarray(padded.view(np.uint64).transpose(0, 2, 1))


def mutual_information(masks: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Corrected mutual information of pairs of neurons, nats.

    Args:
        masks: (BINS, words, N) as :func:`bin_masks` returns them.
        pairs: (P, 2) neuron indices; pairs that repeat are computed once.

    Returns:
        (P,). Estimates of independent pairs scatter about 0, so values below 0 occur.
    """
    n_neurons = masks.shape[2]
    key = pairs[:, 0].astype(np.int64) * n_neurons + pairs[:, 1]
    distinct, place = np.unique(key, return_inverse=True)
    found = np.empty(len(distinct))
    for first in range(0, len(distinct), PAIRS_PER_CHUNK):
        part = distinct[first : first + PAIRS_PER_CHUNK]
        found[first : first + PAIRS_PER_CHUNK] = _of_counts(_joint_counts(masks, part // n_neurons, part % n_neurons))
    return found[place]


def _joint_counts(masks: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Number of rows in each pair of bins, (P, BINS, BINS)."""
    first, second = masks[:, :, one], masks[:, :, other]
    counts = np.empty((BINS, BINS, len(one)))
    for row in range(BINS):
        for column in range(BINS):
            counts[row, column] = np.bitwise_count(first[row] & second[column]).sum(0, dtype=np.uint16)
    return counts.transpose(2, 0, 1)


def _of_counts(counts: np.ndarray) -> np.ndarray:
    total = counts.sum((1, 2))
    entropies, occupied = [], []
    for part in (counts.sum(2), counts.sum(1), counts.reshape(len(counts), -1)):
        share = part / total[:, None]
        entropies.append(-(share * np.log(np.where(share > 0, share, 1))).sum(1))
        occupied.append((part > 0).sum(1))
    correction = (occupied[0] + occupied[1] - occupied[2] - 1) / (2 * total)
    return entropies[0] + entropies[1] - entropies[2] + correction


def linear_information(correlation: np.ndarray) -> np.ndarray:
    """Mutual information of a bivariate normal with these correlations, ``-ln(1 - r^2) / 2``, nats."""
    return -0.5 * np.log(np.maximum(1 - np.square(correlation), 1e-15))
