"""C6: does specialization emerge gradually in training?"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log
from typing import Any, Literal

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict
from rareneurons.claims.dimension import DIMENSION
from rareneurons.claims.interval import NAN, UNKNOWN, Interval
from rareneurons.claims.over_training import (
    follows_step,
    more_checkpoints,
    movement,
    times_to_follow_step,
    times_to_tell_movement,
)
from rareneurons.claims.requirements import LEAST_CHECKPOINTS, MoreDocuments, Option, more_documents
from rareneurons.claims.view import Finder, Tables, View, n_checkpoints
from rareneurons.dynamics.trends import FIRST_STEP
from rareneurons.regimes.estimates import PLATEAU, SHARE
from rareneurons.tables import DIFFERENCE, FINAL_PREFIX, VALUE, Movement, over_training

N_MEASURES = 2  # that C6 looks at; alpha is shared by them
Answer = Literal["gradual", "abrupt", "none", "open"]
Why = Literal["unknown", "small", "unclear", "gradual", "unsteady", "excursion", "abrupt", "apart", "uncertain"]


@dataclass(frozen=True)
class LargestStep:
    """The largest part of a change between two neighbouring checkpoints, as a ``share`` of it, and their steps."""

    share: Interval
    first: float
    last: float


@dataclass(frozen=True)
class Course:
    """Evidence: how a measure moved over ``n`` checkpoints.

    ``answer`` and ``why``: gradually; abruptly; not at all (less than the ``margin``); or open, because its course is
    ``unknown``, its change is ``unclear``, its trend ``unsteady``, it went further and came back (``excursion``), the
    checkpoints are too far ``apart``, or the largest step is ``uncertain``. ``trend``: rank correlation with step, and
    ``p_value`` its p, adjusted for the two measures. ``options``: what would decide it where it is open.
    """

    statistic: Statistic
    margin: float
    n: int
    answer: Answer
    why: Why
    change: Interval = UNKNOWN
    trend: Interval | None = None
    p_value: float = NAN
    largest: LargestStep | None = None
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Courses:
    """Evidence of C6: the courses of both measures, and which of them the verdict shows.

    ``tracked``: the trend of the last checkpoint's neurons tracked backwards; ``plateau_step``: the first step at which
    the plateau test passes, NaN if at none.
    """

    courses: tuple[Course, ...]
    shown: Course
    tracked: "TrackedTrend | None"
    plateau_step: float


@dataclass(frozen=True)
class TrackedTrend:
    """Rank correlation with step of the last checkpoint's neurons tracked backwards, and its p; it decides nothing."""

    trend: Interval
    p_value: float


@dataclass(frozen=True)
class LaterCheckpoints:
    """Requirement: checkpoints after the last one, since the measure went too far and came back."""

    largest: LargestStep


@dataclass(frozen=True)
class CheckpointsBetween:
    """Requirement: ``n`` more checkpoints between two steps."""

    n: int
    first: float
    last: float


@dataclass(frozen=True)
class CheckpointsAtTheJump:
    """Requirement: checkpoints at steps that differ by less than ``factor``, where one of two measures jumps."""

    factor: float


@dataclass(frozen=True)
class _Measure:
    """One of the two measures: its rows in the dynamics table, direction of specialization, smallest change."""

    statistic: Statistic
    find: Finder
    sign: int
    margin: float

    def row(self, name: Movement) -> pd.Series | None:
        return self.find(over_training(DIFFERENCE, name))


def decide_course(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C6: do the top neurons come to matter more for rare targets, or to act together, and how fast?"""
    top, here = view.top_group(tables), n_checkpoints(tables["audit"])
    courses = [_course_of(measure, here, bounds) for measure in _measures(tables, view, bounds, top.name)]
    verdict, deciding = _verdict({course.answer for course in courses})
    shown = next(course for course in courses if course.answer == deciding)
    dynamics = tables["dynamics"]
    first = view.finder(dynamics, "boost", *PLATEAU)(FIRST_STEP)
    final = view.finder(dynamics, f"{FINAL_PREFIX}{top.name}", DIMENSION, against=view.controls)
    evidence = Courses(
        tuple(courses),
        shown,
        tracked_trend(final(over_training(DIFFERENCE, "trend"))),
        np.nan if first is None else float(first["value"]),
    )
    return Decision(
        verdict,
        shown.statistic,
        evidence,
        _options(courses, bounds),
        shown.change,
        shown.p_value,
        shown.n,
        bound=shown.margin,
        neurons=top,
    )


def tracked_trend(trend: pd.Series | None) -> TrackedTrend | None:
    """The trend of the last checkpoint's neurons, from its row in the dynamics table."""
    return None if trend is None else TrackedTrend(Interval.of(trend), float(trend["p_value"]))


def _measures(tables: Tables, view: View, bounds: Bounds, group: str) -> list[_Measure]:
    """The top neurons' share of the influence, rare less common, and their dimension less that of the controls."""
    dynamics = tables["dynamics"]
    level = view.finder(tables["coordination"], group, DIMENSION, against=view.controls)(VALUE)
    reduction = bounds.dimension_reduction * (np.nan if level is None else float(level["null_mean"]))
    quantity = over_training(DIFFERENCE, "change")
    return [
        _Measure(
            Statistic(SHARE[0], "boost", view.difference, view.split, SHARE[1], quantity),
            view.finder(dynamics, "boost", *SHARE, condition=view.difference),
            1,
            bounds.specialization_margin,
        ),
        _Measure(
            Statistic(DIMENSION, group, view.condition, view.split, quantity=quantity, against=view.controls),
            view.finder(dynamics, group, DIMENSION, against=view.controls),
            -1,
            -reduction,
        ),
    ]


def _course_of(measure: _Measure, here: int, bounds: Bounds) -> Course:
    """Course of a measure over ``here`` checkpoints with a step."""
    change, trend = measure.row("change"), measure.row("trend")
    if change is None or change["n"] < LEAST_CHECKPOINTS:
        needed = more_checkpoints(None, measure.sign, bounds.alpha / N_MEASURES, bounds.permutations, here)
        option = Option(tuple(needed))
        return Course(measure.statistic, measure.margin, here, "open", "unknown", options=(option,))
    changed, largest = Interval.of(change), _largest_step(measure)
    answer, why, needed_too = _reading(measure, changed, trend, largest, bounds)
    return Course(
        measure.statistic,
        measure.margin,
        int(change["n"]),
        answer,
        why,
        changed,
        None if trend is None else Interval.of(trend),
        np.nan if trend is None else min(1.0, N_MEASURES * float(trend["p_value"])),
        largest,
        (Option(tuple(needed_too)),) if needed_too else (),
    )


def _largest_step(measure: _Measure) -> LargestStep | None:
    share, first, last = measure.row("largest_step"), measure.row("largest_step_from"), measure.row("largest_step_to")
    if share is None or first is None or last is None:
        return None
    return LargestStep(Interval.of(share), float(first["value"]), float(last["value"]))


def _reading(
    measure: _Measure, change: Interval, trend: pd.Series | None, largest: LargestStep | None, bounds: Bounds
) -> tuple[Answer, Why, Sequence[Any]]:
    """Answer, why, and what would decide it where it is open; a measure that never changes has no trend."""
    margin, bound = abs(measure.margin), bounds.abrupt_share
    moved = movement(change, measure.sign, margin)
    if moved == "none":
        return "none", "small", []
    if moved == "open" or trend is None or largest is None:
        return "open", "unclear", [MoreDocuments(times_to_tell_movement(change, measure.sign, margin), "heldout")]
    share = largest.share
    if share.ci_high < bound:
        return _if_gradual(measure, trend, bounds)
    if share.ci_low > 1:
        return "open", "excursion", [LaterCheckpoints(largest)]
    if share.ci_low > bound:
        ratio = (largest.last + 1) / (largest.first + 1)
        if ratio <= bounds.abrupt_factor:
            return "abrupt", "abrupt", []
        lacking = ceil(log(ratio) / log(bounds.abrupt_factor)) - 1
        return "open", "apart", [CheckpointsBetween(lacking, largest.first, largest.last)]
    return "open", "uncertain", [more_documents(share, "heldout", above=bound, below=bound)]


def _if_gradual(measure: _Measure, trend: pd.Series, bounds: Bounds) -> tuple[Answer, Why, Sequence[Any]]:
    """The reading of a change no part of which is large: gradual, if it follows step."""
    alpha = bounds.alpha / N_MEASURES
    if follows_step(trend, measure.sign, alpha):
        return "gradual", "gradual", []
    times = times_to_follow_step(trend, measure.sign)
    needed: list[Any] = [MoreDocuments(times, "heldout")] if times != 1 else []
    needed += more_checkpoints(trend, measure.sign, alpha, bounds.permutations, int(trend["n"]))
    return "open", "unsteady", needed


def _verdict(answers: set[Answer]) -> tuple[Verdict, Answer]:
    """The verdict, and the answer of the measure that decides it or keeps it open."""
    if "gradual" in answers and "abrupt" not in answers:
        return "supported", "gradual"
    if "abrupt" in answers and "gradual" not in answers:
        return "contradicted", "abrupt"
    if answers == {"none"}:
        return "contradicted", "none"
    return "undecided", "open" if "open" in answers else "gradual"


def _options(courses: Sequence[Course], bounds: Bounds) -> tuple[Option, ...]:
    """What would decide the open measures; two that disagree require checkpoints that separate them."""
    found = [option for course in courses if course.answer == "open" for option in course.options]
    return tuple(dict.fromkeys(found)) or (Option((CheckpointsAtTheJump(bounds.abrupt_factor),)),)
