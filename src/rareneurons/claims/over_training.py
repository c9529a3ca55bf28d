"""What the claims about training share: which group, whether a measure moves, whether it follows step."""

from collections.abc import Callable, Mapping

import pandas as pd

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.measured import last_number, plateau_test, with_interval
from rareneurons.models.audit import left_out_note
from rareneurons.tables import FINAL_PREFIX

Finder = Callable[[str], pd.Series | None]


def movement(find: Finder, sign: int, margin: float) -> str:
    """Whether a measure moves in the direction of ``sign``: ``yes``, ``none`` (by less than the margin) or ``open``.

    Args:
        find: the measure's row in the dynamics table by the end of its name.
        sign: 1 or -1.
        margin: smallest movement that matters, in the measure's unit.
    """
    change = find("change")
    if change is None:
        return "open"
    least, most = sorted((sign * change["ci_low"], sign * change["ci_high"]))
    if most < margin:
        return "none"
    return "yes" if least > 0 else "open"


def follows_step(trend: pd.Series, sign: int, alpha: float) -> bool:
    """Whether a measure's rank correlation with step has that sign, by its interval and its p."""
    return bool(min(sign * trend["ci_low"], sign * trend["ci_high"]) > 0 and trend["p_value"] <= alpha)


def head_group(model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> tuple[str, str]:
    """The group whose course is looked at: one of a fixed size unless there is a plateau; and what to say of it."""
    test = plateau_test(model, tables, bounds.condition)
    if test is not None and test["value"] == 1:
        return "plateau", ""
    return "fixed_plateau", "; there is no plateau to speak of, these are the neurons before the first fixed cut"


def followed_back(group: str, measure: str, model: str, dynamics: pd.DataFrame, condition: str) -> str:
    """What to say of the trend of the last checkpoint's group, followed back; it decides nothing."""
    trend = last_number(f"{FINAL_PREFIX}{group}", f"{measure}.trend", model, dynamics, condition)
    if trend is None:
        return ""
    return f" (the final neurons followed back: {with_interval(trend)}, p = {trend['p_value']:.2g})"


def with_left_out(row: dict[str, object], audit: pd.DataFrame) -> dict[str, object]:
    """The row of a claim about training, with what the audit left out of it."""
    note = left_out_note(audit, str(row["model"]))
    if not note:
        return row
    sentence = str(row["sentence"]).removesuffix(".")
    return row | {"reason": f"{row['reason']}; {note}", "sentence": f"{sentence}; {note}."}
