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
    """What the loss would not have changed had the group kept its clean values.

    Args:
        total: mean change of the loss, nats.
        total_draws: (B,) its bootstrap draws.
        held: the same with the group at its clean values.
        held_draws: (B,) of the same draws of documents.
        controls: (k,) the same with each of k control groups at their clean values instead.
        n_rows: number of rows.

    Returns:
        ``mediated_loss.mean`` (nats): total less held, and ``mediated_share.mean``: that over the total, with
        document-bootstrap intervals, and ``.null_mean``: the same of the controls, with their range as interval. No
        share, but a reason, where the interval of the total holds 0: it would be a ratio of noise.
    """
    lost = Estimate("mediated_loss.mean", total - held, "nats", n_rows, *percentile_interval(total_draws - held_draws))
    found = [lost, *_mean_of(lost, total - controls)]
    share = Estimate("mediated_share.mean", float("nan"), "share of the effect", n_rows)
    low, high = percentile_interval(total_draws)
    if not (low > 0 or high < 0):
        return [*found, replace(share, reason="the total effect cannot be told from 0")]
    low, high = percentile_interval(1 - held_draws / total_draws)
    share = replace(share, value=1 - held / total, ci_low=low, ci_high=high)
    return [*found, share, *_mean_of(share, 1 - controls / total)]


def _mean_of(estimate: Estimate, controls: np.ndarray) -> list[Estimate]:
    if len(controls) == 0:
        return []
    low, high = float(controls.min()), float(controls.max())
    name = f"{estimate.measure}.null_mean"
    return [Estimate(name, float(controls.mean()), estimate.unit, len(controls), low, high)]
