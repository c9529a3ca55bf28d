"""Estimates of heads and of groups of neurons, and how a number of each head is summarised."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.heads import Head
from rareneurons.stats import benjamini_hochberg, percentile_interval
from rareneurons.tables import Estimate

WHOLE_LAYER = -1  # in the column head: all heads of the layer
EVERYTHING = "all"  # in the column group: not about a group of neurons


@dataclass(frozen=True)
class HeadEstimate:
    """An estimate of one head or, with ``head`` = ``WHOLE_LAYER``, of a whole layer.

    The ``q_value`` of the estimate is adjusted over the heads that were tested together.
    """

    condition: str
    group: str
    layer: int
    head: int
    estimate: Estimate


@dataclass(frozen=True)
class GroupAndHeadEstimates:
    """The rows of both tables so far: of groups of neurons (condition, group, estimate), and of heads."""

    groups: list[tuple[str, str, Estimate]] = field(default_factory=list)
    heads: list[HeadEstimate] = field(default_factory=list)

    def add(self, others: Iterable["GroupAndHeadEstimates"]) -> "GroupAndHeadEstimates":
        """Append the rows of others, in order; returns itself."""
        for other in others:
            self.groups.extend(other.groups)
            self.heads.extend(other.heads)
        return self


def with_bootstrap_interval(estimate: Estimate, draws: np.ndarray) -> Estimate:
    """The estimate with the central 95 % of its bootstrap draws (B,) as interval."""
    low, high = percentile_interval(draws)
    return replace(estimate, ci_low=low, ci_high=high)


def heads_and_mean(
    pair: ConditionPair,
    group: str,
    heads: Sequence[Head],
    named: Estimate,
    sums: np.ndarray,
    everyone: np.ndarray | None,
) -> GroupAndHeadEstimates:
    """A number of each head and its mean over all heads, in both conditions and as their difference.

    Args:
        pair: conditions and draws.
        group: for the column group.
        heads: (layer, head) of H heads.
        named: has the measure, part and unit; its numbers are replaced.
        sums: (H, 2, D) by document.
        everyone: indices of the heads that represent all heads, one for each; None gives no mean.

    Returns:
        Estimates with bootstrap intervals. Those of the difference have p-values clustered by document; over heads
        these are also adjusted (Benjamini-Hochberg).
    """
    found = GroupAndHeadEstimates()
    for condition, n, values, draws, p in pair.compared(sums):
        q = benjamini_hochberg(p)
        for h, place in enumerate(heads):
            one = replace(named, value=float(values[h]), n=n, p_value=float(p[h]), q_value=float(q[h]))
            found.heads.append(HeadEstimate(condition, group, *place, with_bootstrap_interval(one, draws[h])))
    if everyone is None:
        return found
    for condition, n, value, draws, p in pair.compared(sums[everyone].mean(0)):
        mean = replace(named, value=float(value), n=n, p_value=float(p))
        found.groups.append((condition, group, with_bootstrap_interval(mean, draws)))
    return found
