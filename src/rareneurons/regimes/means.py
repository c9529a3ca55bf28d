"""Mean influence of every neuron on one condition's documents: the basis of curves, their draws and their errors."""

from dataclasses import dataclass

import numpy as np

from rareneurons.influence.sums import InfluenceSums, clustered_mean
from rareneurons.regimes.curve import RankCurve, Sign, Statistic, rank_curve


@dataclass(frozen=True)
class MeanInfluence:
    """Means (N,) of dL (``mean``) and of |dL| (``mean_abs``) over a condition's rows, nats, and their standard errors.

    The means of a bootstrap draw have no errors: ``error`` and ``error_abs`` are empty.
    """

    mean: np.ndarray
    mean_abs: np.ndarray
    error: np.ndarray
    error_abs: np.ndarray

    def curve(self, sign: Sign, statistic: Statistic) -> RankCurve:
        """Rank-influence curve of the neurons of one sign."""
        return rank_curve(self.mean, self.mean_abs, sign, statistic)

    def influence(self, statistic: Statistic) -> np.ndarray:
        """Influence (N,), nats."""
        return self.mean_abs if statistic == "mean_abs" else np.abs(self.mean)

    def influence_share(self, neurons: np.ndarray, statistic: Statistic) -> float:
        """Share of the layer's summed influence that belongs to some neurons (n,)."""
        influence = self.influence(statistic)
        return float(influence[neurons].sum() / influence.sum())

    def relative_error(self, curve: RankCurve, statistic: Statistic) -> np.ndarray:
        """Standard error over influence of the neuron at each rank of a curve (n,)."""
        error = self.error_abs if statistic == "mean_abs" else self.error
        return error[curve.neuron] / self.influence(statistic)[curve.neuron]


def mean_influence(sums: InfluenceSums) -> MeanInfluence:
    """Means over all documents, with standard errors clustered by document."""
    mean, error = clustered_mean(sums.signed, sums.n_rows)
    mean_abs, error_abs = clustered_mean(sums.absolute, sums.n_rows)
    return MeanInfluence(mean, mean_abs, error, error_abs)


def drawn_means(sums: InfluenceSums, weights: np.ndarray) -> list[MeanInfluence]:
    """Means of each bootstrap draw; ``weights`` (B, documents) say how often a draw holds each document."""
    total = (weights @ sums.n_rows)[:, None]
    none = np.empty(0)
    return [
        MeanInfluence(mean, mean_abs, none, none)
        for mean, mean_abs in zip(weights @ sums.signed / total, weights @ sums.absolute / total, strict=True)
    ]
