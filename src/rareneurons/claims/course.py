"""C6: does specialization emerge gradually in training?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim
from rareneurons.claims.measured import last_number, with_interval
from rareneurons.claims.over_training import Finder, followed_back, follows_step, head_group, movement
from rareneurons.claims.verdict_rows import filled
from rareneurons.tables import PLATEAU_TEST

COURSE_CLAIM = Claim(
    "C6",
    "Specialization emerges gradually in training",
    "dynamics",
    "condition",
    "boost",
    "mean_abs.head.influence_share",
)


@dataclass(frozen=True)
class _Course:
    """How a measure moved in training, ``answer``: ``gradual``, ``abrupt``, ``none`` or ``open``, and in words."""

    answer: str
    told: str
    change: pd.Series
    p: float


def _course(name: str, find: Finder, sign: int, margin: float, bounds: Bounds) -> _Course:
    """Course of one of the two measures that C6 looks at, so that alpha is shared by two."""
    change, trend = find("change"), find("trend")
    if change is None or trend is None:
        empty = pd.Series({"value": np.nan, "ci_low": np.nan, "ci_high": np.nan, "n": 0})
        return _Course("open", f"{name} is not known at four checkpoints", empty, float("nan"))
    p, moved = float(trend["p_value"]), movement(find, sign, margin)
    told = f"{name} changes by {with_interval(change)} over {change['n']:.0f} checkpoints, rank correlation with step "
    told += f"{with_interval(trend)}, p = {p:.2g}"
    part, first, last = find("largest_step"), find("largest_step.from"), find("largest_step.to")
    if moved != "yes" or part is None or first is None or last is None:
        meaning = f"less than the {margin:.2g} that would matter" if moved == "none" else "no clear change"
        return _Course("none" if moved == "none" else "open", f"{told}: {meaning}", change, p)
    near = last["value"] + 1 <= bounds.abrupt_factor * (first["value"] + 1)
    answer, meaning = "open", "too uncertain to tell gradual from abrupt"
    if part["ci_high"] < bounds.abrupt_share and follows_step(trend, sign, bounds.alpha / 2):
        answer, meaning = "gradual", "gradual"
    elif part["ci_low"] > 1:
        meaning = "it goes further than it stays, neither gradual nor abrupt"
    elif part["ci_low"] > bounds.abrupt_share:
        answer, meaning = ("abrupt", "abrupt") if near else ("open", "too far apart to tell gradual from abrupt")
    told += f"; the largest part of it between neighbouring checkpoints, {with_interval(part)} of it, lies from step "
    told += f"{first['value']:.0f} to {last['value']:.0f}: {meaning}"
    return _Course(answer, told, change, p)


def course_row(model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C6: does the head come to matter for rare targets more than for common ones, or to act together; how fast?"""
    claim, dynamics = COURSE_CLAIM, tables["dynamics"]
    both, (group, no_plateau) = f"{bounds.condition}-{bounds.contrast}", head_group(model, tables, bounds)
    measure = "effective_dimension.matched"
    null = last_number(group, f"{measure}.null_mean", model, tables["coordination"], bounds.condition)
    reduction = bounds.dimension_reduction * (np.nan if null is None else null["value"])

    def finder(name: str, group: str, condition: str) -> Finder:
        return lambda end: last_number(group, f"{name}.{end}", model, dynamics, condition)

    courses = {
        f"{claim.measure} (boost, {both})": _course(
            f"the head's share of the influence on {bounds.condition} rows less its share on {bounds.contrast} rows",
            finder(claim.measure, "boost", both),
            1,
            bounds.specialization_margin,
            bounds,
        ),
        f"{measure}.difference ({group}, {bounds.condition})": _course(
            f"the effective dimension of the {group} neurons less that of matched ones",
            finder(f"{measure}.difference", group, bounds.condition),
            -1,
            float(reduction),
            bounds,
        ),
    }
    answers = {course.answer for course in courses.values()}
    verdict = "undecided"
    if "gradual" in answers and "abrupt" not in answers:
        verdict, deciding = "supported", "gradual"
    elif "abrupt" in answers and "gradual" not in answers:
        verdict, deciding = "contradicted", "abrupt"
    elif answers == {"none"}:
        verdict, deciding = "contradicted", "none"
    else:
        deciding = next(iter(courses.values())).answer
    statistic, shown = next((name, course) for name, course in courses.items() if course.answer == deciding)
    first = last_number("boost", f"{PLATEAU_TEST}.first_step", model, dynamics, bounds.condition)
    passes = (
        "at no checkpoint" if first is None or not np.isfinite(first["value"]) else f"from step {first['value']:.0f}"
    )
    told = "; ".join(course.told for course in courses.values())
    told += followed_back(group, f"{measure}.difference", model, dynamics, bounds.condition)
    told += f"; the plateau test passes {passes}{no_plateau}"
    rule = (
        "rule: a measure emerges if the interval of its change from first to last checkpoint is clear of zero; "
        f"gradually if less than {bounds.abrupt_share:.0%} of the change lies between two neighbouring checkpoints and "
        f"it follows step (rank correlation, p at most {bounds.alpha / 2:g}); abruptly if more lies between two whose "
        f"steps differ by a factor of at most {bounds.abrupt_factor:g}, but not more than all of it, as in a measure "
        "that comes back; all by interval. Supported if one of two measures emerges gradually and none abruptly; "
        "contradicted if the other way round, or if both change by less than would matter "
        f"({bounds.specialization_margin:g} of the influence, {bounds.dimension_reduction:.1%} of the dimension)"
    )
    row = filled(claim, model, bounds.condition, None)
    row |= {key: shown.change[key] for key in ("value", "ci_low", "ci_high", "n")}
    row |= {"statistic": statistic, "p_value": shown.p, "bound": bounds.abrupt_share, "verdict": verdict}
    sentence = f"{claim.text}: {verdict} for {model} over all checkpoints; {told}."
    return row | {"reason": f"{rule}; {told}", "sentence": sentence}
