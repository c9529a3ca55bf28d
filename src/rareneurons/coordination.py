"""Do the neurons of a group act together? Dimension and correlation of their activations, against random groups."""

from collections.abc import Sequence

import numpy as np

from rareneurons.stats import Alternative, against_controls, correlation_matrix, document_weights
from rareneurons.tables import Estimate

SHARE_OF_VARIANCE = 0.95
# The claim's direction decides the tail: coordinated neurons need fewer dimensions and correlate more.
ALTERNATIVES: dict[str, Alternative] = {
    "effective_dimension": "less",
    "participation_ratio": "less",
    "mean_correlation": "greater",
    "mean_abs_correlation": "greater",
}
UNITS = {
    "effective_dimension": "share of group size",
    "participation_ratio": "share of group size",
    "mean_correlation": "correlation",
    "mean_abs_correlation": "correlation",
}


def correlation_measures(correlation: np.ndarray) -> dict[str, float]:
    """Dimension and mean correlation of one group, from its correlation matrix (n, n).

    ``effective_dimension``: fewest principal components of the standardised activations that hold 95 % of their
    variance, as a share of n (paper section 4). ``participation_ratio``: ``(sum l)^2 / sum l^2 / n``. All NaN where
    a neuron is constant.
    """
    if not np.isfinite(correlation).all():
        return dict.fromkeys(ALTERNATIVES, float("nan"))
    n = len(correlation)
    eigenvalues = np.clip(np.linalg.eigvalsh(correlation)[::-1], 0, None)
    share = np.cumsum(eigenvalues) / eigenvalues.sum()
    pairs = correlation[np.triu_indices(n, 1)]
    return {
        "effective_dimension": float(np.searchsorted(share, SHARE_OF_VARIANCE - 1e-12) + 1) / n,
        "participation_ratio": float(eigenvalues.sum() ** 2 / np.square(eigenvalues).sum() / n),
        "mean_correlation": float(pairs.mean()),
        "mean_abs_correlation": float(np.abs(pairs).mean()),
    }


def group_coordination(
    activation: np.ndarray,
    document: np.ndarray,
    members: np.ndarray,
    controls: Sequence[np.ndarray],
    n_draws: int,
    rng: np.random.Generator,
) -> list[Estimate]:
    """Coordination of a group with document-bootstrap intervals and empirical p against control groups.

    Args:
        activation: (T, N) held-out activations of all last-MLP neurons.
        document: (T,) document id of each row.
        members: neuron indices of the group, at least 3.
        controls: neuron indices of each control group, of the same size.
        n_draws: bootstrap draws.
        rng: draws the documents.

    Returns:
        One estimate a measure (``n`` rows) and one ``<measure>.null_mean`` with the central 95 % of the controls.
    """
    mine = activation[:, members]
    _, place = np.unique(document, return_inverse=True)
    draws = [
        correlation_measures(correlation_matrix(mine, weights[place]))
        for weights in document_weights(int(place.max()) + 1, n_draws, rng)
    ]
    everything = correlation_matrix(activation)
    null = [correlation_measures(everything[np.ix_(c, c)]) for c in controls]
    estimates = []
    for name, value in correlation_measures(correlation_matrix(mine)).items():
        estimates += against_controls(
            Estimate(name, value, UNITS[name], len(mine)),
            [draw[name] for draw in draws],
            [control[name] for control in null],
            ALTERNATIVES[name],
        )
    return estimates
