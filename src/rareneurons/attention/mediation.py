"""Share of a head's effect on the loss that passes through a group of neurons."""

from dataclasses import replace

import numpy as np

from rareneurons.stats import percentile_interval
from rareneurons.tables import Estimate


def mediated_estimates(
    total: float,
    total_draws: np.ndarray,
    held: float,
    held_draws: np.ndarray,
    controls: np.ndarray,
    n_rows: int,
) -> list[Estimate]:
    """How much less the loss would have changed if the group had kept its clean values.

    Args:
        total: mean change of the loss, nats.
        total_draws: (B,) its bootstrap draws.
        held: the same with the group at its clean values.
        held_draws: (B,) its draws, of the same documents.
        controls: (k,) the same with each of k matched groups at their clean values instead.
        n_rows: number of rows.

    Returns:
        ``mediated_loss`` (nats): total less held. ``mediated_share``: the mediated loss over the total. Both are of the
        part ``mean`` and against ``matched``, with document-bootstrap intervals; ``null_low`` and ``null_high`` are the
        range of the k matched groups. The share has a reason instead of a value where the interval of the total holds
        0, since it would be a ratio of noise.
    """
    interval = percentile_interval(total_draws - held_draws)
    lost = Estimate("mediated_loss", total - held, "nats", n_rows, *interval, part="mean", against="matched")
    lost = _beside_range(lost, total - controls)
    share = Estimate("mediated_share", float("nan"), "share of the effect", n_rows, part="mean", against="matched")
    low, high = percentile_interval(total_draws)
    if not (low > 0 or high < 0):
        return [lost, replace(share, reason="the total effect cannot be distinguished from 0")]
    low, high = percentile_interval(1 - held_draws / total_draws)
    return [lost, _beside_range(replace(share, value=1 - held / total, ci_low=low, ci_high=high), 1 - controls / total)]


def _beside_range(estimate: Estimate, controls: np.ndarray) -> Estimate:
    """The estimate with mean and range of its controls (k,); unchanged if there are none."""
    if len(controls) == 0:
        return estimate
    low, high = float(controls.min()), float(controls.max())
    return replace(estimate, null_mean=float(controls.mean()), null_low=low, null_high=high, null_n=len(controls))
