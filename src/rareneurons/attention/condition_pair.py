"""The two conditions that attention is compared between, and bootstrap draws of their documents."""

from dataclasses import dataclass

import numpy as np

from rareneurons.attention.selectivity import clustered_p, condition_draws, condition_means


@dataclass(frozen=True)
class ConditionPair:
    """Two conditions and bootstrap draws of documents; all numbers share the draws.

    ``names``: names of the two conditions. ``rows`` (2, D): number of rows of each condition in each document.
    ``weights`` (B, D): how often each draw holds each document.
    """

    names: tuple[str, str]
    rows: np.ndarray
    weights: np.ndarray

    @property
    def difference(self) -> str:
        """Name of the first condition less the second."""
        return f"{self.names[0]}-{self.names[1]}"

    @property
    def n(self) -> np.ndarray:
        """Number of rows of each condition, (2,)."""
        return self.rows.sum(1)

    @property
    def n_documents(self) -> int:
        """How many documents have at least one row of the two conditions."""
        return int((self.rows.sum(0) > 0).sum())

    def means(self, sums: np.ndarray) -> np.ndarray:
        """Means over rows (..., 2) from sums by document (..., 2, D)."""
        return condition_means(sums, self.rows)

    def draws(self, sums: np.ndarray) -> np.ndarray:
        """The same means in each bootstrap draw, (..., 2, B)."""
        return condition_draws(sums, self.rows, self.weights)

    def compared(self, sums: np.ndarray) -> list[tuple[str, int, np.ndarray, np.ndarray, np.ndarray]]:
        """Numbers of each condition and of their difference, from sums by document (..., 2, D).

        Returns:
            Three tuples: name, number of rows, means (...), draws (..., B) and p-values (...). The p-values of the two
            conditions are NaN, since only a difference is tested.
        """
        means, draws = self.means(sums), self.draws(sums)
        none = np.full(means.shape[:-1], np.nan)
        found = [(name, int(self.n[s]), means[..., s], draws[..., s, :], none) for s, name in enumerate(self.names)]
        gap, drawn = means[..., 0] - means[..., 1], draws[..., 0, :] - draws[..., 1, :]
        return [*found, (self.difference, int(self.n.sum()), gap, drawn, clustered_p(sums, self.rows))]
