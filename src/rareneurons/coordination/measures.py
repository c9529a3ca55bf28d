"""Measures of a group, and between two groups, from the similarities of their neurons. Many groups are done at once."""

from dataclasses import dataclass

import numpy as np

from rareneurons.coordination.similarity import Similarities, scaled
from rareneurons.stats import Alternative

SHARE_OF_VARIANCE = 0.95
SUBSPACE = 3  # leading components whose subspaces are compared; the smallest group has as many
NULL_QUANTILE, NULL_DRAWS = 0.95, 200  # of parallel analysis


@dataclass(frozen=True)
class Measure:
    """Unit of a measure, and the side of its null that counts as extreme.

    The side is the one that the paper's claim names; where the paper claims nothing, it is both.
    """

    unit: str
    alternative: Alternative


# Within a group.
MEASURES = {
    "effective_dimension": Measure("share of group size", "less"),
    "counted_dimension": Measure("share of group size", "less"),
    "participation_ratio": Measure("share of group size", "less"),
    "parallel_components": Measure("components", "two-sided"),
    "mean_correlation": Measure("correlation", "greater"),
    "mean_abs_correlation": Measure("correlation", "greater"),
    "positive_correlation": Measure("correlation", "greater"),
    "mean_cosine": Measure("cosine", "greater"),
    "coactivation": Measure("share of rows", "greater"),
}
COUNTS = ("counted_dimension", "parallel_components")  # whole numbers of components: no interval can be estimated
# Those that depend on the number of rows most.
ROW_MEASURES = ("effective_dimension", "participation_ratio", "mean_abs_correlation")
# Between a group and another one, its partner.
BETWEEN = {
    "correlation_between": Measure("correlation", "two-sided"),
    "cosine_between": Measure("cosine", "two-sided"),
    "subspace_angle": Measure("degrees", "two-sided"),
}
# Between a group and all other neurons of the layer.
OUTSIDE = {"negative_correlation": Measure("correlation", "greater")}


def measure_of(name: str) -> Measure:
    """Unit and extreme side of a measure within a group, between groups or towards all other neurons."""
    return (MEASURES | BETWEEN | OUTSIDE)[name]


def independent_quantiles(n_rows: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """The 95 % quantile of each eigenvalue of the correlations of independent normal columns.

    Parallel analysis (Horn 1965; quantile: Glorfeld 1995). The cross products of T normal rows are drawn from their
    distribution by Bartlett's decomposition. So the cost does not depend on T.

    Args:
        n_rows: T, more than n.
        n: columns.
        rng: draws the columns.

    Returns:
        (n,), in falling order.
    """
    lower = np.tril(rng.normal(size=(NULL_DRAWS, n, n)), -1)
    own = np.sqrt(rng.chisquare(n_rows - 1 - np.arange(n), size=(NULL_DRAWS, n)))
    factor = lower + own[:, :, None] * np.eye(n)
    eigenvalues = np.linalg.eigvalsh(scaled(factor @ np.swapaxes(factor, -1, -2)))[:, ::-1]
    return np.quantile(eigenvalues, NULL_QUANTILE, axis=0)


def pair_mean(matrix: np.ndarray) -> np.ndarray:
    """Mean of the entries off the diagonal of each (..., n, n)."""
    n = matrix.shape[-1]
    return (matrix.sum((-2, -1)) - np.trace(matrix, axis1=-2, axis2=-1)) / (n * (n - 1))


def dimensions(correlation: np.ndarray) -> dict[str, np.ndarray]:
    """Dimension of each group (G,) from its correlations (G, n, n); NaN where one is NaN.

    ``counted_dimension``: fewest principal components of the standardised activations that hold 95 % of their
    variance, as a share of n (paper section 4). ``effective_dimension``: the same with the last of them counted by the
    part of its variance that is needed, so that it moves continuously. ``participation_ratio``:
    ``(sum l)^2 / sum l^2 / n``. ``eigenvalues``: (G, n), in falling order.
    """
    n = correlation.shape[-1]
    known = np.isfinite(correlation).all((1, 2))
    eigenvalues = np.full(correlation.shape[:2], np.nan)
    eigenvalues[known] = np.clip(np.linalg.eigvalsh(correlation[known])[:, ::-1], 0, None)
    share = eigenvalues / eigenvalues.sum(1, keepdims=True)
    before = np.cumsum(share, axis=1) - share
    counted = (before < SHARE_OF_VARIANCE - 1e-12).sum(1)
    part = np.clip((SHARE_OF_VARIANCE - before) / np.maximum(share, 1e-300), 0, 1).sum(1)
    return {
        "effective_dimension": np.where(known, part / n, np.nan),
        "counted_dimension": np.where(known, counted / n, np.nan),
        "participation_ratio": eigenvalues.sum(1) ** 2 / np.square(eigenvalues).sum(1) / n,
        "eigenvalues": eigenvalues,
    }


def row_measures(correlation: np.ndarray) -> dict[str, np.ndarray]:
    """The ``ROW_MEASURES`` of each group. They need its correlations (G, n, n) alone."""
    return {**dimensions(correlation), "mean_abs_correlation": pair_mean(np.abs(correlation))}


def group_measures(similar: Similarities, quantiles: np.ndarray) -> dict[str, np.ndarray]:
    """The ``MEASURES`` of each group (G,); NaN where a neuron is constant.

    Args:
        similar: similarities of each group's neurons, (G, n, n).
        quantiles: (n,) as :func:`independent_quantiles` returns them. ``parallel_components`` counts the leading
            eigenvalues that exceed them, up to the first one that does not.
    """
    found = dimensions(similar.correlation)
    eigenvalues = found.pop("eigenvalues")
    known = np.isfinite(eigenvalues).all(1)
    found["parallel_components"] = np.cumprod(eigenvalues > quantiles, axis=1).sum(1).astype(float)
    found["mean_correlation"] = pair_mean(similar.correlation)
    found["mean_abs_correlation"] = pair_mean(np.abs(similar.correlation))
    found["positive_correlation"] = pair_mean(np.maximum(similar.correlation, 0))
    found["mean_cosine"] = pair_mean(similar.cosine)
    found["coactivation"] = pair_mean(similar.coactivation)
    return {name: np.where(known, value, np.nan) for name, value in found.items()}


def _leading(correlation: np.ndarray) -> np.ndarray:
    """Coefficients (..., n, SUBSPACE) of the orthonormal leading components of standardised activations."""
    values, vectors = np.linalg.eigh(correlation)
    return vectors[..., -SUBSPACE:] / np.sqrt(np.maximum(values[..., -SUBSPACE:], 1e-12))[..., None, :]


def subspace_angles(own: np.ndarray, cross: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean principal angle (Bjorck & Golub 1973) between the leading components of each group and of another one.

    The components are directions in the space of rows. Their inner products follow from correlations alone.

    Args:
        own: (G, n, n) correlations within each group.
        cross: (G, n, p) correlations of each group with the other one.
        other: (p, p) correlations within the other one.

    Returns:
        Degrees (G,), from 0 (the same subspace) to 90 (at right angles); NaN where a correlation is NaN.
    """
    angles = np.full(len(own), np.nan)
    known = np.isfinite(own).all((1, 2)) & np.isfinite(cross).all((1, 2)) & np.isfinite(other).all()
    if known.any():
        product = np.swapaxes(_leading(own[known]), -1, -2) @ cross[known] @ _leading(other)
        cosines = np.linalg.svd(product, compute_uv=False)
        angles[known] = np.degrees(np.arccos(np.clip(cosines, 0, 1))).mean(1)
    return angles


def between_measures(
    similar: Similarities, groups: np.ndarray, other: np.ndarray, with_angle: bool
) -> dict[str, np.ndarray]:
    """The measures ``BETWEEN`` each group and another one.

    Pairs of a neuron with itself are left out.

    Args:
        similar: similarities of all neurons.
        groups: (G, n) neuron indices of each group.
        other: (p,) neuron indices of the other one.
        with_angle: include ``subspace_angle``. It has no meaning where the groups share neurons with the other one.

    Returns:
        Measure -> values (G,).
    """
    cross = similar.between(groups, other[None])
    different = groups[:, :, None] != other[None, None]
    count = different.sum((1, 2))
    found = {}
    for name, matrix in (("correlation_between", cross.correlation), ("cosine_between", cross.cosine)):
        total = np.where(different, matrix, 0).sum((1, 2))
        found[name] = total / np.where(count, count, np.nan)
    if with_angle:
        own, far = similar.within(groups).correlation, similar.within(other[None]).correlation[0]
        found["subspace_angle"] = subspace_angles(own, cross.correlation, far)
    return found


def negative_correlation(
    correlation: np.ndarray, groups: np.ndarray, measured: np.ndarray, place: np.ndarray | None = None
) -> np.ndarray:
    """How far each group's neurons are active where the other neurons of the layer are not (arXiv 2505.12822).

    The mean of ``max(-r, 0)`` over pairs of a neuron of the group and another neuron, which is neither in the group nor
    in the measured one. So a control group that shares neurons with the measured group gains and loses nothing by what
    the latter's neurons have in common. Constant neurons are no other neurons.

    Args:
        correlation: (U, N) correlations of some neurons with all neurons of the layer.
        groups: (G, n) neuron indices of each group, 0 to N - 1: the measured one or its controls.
        measured: (n,) neuron indices of the measured group.
        place: (G, n) the groups' neurons among the U; the same indices if not given.

    Returns:
        (G,); NaN for a group with a constant neuron, or if there is no other neuron.
    """
    place = groups if place is None else place
    finite = np.isfinite(correlation)
    is_other = finite.any(0)
    is_other[measured] = False
    negative = np.where(finite & is_other, np.maximum(-correlation, 0), 0)
    within = negative[place[:, :, None], groups[:, None, :]].sum((1, 2))
    others = is_other.sum() - is_other[groups].sum(1)
    known = finite.any(1)[place].all(1) & (others > 0)
    pairs = np.where(known, groups.shape[1] * others, np.nan)
    return np.asarray((negative.sum(1)[place].sum(1) - within) / pairs)
