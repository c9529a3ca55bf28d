"""What all estimates share: the two conditions, documents drawn with replacement, and how results are handed on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rareneurons.attention.selectivity import clustered_p, condition_draws, condition_means
from rareneurons.stats import benjamini_hochberg, percentile_interval
from rareneurons.tables import Estimate

WHOLE_LAYER = -1  # stands in the column head
EVERYTHING = "all"  # stands in the column group for what is not about a group of neurons


@dataclass(frozen=True)
class HeadEstimate:
    """An estimate of one head, or of a whole layer, and its p adjusted for the heads tested with it."""

    condition: str
    group: str
    layer: int
    head: int
    estimate: Estimate
    q_value: float = float("nan")


@dataclass(frozen=True)
class Found:
    """Estimates of a group of neurons (condition, group, estimate), and of heads."""

    groups: list[tuple[str, str, Estimate]] = field(default_factory=list)
    heads: list[HeadEstimate] = field(default_factory=list)

    def add(self, others: Iterable["Found"]) -> "Found":
        """Take in what others found."""
        for other in others:
            self.groups.extend(other.groups)
            self.heads.extend(other.heads)
        return self


@dataclass(frozen=True)
class Sample:
    """Two conditions and bootstrap draws of documents, the same draws for all numbers.

    ``names``: the conditions; ``rows`` (2, D): how many rows of each a document has; ``weights`` (B, D): how often a
    draw holds it.
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
        """Rows of each condition, (2,)."""
        return self.rows.sum(1)

    def means(self, sums: np.ndarray) -> np.ndarray:
        """Means over rows (..., 2) from sums by document (..., 2, D)."""
        return condition_means(sums, self.rows)

    def draws(self, sums: np.ndarray) -> np.ndarray:
        """The same in each draw, (..., 2, B)."""
        return condition_draws(sums, self.rows, self.weights)

    def compared(self, sums: np.ndarray) -> list[tuple[str, int, np.ndarray, np.ndarray, np.ndarray]]:
        """Condition, rows, means (...), draws (..., B) and p (...) of either condition and of their difference.

        Only the difference has a p.
        """
        means, draws = self.means(sums), self.draws(sums)
        none = np.full(means.shape[:-1], np.nan)
        found = [(name, int(self.n[s]), means[..., s], draws[..., s, :], none) for s, name in enumerate(self.names)]
        gap, drawn = means[..., 0] - means[..., 1], draws[..., 0, :] - draws[..., 1, :]
        return [*found, (self.difference, int(self.n.sum()), gap, drawn, clustered_p(sums, self.rows))]


def with_interval(estimate: Estimate, draws: np.ndarray) -> Estimate:
    """The estimate with the central 95 % of its bootstrap draws (B,)."""
    low, high = percentile_interval(draws)
    return replace(estimate, ci_low=low, ci_high=high)


def heads_and_mean(
    sample: Sample, group: str, heads: Sequence[tuple[int, int]], measure: str, unit: str, sums: np.ndarray
) -> Found:
    """A number of each head and its mean over heads, in both conditions and as their difference.

    Args:
        sample: conditions and draws.
        group: whose number it is.
        heads: (layer, head) of H heads.
        measure: its name.
        unit: its unit.
        sums: (H, 2, D) by document.

    Returns:
        Intervals from draws; the difference has a p clustered by document, in heads also adjusted over heads
        (Benjamini-Hochberg).
    """
    found = Found()
    for condition, n, values, draws, p in sample.compared(sums):
        q = benjamini_hochberg(p)
        for h, place in enumerate(heads):
            one = Estimate(measure, float(values[h]), unit, n, p_value=float(p[h]))
            found.heads.append(HeadEstimate(condition, group, *place, with_interval(one, draws[h]), float(q[h])))
    for condition, n, value, draws, p in sample.compared(sums.mean(0)):
        mean = Estimate(measure, float(value), unit, n, p_value=float(p))
        found.groups.append((condition, group, with_interval(mean, draws)))
    return found
