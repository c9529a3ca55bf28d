"""Eigenvalues of the correlations between weight rows, and the measures of a spectrum."""

import numpy as np

from rareneurons.groups import SMALLEST_GROUP
from rareneurons.spectra.random_matrices import marchenko_pastur_distance, random_edge
from rareneurons.spectra.tails import (
    LEAST_STABLE,
    LEAST_TAIL,
    ZERO,
    hill_exponent,
    hill_plot,
    power_law_tail,
    stable_window,
)
from rareneurons.stats import Alternative

# A heavier tail has a smaller exponent, a smaller stable rank and entropy, and more spikes.
ALTERNATIVES: dict[str, Alternative] = {
    "hill": "less",
    "hill_stable": "less",
    "tail_exponent": "less",
    "stable_rank": "less",
    "entropy": "less",
    "spikes": "greater",
    "mp_distance": "greater",
}
UNITS = {
    "hill": "exponent",
    "hill_stable": "exponent",
    "tail_exponent": "exponent",
    "stable_rank": "share of group size",
    "entropy": "share of ln group size",
    "spikes": "eigenvalues",
    "mp_distance": "Kolmogorov-Smirnov distance",
}
GROUPS_AT_ONCE = 50  # limits the memory that their correlations take
# Smallest number of eigenvalues of the measures that need more than ``SMALLEST_GROUP``.
LEAST = {"hill_stable": LEAST_STABLE, "tail_exponent": LEAST_TAIL}


def standard_rows(weights: np.ndarray) -> np.ndarray:
    """Weight rows (N, d) with mean 0 and variance 1 each, float64; NaN where all values of a row are equal."""
    rows = weights.astype(np.float64)
    rows -= rows.mean(1, keepdims=True)
    spread = np.sqrt(np.einsum("nd,nd->n", rows, rows) / rows.shape[1])
    spread[weights.max(1) == weights.min(1)] = np.nan
    rows /= spread[:, None]  # in place: in a mixture of experts they take a gigabyte
    return rows


def correlation_eigenvalues(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Eigenvalues, largest first, of the correlations between a group's neurons over the residual dimensions.

    Args:
        rows: (N, d) as :func:`standard_rows` returns them, one row per neuron.
        groups: (B, n) neuron indices.

    Returns:
        (B, n) eigenvalues, which sum to n. NaN for a group with a constant row.
    """
    found = np.full(groups.shape, np.nan)
    for first in range(0, len(groups), GROUPS_AT_ONCE):
        here = slice(first, first + GROUPS_AT_ONCE)
        correlations = np.array([rows[group] @ rows[group].T for group in groups[here]]) / rows.shape[1]
        known = np.isfinite(correlations).all((1, 2))
        found[here][known] = np.clip(np.linalg.eigvalsh(correlations[known])[:, ::-1], 0, None)
    return found


def spectrum_measures(eigenvalues: np.ndarray, width: int) -> dict[str, np.ndarray]:
    """All measures of spectra.

    Args:
        eigenvalues: (B, n) largest first, as :func:`correlation_eigenvalues` gives them.
        width: d, dimensions the correlations were taken over.

    Returns:
        Measure -> (B,). ``hill``: Hill's exponent at the paper's k. ``hill_stable``: its mean where the Hill plot is
        flattest. ``tail_exponent``: by maximum likelihood, the exponent of a density and so one more than Hill's.
        ``stable_rank``: sum over the largest eigenvalue, as a share of n. ``entropy``: as a share of ln n. ``spikes``:
        number of eigenvalues beyond :func:`random_edge`; random weights have none in 95 % of draws. ``mp_distance``: as
        :func:`marchenko_pastur_distance` defines it. NaN where :func:`why_no_spectrum` or :func:`why_no_number` has a
        reason.
    """
    n = eigenvalues.shape[1]
    found = {name: np.full(len(eigenvalues), np.nan) for name in UNITS}
    known = np.isfinite(eigenvalues).all(1)
    values = eigenvalues[known]
    if n < 2 or not len(values):
        return found
    share = values / values.sum(1, keepdims=True)
    found["stable_rank"][known] = values.sum(1) / values[:, 0] / n
    found["entropy"][known] = -(share * np.log(np.maximum(share, 1e-300))).sum(1) / np.log(n)
    found["spikes"][known] = (values > random_edge(n, width)).sum(1)
    found["mp_distance"][known] = marchenko_pastur_distance(values, width)
    found["hill"][known] = hill_exponent(values)
    found["hill_stable"][known] = stable_window(hill_plot(values))[1]
    positive = known & (eigenvalues[:, -1] > ZERO)
    if positive.any():
        found["tail_exponent"][positive] = power_law_tail(eigenvalues[positive])[0]
    return found


def why_no_spectrum(rows: np.ndarray) -> str:
    """Why a group's standardised rows (n, d) have no spectrum; empty where they have one."""
    n, n_constant = len(rows), int(np.isnan(rows).any(1).sum())
    if n < SMALLEST_GROUP:
        return f"{n} neurons, at least {SMALLEST_GROUP} are needed"
    return f"{n_constant} of {n} neurons have constant weights" if n_constant else ""


def why_no_number(measure: str, eigenvalues: np.ndarray) -> str:
    """Why a measure of a known spectrum (n,) is NaN."""
    n, rank = len(eigenvalues), int((eigenvalues > ZERO).sum())
    if n < LEAST.get(measure, 0):
        return f"{n} neurons, at least {LEAST[measure]} are needed"
    if rank < n:
        return f"the correlations of {n} neurons have rank {rank}: the tail reaches zero"
    return "the largest eigenvalues are equal: no tail"
