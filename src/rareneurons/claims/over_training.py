"""For claims about growth: whether a measure changes, whether it follows the step, and what would decide either."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.claims.interval import Interval
from rareneurons.claims.requirements import (
    MoreCheckpoints,
    MorePermutations,
    OppositeTrend,
    checkpoints_for_trend,
    more_permutations,
    times_as_many,
)


@dataclass(frozen=True)
class TrackedTrend:
    """Rank correlation with step of the last checkpoint's neurons tracked backwards, and its p; it decides nothing."""

    trend: Interval
    p_value: float


def tracked_trend(trend: pd.Series | None) -> TrackedTrend | None:
    """The trend of the last checkpoint's neurons, from its row in the dynamics table."""
    return None if trend is None else TrackedTrend(Interval.of(trend), float(trend["p_value"]))


def movement(change: Interval | None, sign: int, margin: float) -> str:
    """Whether a measure moves in the direction of ``sign``: ``yes``, ``none`` (by less than the margin) or ``open``.

    Args:
        change: its change from the first checkpoint to the last; None where it is not known.
        sign: 1 or -1.
        margin: smallest movement that matters, in the measure's unit.
    """
    if change is None:
        return "open"
    least, most = sorted((sign * change.ci_low, sign * change.ci_high))
    if most < margin:
        return "none"
    return "yes" if least > 0 else "open"


def times_to_tell_movement(change: Interval, sign: int, margin: float) -> float:
    """How many times as many documents would decide :func:`movement`."""
    return times_as_many(sign * change.value, change.standard_error, above=0, below=margin)


def _has_sign(trend: pd.Series, sign: int) -> bool:
    return bool(min(sign * trend["ci_low"], sign * trend["ci_high"]) > 0)


def follows_step(trend: pd.Series, sign: int, alpha: float) -> bool:
    """Whether a measure's rank correlation with step has that sign, by its interval and its p."""
    return bool(_has_sign(trend, sign) and trend["p_value"] <= alpha)


def times_to_follow_step(trend: pd.Series, sign: int) -> float:
    """How many times as many documents give the rank correlation an interval of that sign; 1 where it has one."""
    if _has_sign(trend, sign):
        return 1.0
    return times_as_many(sign * trend["value"], Interval.of(trend).standard_error, above=0)


def more_checkpoints(
    trend: pd.Series | None, sign: int, alpha: float, permutations: int, here: int
) -> Iterator[OppositeTrend | MoreCheckpoints | MorePermutations]:
    """Checkpoints or permutations that a trend with that sign asks for; nothing where its p is small enough.

    Args:
        trend: rank correlation with step and its p; None where there are too few checkpoints for one.
        sign: 1 or -1.
        alpha: largest p.
        permutations: number behind the p.
        here: number of checkpoints.
    """
    if trend is not None and trend["p_value"] <= alpha:
        return
    rho = np.nan if trend is None else sign * float(trend["value"])
    if rho <= 0:
        yield OppositeTrend(sign * rho)
    else:
        yield MoreCheckpoints(max(checkpoints_for_trend(rho, alpha), here + 1), here)
    yield from more_permutations(alpha, permutations)
