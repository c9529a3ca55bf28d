"""What the claims about training share: whether a measure moves, whether it follows step, what either would take."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from rareneurons.claims.measured import Finder, with_interval
from rareneurons.claims.needs import checkpoints_for_trend, more_permutations, standard_error, times_as_many
from rareneurons.models.audit import left_out_note


def movement(find: Finder, sign: int, margin: float) -> str:
    """Whether a measure moves in the direction of ``sign``: ``yes``, ``none`` (by less than the margin) or ``open``.

    Args:
        find: the measure's row in the dynamics table by the end of its name.
        sign: 1 or -1.
        margin: smallest movement that matters, in the measure's unit.
    """
    change = find(".change")
    if change is None:
        return "open"
    least, most = sorted((sign * change["ci_low"], sign * change["ci_high"]))
    if most < margin:
        return "none"
    return "yes" if least > 0 else "open"


def times_to_tell_movement(change: pd.Series, sign: int, margin: float) -> float:
    """How many times as many documents tell :func:`movement`."""
    return times_as_many(sign * change["value"], standard_error(change), above=0, below=margin)


def _has_sign(trend: pd.Series, sign: int) -> bool:
    return bool(min(sign * trend["ci_low"], sign * trend["ci_high"]) > 0)


def follows_step(trend: pd.Series, sign: int, alpha: float) -> bool:
    """Whether a measure's rank correlation with step has that sign, by its interval and its p."""
    return bool(_has_sign(trend, sign) and trend["p_value"] <= alpha)


def times_to_follow_step(trend: pd.Series, sign: int) -> float:
    """How many times as many documents give the rank correlation an interval of that sign; 1 where it has one."""
    return 1.0 if _has_sign(trend, sign) else times_as_many(sign * trend["value"], standard_error(trend), above=0)


def more_checkpoints(trend: pd.Series | None, sign: int, alpha: float, permutations: int, here: int) -> Iterator[str]:
    """Checkpoints or permutations that a trend with that sign asks for, in words; nothing where its p is small enough.

    Args:
        trend: rank correlation with step and its p; None where there are too few checkpoints for one.
        sign: 1 or -1.
        alpha: largest p.
        permutations: behind the p.
        here: checkpoints there are.
    """
    if trend is not None and trend["p_value"] <= alpha:
        return
    rho = np.nan if trend is None else sign * float(trend["value"])
    if rho <= 0:
        yield f"a trend in the other direction (rank correlation {sign * rho:.2g} here)"
    else:
        yield f"{max(checkpoints_for_trend(rho, alpha), here + 1):,} checkpoints with a known step ({here} here)"
    yield from more_permutations(alpha, permutations)


def followed_back(find: Finder) -> str:
    """What to say of the trend of the last checkpoint's group, followed back; it decides nothing."""
    trend = find(".trend")
    if trend is None:
        return ""
    return f" (the final neurons followed back: {with_interval(trend)}, p = {trend['p_value']:.2g})"


def with_left_out(row: dict[str, object], audit: pd.DataFrame) -> dict[str, object]:
    """The row of a claim about training, with what the audit left out of it."""
    note = left_out_note(audit, str(row["model"]))
    return row | {"reason": f"{row['reason']}; {note}"} if note else row
