"""Measures of a group, and between groups, from the similarities of their neurons; for many groups at once."""

from dataclasses import dataclass

import numpy as np

from rareneurons.coordination.similarity import Similarities, scaled
from rareneurons.stats import Alternative

SHARE_OF_VARIANCE = 0.95
ROW_MEASURES = ("effective_dimension", "participation_ratio", "mean_abs_correlation")  # few rows move them
SUBSPACE = 3  # leading components whose subspaces are compared: as many as the smallest group has
NULL_QUANTILE, NULL_DRAWS = 0.95, 200  # of parallel analysis
RANDOM = "random"  # the partner that is a random group: the paper's "random neurons"


@dataclass(frozen=True)
class Measure:
    """Unit of a measure, and the tail that is extreme: what the claim says, either where it says nothing."""

    unit: str
    alternative: Alternative


MEASURES = {
    "effective_dimension": Measure("share of group size", "less"),
    "participation_ratio": Measure("share of group size", "less"),
    "parallel_components": Measure("components", "two-sided"),
    "mean_correlation": Measure("correlation", "greater"),
    "mean_abs_correlation": Measure("correlation", "greater"),
    "mean_cosine": Measure("cosine", "greater"),
    "coactivation": Measure("share of rows", "greater"),
}
BETWEEN = {
    "correlation": Measure("correlation", "two-sided"),
    "cosine": Measure("cosine", "two-sided"),
    "angle": Measure("degrees", "two-sided"),
}


def measure_of(name: str) -> Measure:
    """Unit and tail of a measure within a group or between groups."""
    return MEASURES[name] if name in MEASURES else BETWEEN[name.split("_")[0]]


def independent_quantiles(n_rows: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """The 95 % quantile, component by component, of the eigenvalues of correlations of independent normal columns.

    Parallel analysis (Horn 1965; quantile: Glorfeld 1995). The cross products of T normal rows are drawn as they are
    distributed, by Bartlett's decomposition, so the cost does not depend on T.

    Args:
        n_rows: T, more than n.
        n: columns.
        rng: draws the columns.

    Returns:
        (n,) falling.
    """
    lower = np.tril(rng.normal(size=(NULL_DRAWS, n, n)), -1)
    own = np.sqrt(rng.chisquare(n_rows - 1 - np.arange(n), size=(NULL_DRAWS, n)))
    factor = lower + own[:, :, None] * np.eye(n)
    eigenvalues = np.linalg.eigvalsh(scaled(factor @ np.swapaxes(factor, -1, -2)))[:, ::-1]
    return np.quantile(eigenvalues, NULL_QUANTILE, axis=0)


def pair_mean(matrix: np.ndarray) -> np.ndarray:
    """Mean off the diagonal of each (..., n, n)."""
    n = matrix.shape[-1]
    return (matrix.sum((-2, -1)) - np.trace(matrix, axis1=-2, axis2=-1)) / (n * (n - 1))


def dimensions(correlation: np.ndarray) -> dict[str, np.ndarray]:
    """Dimension of each group (G,) from its correlations (G, n, n); NaN where one is NaN.

    ``effective_dimension``: fewest principal components of the standardised activations that hold 95 % of their
    variance, as a share of n (paper section 4). ``participation_ratio``: ``(sum l)^2 / sum l^2 / n``.
    ``eigenvalues``: (G, n), falling.
    """
    n = correlation.shape[-1]
    known = np.isfinite(correlation).all((1, 2))
    eigenvalues = np.full(correlation.shape[:2], np.nan)
    eigenvalues[known] = np.clip(np.linalg.eigvalsh(correlation[known])[:, ::-1], 0, None)
    share = np.cumsum(eigenvalues, axis=1) / eigenvalues.sum(1, keepdims=True)
    needed = 1.0 + (share < SHARE_OF_VARIANCE - 1e-12).sum(1)
    return {
        "effective_dimension": np.where(known, needed / n, np.nan),
        "participation_ratio": eigenvalues.sum(1) ** 2 / np.square(eigenvalues).sum(1) / n,
        "eigenvalues": eigenvalues,
    }


def row_measures(correlation: np.ndarray) -> dict[str, np.ndarray]:
    """The ``ROW_MEASURES``, which need nothing but the correlations (G, n, n) of each group."""
    return {**dimensions(correlation), "mean_abs_correlation": pair_mean(np.abs(correlation))}


def group_measures(similar: Similarities, quantiles: np.ndarray) -> dict[str, np.ndarray]:
    """The ``MEASURES`` of each group (G,), NaN where a neuron is constant.

    Args:
        similar: of each group's neurons, (G, n, n).
        quantiles: (n,) as :func:`independent_quantiles` returns them: ``parallel_components`` counts the leading
            eigenvalues above them, up to the first that is not.
    """
    found = dimensions(similar.correlation)
    eigenvalues = found.pop("eigenvalues")
    known = np.isfinite(eigenvalues).all(1)
    found["parallel_components"] = np.cumprod(eigenvalues > quantiles, axis=1).sum(1).astype(float)
    found["mean_correlation"] = pair_mean(similar.correlation)
    found["mean_abs_correlation"] = pair_mean(np.abs(similar.correlation))
    found["mean_cosine"] = pair_mean(similar.cosine)
    found["coactivation"] = pair_mean(similar.coactivation)
    return {name: np.where(known, value, np.nan) for name, value in found.items()}


def _leading(correlation: np.ndarray) -> np.ndarray:
    """Coefficients (..., n, SUBSPACE) that make orthonormal leading components of standardised activations."""
    values, vectors = np.linalg.eigh(correlation)
    return vectors[..., -SUBSPACE:] / np.sqrt(np.maximum(values[..., -SUBSPACE:], 1e-12))[..., None, :]


def subspace_angles(own: np.ndarray, cross: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean principal angle (Bjorck & Golub 1973) of the leading components of groups and of another, degrees (G,).

    The components are directions in the space of rows; their inner products follow from correlations alone.

    Args:
        own: (G, n, n) correlations of each group.
        cross: (G, n, p) of each group with the other.
        other: (p, p) of the other.

    Returns:
        0 (one subspace) to 90 (at right angles); NaN where a correlation is NaN.
    """
    angles = np.full(len(own), np.nan)
    known = np.isfinite(own).all((1, 2)) & np.isfinite(cross).all((1, 2)) & np.isfinite(other).all()
    if known.any():
        product = np.swapaxes(_leading(own[known]), -1, -2) @ cross[known] @ _leading(other)
        cosines = np.linalg.svd(product, compute_uv=False)
        angles[known] = np.degrees(np.arccos(np.clip(cosines, 0, 1))).mean(1)
    return angles


def between_measures(
    similar: Similarities, groups: np.ndarray, partner: str, other: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean correlation and cosine of each group (G, n) with another (p,), and the angle of their subspaces.

    Pairs of a neuron with itself are left out. There is no angle to random neurons, since controls share some with
    them.
    """
    cross = similar.between(groups, other[None])
    different = groups[:, :, None] != other[None, None]
    count = different.sum((1, 2))
    found = {}
    for kind, matrix in (("correlation", cross.correlation), ("cosine", cross.cosine)):
        total = np.where(different, matrix, 0).sum((1, 2))
        found[f"{kind}_with_{partner}"] = total / np.where(count, count, np.nan)
    if partner != RANDOM:
        own, far = similar.within(groups).correlation, similar.within(other[None]).correlation[0]
        found[f"angle_to_{partner}"] = subspace_angles(own, cross.correlation, far)
    return found
