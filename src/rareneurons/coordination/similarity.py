"""Similarities of all pairs of neurons, computed once. A group selects rows and columns of them."""

from dataclasses import dataclass

import numpy as np

ACTIVE = 1.0  # a neuron is active on a row if it exceeds its mean by this many standard deviations


@dataclass(frozen=True)
class Moments:
    """Weighted sums over rows, for one set of neurons (n,) or more sets (..., n).

    Attributes:
        n_rows: sum of the rows' weights.
        shift: (..., n) what was subtracted from the activations, so that their products keep their digits.
        total: (..., n) sums of the shifted activations.
        product: (..., n, n) sums of products of the shifted activations of two neurons.
        active: (..., n) number of rows on which a neuron is active.
        together: (..., n, n) number of rows on which both neurons of a pair are active.
    """

    n_rows: float
    shift: np.ndarray
    total: np.ndarray
    product: np.ndarray
    active: np.ndarray
    together: np.ndarray

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of both sets of rows. The neurons and their shift must be the same."""
        return Moments(
            self.n_rows + other.n_rows,
            self.shift,
            self.total + other.total,
            self.product + other.product,
            self.active + other.active,
            self.together + other.together,
        )

    def __sub__(self, other: "Moments") -> "Moments":
        """Moments of the rows that are not among the other's, which are a part of them."""
        return Moments(
            self.n_rows - other.n_rows,
            self.shift,
            self.total - other.total,
            self.product - other.product,
            self.active - other.active,
            self.together - other.together,
        )


@dataclass(frozen=True)
class Activity:
    """Activations less ``shift`` (..., n), float64 (..., T, n), and on which rows each neuron is active."""

    value: np.ndarray
    shift: np.ndarray
    active: np.ndarray

    def of(self, neurons: np.ndarray) -> "Activity":
        """The same of some neurons (n,), or of a stack of groups of one size (G, n)."""
        value, active = (np.moveaxis(array[:, neurons], 0, -2) for array in (self.value, self.active))
        return Activity(np.ascontiguousarray(value), self.shift[neurons], np.ascontiguousarray(active))

    def moments(self, rows: np.ndarray, weights: np.ndarray | None = None) -> Moments:
        """Moments of the rows with these indices; each counts ``weights`` times (once if not given)."""
        value, active = self.value[..., rows, :], self.active[..., rows, :]
        counted = np.ones(len(rows)) if weights is None else weights.astype(float)
        heavy, busy = value, active
        if weights is not None:
            heavy, busy = value * counted[:, None], active * counted[:, None].astype(active.dtype)
        return Moments(
            float(counted.sum()),
            self.shift,
            heavy.sum(-2),
            np.swapaxes(heavy, -1, -2) @ value,
            busy.sum(-2),
            np.swapaxes(busy, -1, -2) @ active,
        )


def activity(activation: np.ndarray) -> Activity:
    """Activations (T, N), and the rows on which a neuron exceeds its mean by ``ACTIVE`` standard deviations."""
    value = activation.astype(np.float64)
    shift = value.mean(0)
    value -= shift
    # Counts stay exact in float32 below 2^24 rows, at half the cost.
    return Activity(value, shift, (value > ACTIVE * value.std(0)).astype(np.float32))


@dataclass(frozen=True)
class Similarities:
    """Pearson correlation, cosine of uncentred activations and coactivation of pairs of neurons, each (..., n, n).

    ``coactivation``: share of rows on which both are active, minus the product of the two neurons' own shares, which is
    the expectation for independent neurons. Correlations of a constant neuron are NaN.
    """

    correlation: np.ndarray
    cosine: np.ndarray
    coactivation: np.ndarray

    def within(self, groups: np.ndarray) -> "Similarities":
        """Similarities within each group (G, n): (G, n, n)."""
        return self.between(groups, groups)

    def between(self, groups: np.ndarray, others: np.ndarray) -> "Similarities":
        """Similarities of each group's neurons (G, n) with others (G or 1, p): (G, n, p)."""
        place = groups[:, :, None], others[:, None, :]
        return Similarities(self.correlation[place], self.cosine[place], self.coactivation[place])


def scaled(product: np.ndarray) -> np.ndarray:
    """Products (..., n, n) over the roots of both diagonal entries; NaN where a diagonal entry is not positive."""
    own = np.diagonal(product, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse = np.where(own > 0, 1 / np.sqrt(own), np.nan)
    return product * inverse[..., :, None] * inverse[..., None, :]


def _outer(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left[..., :, None] * right[..., None, :]


def correlations(moments: Moments) -> np.ndarray:
    """Pearson correlations (..., n, n) of all pairs; NaN in the row and column of a constant neuron."""
    n, total = moments.n_rows, moments.total
    covariance = moments.product - _outer(total, total) / n
    # The variance of a constant neuron is rounding noise, not exactly zero.
    diagonal = np.einsum("...ii->...i", covariance)
    square = n * np.square(moments.shift) + np.einsum("...ii->...i", moments.product)
    diagonal[diagonal <= 1e-12 * square] = 0
    return scaled(covariance)


def correlations_without(whole: Moments, activity: Activity, neurons: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pearson correlations of some neurons with all (U, N), on all rows but those given; NaN for constant neurons.

    Args:
        whole: moments of all rows and neurons.
        activity: of all rows and neurons.
        neurons: (U,) indices.
        rows: indices of the rows that are left out.
    """
    value, n = activity.value[rows], whole.n_rows - len(rows)
    total = whole.total - value.sum(0)
    product = whole.product[neurons] - value[:, neurons].T @ value
    square = np.diagonal(whole.product) - np.square(value).sum(0)
    variance = square - np.square(total) / n
    # As in correlations: the variance of a constant neuron is rounding noise.
    variance = np.where(variance <= 1e-12 * (n * np.square(whole.shift) + square), np.nan, variance)
    return (product - _outer(total[neurons], total) / n) / np.sqrt(_outer(variance[neurons], variance))


def similarities(moments: Moments) -> Similarities:
    """Similarities of all pairs of neurons from their moments."""
    n, shifted = moments.n_rows, _outer(moments.total, moments.shift)
    second = moments.product + shifted + np.swapaxes(shifted, -1, -2) + n * _outer(moments.shift, moments.shift)
    share = moments.active / n
    return Similarities(correlations(moments), scaled(second), moments.together / n - _outer(share, share))
