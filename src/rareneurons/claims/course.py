"""C6: does specialization emerge gradually in training?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, log
from typing import Literal

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim, Verdict
from rareneurons.claims.findings import Finding, no_number
from rareneurons.claims.measured import Finder, finder, head_of, n_checkpoints, percent, with_interval
from rareneurons.claims.needs import LEAST_CHECKPOINTS, Sample, more_documents, standard_error, times_as_many
from rareneurons.claims.over_training import (
    followed_back,
    follows_step,
    more_checkpoints,
    movement,
    times_to_follow_step,
    times_to_tell_movement,
)
from rareneurons.tables import FINAL_PREFIX, PLATEAU_TEST

COURSE_CLAIM = Claim("C6", "Specialization emerges gradually in training", "dynamics", "mean_abs.head.influence_share")
DIMENSION = "effective_dimension.matched"
N_MEASURES = 2  # that C6 looks at; alpha is shared by them
SAMPLE = Sample("held-out documents")
Answer = Literal["gradual", "abrupt", "none", "open"]


@dataclass(frozen=True)
class _Measure:
    """One of the two measures that C6 looks at.

    ``words``; ``find`` its numbers in the dynamics table; ``sign`` the direction of specialization; ``margin`` smallest
    change that matters, with that sign.
    """

    words: str
    find: Finder
    sign: int
    margin: float


@dataclass(frozen=True)
class _Course:
    """How a measure moved: in short, at length, and what would tell where that is ``open``."""

    answer: Answer
    plain: str
    told: str
    need: str
    change: pd.Series
    p: float
    n: int


def _course_of(measure: _Measure, here: int, bounds: Bounds) -> _Course:
    """Course of a measure over ``here`` checkpoints with a step."""
    change, trend = measure.find(".change"), measure.find(".trend")
    if change is None or change["n"] < LEAST_CHECKPOINTS:
        unknown = f"{measure.words} is not known at four checkpoints"
        alpha = bounds.alpha / N_MEASURES
        need = " and ".join(more_checkpoints(None, measure.sign, alpha, bounds.permutations, here))
        return _Course("open", unknown, unknown, need, no_number(), np.nan, here)
    answer, meaning, need = _reading(measure, change, trend, bounds)
    n, p = int(change["n"]), np.nan if trend is None else min(1.0, N_MEASURES * float(trend["p_value"]))
    changed = f"{measure.words} changed by {with_interval(change)} over {n} checkpoints"
    follows = "" if trend is None else f", rank correlation with step {with_interval(trend)}, adjusted p = {p:.2g}"
    return _Course(answer, f"{changed}: {meaning}", f"{changed}{follows}: {meaning}", need, change, p, n)


def _reading(measure: _Measure, change: pd.Series, trend: pd.Series | None, bounds: Bounds) -> tuple[Answer, str, str]:
    """Answer, what it means, and what would tell where it is open; a measure that never changes has no trend."""
    margin, share = abs(measure.margin), bounds.abrupt_share
    moved = movement(measure.find, measure.sign, margin)
    if moved == "none":
        return "none", f"less than the {measure.margin:+.2g} that would matter", ""
    part, first, last = (measure.find(f".largest_step{end}") for end in ("", ".from", ".to"))
    if moved == "open" or trend is None or part is None or first is None or last is None:
        times = times_to_tell_movement(change, measure.sign, margin)
        return "open", "perhaps nothing, perhaps enough to matter", more_documents(times, SAMPLE)
    between = f"between step {first['value']:.0f} and {last['value']:.0f}"
    interval = f"(95 % interval {percent(part['ci_low'])} to {percent(part['ci_high'])})"
    largest = f"{percent(part['value'])} of it {interval} {between}"
    if part["ci_high"] < share:
        return _gradual(measure, trend, largest, bounds)
    if part["ci_low"] > 1:
        times, low, high = (part[key] for key in ("value", "ci_low", "ci_high"))
        back = f"{times:.1f} times as far (95 % interval {low:.1f} to {high:.1f}) {between} and came back"
        need = f"checkpoints after the last one, to see where it settles: it went {back}"
        return "open", f"{back}, so neither gradually nor abruptly", need
    if part["ci_low"] > share:
        ratio = (last["value"] + 1) / (first["value"] + 1)
        if ratio <= bounds.abrupt_factor:
            return "abrupt", f"abruptly, {largest}", ""
        lacking = ceil(log(ratio) / log(bounds.abrupt_factor)) - 1
        return "open", f"{largest}, too far apart to tell gradual from abrupt", f"{lacking} more checkpoints {between}"
    times = times_as_many(part["value"], standard_error(part), above=share, below=share)
    return "open", f"{largest}, too uncertain to tell gradual from abrupt", more_documents(times, SAMPLE)


def _gradual(measure: _Measure, trend: pd.Series, largest: str, bounds: Bounds) -> tuple[Answer, str, str]:
    """The reading of a change no part of which is large: gradual, if it follows step."""
    alpha = bounds.alpha / N_MEASURES
    if follows_step(trend, measure.sign, alpha):
        return "gradual", f"gradually, at most {largest}", ""
    times = times_to_follow_step(trend, measure.sign)
    needs = [more_documents(times, SAMPLE)] if times != 1 else []
    needs += more_checkpoints(trend, measure.sign, alpha, bounds.permutations, int(trend["n"]))
    return "open", f"at most {largest}, but not steadily enough for a trend", " and ".join(needs)


def course_finding(tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> Finding:
    """C6: does the head come to matter for rare targets more than for common ones, or to act together; how fast?"""
    claim, dynamics, condition = COURSE_CLAIM, tables["dynamics"], bounds.condition
    both, head, here = f"{condition}-{bounds.contrast}", head_of(tables, bounds), n_checkpoints(tables["audit"])
    null = finder(head.group, DIMENSION, tables["coordination"], condition)(".null_mean")
    reduction = bounds.dimension_reduction * (np.nan if null is None else float(null["value"]))
    measures = {
        f"{claim.measure} (boost, {both})": _Measure(
            f"the share of all influence that the most influential neurons have on {condition} rows, less that on "
            f"{bounds.contrast} rows,",
            finder("boost", claim.measure, dynamics, both),
            1,
            bounds.specialization_margin,
        ),
        f"{DIMENSION}.difference ({head.group}, {condition})": _Measure(
            f"the effective dimension of {head.words}, less that of matched groups,",
            finder(head.group, f"{DIMENSION}.difference", dynamics, condition),
            -1,
            -reduction,
        ),
    }
    courses = {name: _course_of(measure, here, bounds) for name, measure in measures.items()}
    answers = {course.answer for course in courses.values()}
    verdict, deciding = _verdict(answers)
    statistic, shown = next((name, course) for name, course in courses.items() if course.answer == deciding)
    plain = shown.plain if len(answers) > 1 else "; and ".join(course.plain for course in courses.values())
    return Finding(
        verdict,
        statistic,
        plain,
        _rule(bounds),
        f"{'; '.join(course.told for course in courses.values())}{_beside(head.group, dynamics, condition)}",
        _need(courses.values(), bounds),
        shown.change,
        shown.p,
        shown.n,
        measures[statistic].margin,
    )


def _verdict(answers: set[Answer]) -> tuple[Verdict, Answer]:
    """The verdict, and the answer of the measure that decides it or keeps it open."""
    if "gradual" in answers and "abrupt" not in answers:
        return "supported", "gradual"
    if "abrupt" in answers and "gradual" not in answers:
        return "contradicted", "abrupt"
    if answers == {"none"}:
        return "contradicted", "none"
    return "undecided", "open" if "open" in answers else "gradual"


def _rule(bounds: Bounds) -> str:
    return (
        "a measure emerges if the interval of its change from first to last checkpoint is clear of zero; gradually if "
        f"less than {percent(bounds.abrupt_share)} of the change lies between two neighbouring checkpoints and it "
        f"follows step (rank correlation, adjusted p at most {bounds.alpha:g}); abruptly if more lies between two "
        f"whose steps differ by a factor of at most {bounds.abrupt_factor:g}, but not more than all of it, as in a "
        "measure that comes back; all by interval. Supported if one of two measures emerges gradually and none "
        "abruptly; contradicted if the other way round, or if both change by less than would matter "
        f"({bounds.specialization_margin:g} of the influence, {percent(bounds.dimension_reduction)} of the dimension); "
        "p adjusted over the two measures (Bonferroni); n counts checkpoints"
    )


def _beside(group: str, dynamics: pd.DataFrame, condition: str) -> str:
    """What stands beside the two courses and decides nothing."""
    first = finder("boost", f"{PLATEAU_TEST}.first_step", dynamics, condition)("")
    known = first is not None and np.isfinite(first["value"])
    passes = f"from step {first['value']:.0f}" if first is not None and known else "at no checkpoint"
    final = finder(f"{FINAL_PREFIX}{group}", f"{DIMENSION}.difference", dynamics, condition)
    return f"{followed_back(final)}; the plateau test passes {passes}"


def _need(courses: Iterable[_Course], bounds: Bounds) -> str:
    """What the open measures would take; two that disagree need the checkpoints that tell them apart."""
    return "; or ".join(dict.fromkeys(course.need for course in courses if course.answer == "open")) or (
        "checkpoints between those where the one measure jumps, at steps that differ by less than a factor of "
        f"{bounds.abrupt_factor:g}, to see whether it grows there as gradually as the other"
    )
