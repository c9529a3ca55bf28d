"""Correlations of random weight rows: their largest eigenvalue, and the law that all eigenvalues follow."""

import numpy as np

from rareneurons.spectra.tails import ZERO

TRACY_WIDOM_95 = 0.9793  # 95 % quantile of the Tracy-Widom law for real matrices (beta = 1)


def random_edge(n: int, width: int) -> float:
    """Value that the largest eigenvalue of n random weight rows' correlations exceeds in at most 5 % of draws.

    Marchenko and Pastur's edge with Tracy and Widom's fluctuation (Johnstone 2001, Annals of Statistics 29, 295-327).
    This is the law of covariances. The eigenvalues of correlations have a fixed sum and exceed it less often.

    Args:
        n: number of rows.
        width: length of a row.
    """
    root = np.sqrt(width - 1) + np.sqrt(n)
    spread = root * (1 / np.sqrt(width - 1) + 1 / np.sqrt(n)) ** (1 / 3)
    return float((root**2 + TRACY_WIDOM_95 * spread) / width)


def marchenko_pastur_distance(eigenvalues: np.ndarray, width: int) -> np.ndarray:
    """Kolmogorov-Smirnov distance between spectra and Marchenko and Pastur's law with ratio n / width.

    For n > width the law has n - width eigenvalues of zero, as the spectra have.

    Args:
        eigenvalues: (B, n) largest first.
        width: d, dimensions the correlations were taken over.

    Returns:
        (B,) distances between 0 and 1.
    """
    n = eigenvalues.shape[1]
    ratio = n / width
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    middle = np.linspace(low, high, 2001)
    middle = (middle[1:] + middle[:-1]) / 2
    density = np.sqrt((high - middle) * (middle - low)) / (2 * np.pi * ratio * middle)
    zeros = max(0.0, 1 - 1 / ratio)
    law = zeros + np.cumsum(density) * (middle[1] - middle[0])
    rising = eigenvalues[:, ::-1]
    expected = np.interp(rising, middle, law / law[-1], left=zeros, right=1.0)
    place = np.arange(1, n + 1) / n
    distance = np.maximum(np.abs(expected - place), np.abs(expected - place + 1 / n))
    return np.where(rising > ZERO, distance, 0).max(1)
