"""Tails of spectra: Hill's exponent over k, and power laws fitted by maximum likelihood."""

import numpy as np

from rareneurons.stats import percentile_interval

TAIL_SHARE = 0.1  # the paper's k = 0.1 n
LEAST_TAIL = 8  # a fitted tail has at least this many eigenvalues
LEAST_STABLE = 12  # a stable region is looked for in spectra of at least this many eigenvalues
ZERO = 1e-10  # smaller eigenvalues are rounding errors


def paper_k(n: int) -> int:
    """Number of eigenvalues in the paper's tail of a spectrum of n."""
    return min(max(1, int(TAIL_SHARE * n)), n - 1)


def hill_plot(eigenvalues: np.ndarray) -> np.ndarray:
    """Hill's exponent for every k, ``[mean_{i<=k} ln(l_i / l_{k+1})]^-1``; a smaller one means a heavier tail.

    Args:
        eigenvalues: (B, n) largest first.

    Returns:
        (B, n - 1) for k = 1 ... n - 1. NaN where the first k + 1 eigenvalues are equal, or eigenvalue k + 1 is zero.
    """
    positive = np.where(eigenvalues > ZERO, eigenvalues, np.nan)
    logs = np.log(positive)
    k = np.arange(1, eigenvalues.shape[1])
    mean_log = np.cumsum(logs, axis=1)[:, :-1] / k - logs[:, 1:]
    return 1 / np.where(mean_log > 1e-12, mean_log, np.nan)


def hill_exponent(eigenvalues: np.ndarray) -> np.ndarray:
    """The paper's tail exponent: Hill's at ``k = 0.1 n``, at least 1.

    As in the paper (section 6), there is no "+1" that would make it the exponent of a density.

    Args:
        eigenvalues: (B, n) largest first.

    Returns:
        (B,). NaN for fewer than two eigenvalues, and where :func:`hill_plot` is NaN.
    """
    n = eigenvalues.shape[1]
    return hill_plot(eigenvalues)[:, paper_k(n) - 1] if n > 1 else np.full(len(eigenvalues), np.nan)


def stable_window(plot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where Hill plots depend least on k: their flattest sixth, with k from 2 to half of n.

    Args:
        plot: (B, n - 1) as :func:`hill_plot` returns it.

    Returns:
        First k of the window of consecutive k with the smallest coefficient of variation, int (B,), and the mean
        exponent over the window (B,). Where there is no window, 0 and NaN.
    """
    n_spectra, n = plot.shape[0], plot.shape[1] + 1
    if n < LEAST_STABLE:
        return np.zeros(n_spectra, dtype=int), np.full(n_spectra, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(plot[:, 1 : n // 2], window_width(n), axis=1)
    means = windows.mean(-1)
    variation = np.where(np.isfinite(means), windows.std(-1) / means, np.inf)
    best = variation.argmin(1)
    found = np.isfinite(variation.min(1))
    return np.where(found, best + 2, 0), np.where(found, means[np.arange(n_spectra), best], np.nan)


def window_width(n: int) -> int:
    """Number of consecutive k in the stable window of a spectrum of n."""
    return max(3, n // 6)


def power_law_tail(eigenvalues: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximum-likelihood power-law tail with its beginning chosen by the Kolmogorov-Smirnov distance.

    The density is ``x^-alpha`` above ``xmin`` (Clauset, Shalizi & Newman 2009, SIAM Review 51, eq. 3.1, less the 1/n
    bias). Of all tails of at least ``LEAST_TAIL`` eigenvalues, the one nearest to its fit is taken.

    Args:
        eigenvalues: (B, n) largest first, positive.

    Returns:
        ``alpha``, number of eigenvalues in the tail, and the distance, each (B,). NaN, 0 and NaN where n is too small.
    """
    n_spectra, n = eigenvalues.shape
    logs = np.log(eigenvalues)
    total = np.cumsum(logs, axis=1)
    alpha, size, nearest = np.full(n_spectra, np.nan), np.zeros(n_spectra, dtype=int), np.full(n_spectra, np.inf)
    for k in range(LEAST_TAIL, n + 1):
        excess = np.maximum(total[:, k - 1] - k * logs[:, k - 1], 1e-12)
        exponent = 1 + (k - 1) / excess
        above = np.exp(-(exponent - 1)[:, None] * (logs[:, :k] - logs[:, k - 1 : k]))
        rank = np.arange(1, k + 1)
        distance = np.maximum(np.abs(above - rank / k), np.abs(above - (rank - 1) / k)).max(1)
        better = distance < nearest
        alpha, size = np.where(better, exponent, alpha), np.where(better, k, size)
        nearest = np.where(better, distance, nearest)
    return alpha, size, np.where(np.isfinite(nearest), nearest, np.nan)


def tail_interval(eigenvalues: np.ndarray, n_draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the tail exponent, by bootstrap of the eigenvalues; the tail is found again in each draw.

    Eigenvalues of one matrix repel each other. For spectra the interval is therefore rather too wide; for independent
    draws it is not.

    Args:
        eigenvalues: (n,) positive.
        n_draws: bootstrap draws.
        rng: draws eigenvalues with replacement.
    """
    draws = -np.sort(-rng.choice(eigenvalues, size=(n_draws, len(eigenvalues))), axis=1)
    return percentile_interval(power_law_tail(draws)[0])


def tail_goodness(eigenvalues: np.ndarray, n_draws: int, rng: np.random.Generator) -> float:
    """p-value of "the tail is a power law" (Clauset et al. 2009, section 4.1); a small one means that it is not.

    A simulated spectrum takes its tail from the fitted law, and draws the rest from the eigenvalues below the tail,
    with replacement.

    Args:
        eigenvalues: (n,) largest first, positive.
        n_draws: simulated spectra.
        rng: draws them.

    Returns:
        The p-value; NaN where no tail can be fitted.
    """
    alpha, size, distance = (values[0] for values in power_law_tail(eigenvalues[None]))
    if not np.isfinite(distance):
        return float("nan")
    n = len(eigenvalues)
    least = eigenvalues[size - 1]
    in_tail = rng.random((n_draws, n)) < size / n
    body = rng.choice(eigenvalues[size:], size=(n_draws, n)) if size < n else np.full((n_draws, n), least)
    drawn = np.where(in_tail, least * rng.random((n_draws, n)) ** (-1 / (alpha - 1)), body)
    null = power_law_tail(-np.sort(-drawn, axis=1))[2]
    return float((np.sum(null >= distance) + 1) / (n_draws + 1))
