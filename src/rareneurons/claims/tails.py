"""C7: are the spectra of the top neurons' weights heavier-tailed, increasingly so?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.claims.below_controls import Comparison, below_controls, null_kinds, worst_match
from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict, unmeasured
from rareneurons.claims.interval import NAN, Interval
from rareneurons.claims.over_training import (
    TrackedTrend,
    follows_step,
    more_checkpoints,
    movement,
    times_to_follow_step,
    times_to_tell_movement,
    tracked_trend,
)
from rareneurons.claims.requirements import AnyOf, MoreDocuments, Option
from rareneurons.claims.view import Finder, Tables, TopGroup, View, checkpoint_steps
from rareneurons.groups import ControlKind
from rareneurons.tables import DIFFERENCE, FINAL_PREFIX, RATIO, VALUE, Movement, over_training

TABLE, HILL = "spectra", "hill"


@dataclass(frozen=True)
class Growth:
    """How the ratio to one kind of controls changed over ``n`` checkpoints: change, rank correlation with step, its p.

    ``p_value``: two-sided, of the rank correlation.
    ``grows``: the ratio falls, and follows step; ``none``: it falls by less than would matter.
    """

    change: Interval
    n: int
    trend: Interval
    p_value: float
    tracked: TrackedTrend | None
    grows: bool
    none: bool

    @property
    def p_of_fall(self) -> float:
        """The p as evidence of a fall: 1 for a ratio that rises."""
        return 1.0 if self.trend.value > 0 else self.p_value


@dataclass(frozen=True)
class Matrix:
    """What there is in one weight matrix: the level at the last checkpoint, and how it changed, by kind of controls.

    ``p_value``: the largest p of level and growth against every kind of controls, times the number of matrices.
    ``growth`` is empty where the course is not known.
    """

    part: str
    verdict: Verdict
    level: Comparison
    growth: Mapping[ControlKind, Growth]
    option: Option
    p_value: float

    @property
    def shared(self) -> bool:
        """Whether the tails are heavier, increasingly so, and those of the groups of shuffled labels are too."""
        growths = list(self.growth.values())
        grow = bool(growths) and growths[0].grows
        return self.verdict == "undecided" and grow and (self.level.shared or self.level.answer == "supported")


@dataclass(frozen=True)
class Tails:
    """Evidence: each weight matrix, and which of them the verdict shows."""

    matrices: tuple[Matrix, ...]
    shown: Matrix


@dataclass(frozen=True)
class MoreModels:
    """Requirement: more models or seeds, since one weight matrix supports the claim and one contradicts it."""


def decide_tails(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C7: the paper's Hill exponent is below that of control groups at the last checkpoint, and ever further below."""
    top, spectra, bound = view.top_group(tables), tables[TABLE], -bounds.hill_reduction
    mine = spectra[(spectra["group"] == top.name) & (spectra["measure"] == HILL) & (spectra["quantity"] == VALUE)]
    parts = mine.loc[mine["against"] == view.controls, "part"].unique()
    each = (_matrix(str(part), top, tables, view, bounds, len(parts)) for part in parts)
    found = [one for one in each if one is not None]

    def statistic(part: str) -> Statistic:
        return Statistic(HILL, top.name, view.condition, view.split, part, DIFFERENCE, view.controls)

    if not found:
        return unmeasured(statistic(""), bound, top, absent_from=TABLE)
    verdict = _verdict([one.verdict for one in found])
    shown = next((one for one in found if one.verdict == verdict), found[0])
    if verdict == "supported":  # by the matrix with the smallest p, whichever comes first
        shown = min((one for one in found if one.verdict == verdict), key=lambda one: one.p_value)
    undecided = [one for one in found if one.verdict == "undecided"]
    promising = [one for one in undecided if one.level.may_be_met] or undecided
    return Decision(
        verdict,
        statistic(shown.part),
        Tails(tuple(found), shown),
        tuple(dict.fromkeys(one.option for one in promising)) or (Option((MoreModels(),)),),
        shown.level.relative,
        shown.p_value,
        top.size,
        bound=bound,
        neurons=top,
    )


def _verdict(verdicts: list[Verdict]) -> Verdict:
    if "supported" in verdicts and "contradicted" not in verdicts:
        return "supported"
    return "contradicted" if set(verdicts) == {"contradicted"} else "undecided"


def _matrix(part: str, top: TopGroup, tables: Tables, view: View, bounds: Bounds, n_matrices: int) -> Matrix | None:
    """C7 on one weight matrix; None where nothing is measured."""
    reduction, alpha = bounds.hill_reduction, bounds.alpha / n_matrices

    def find(kind: ControlKind) -> Finder:
        return view.finder(tables[TABLE], top.name, HILL, part, kind)

    kinds, match = null_kinds(view), worst_match(tables, view, top.name, bounds.match_difference)
    level = below_controls(find, kinds, match, top.size, alpha, reduction, "discovery", NAN)
    if level is None:
        return None
    courses = {kind: _course(part, top, tables, view, kind) for kind in kinds}
    growth = {kind: _growth(course, alpha, reduction) for kind, course in courses.items() if course is not None}
    verdict: Verdict = "undecided"
    if match is None or match.is_good:
        if level.answer == "contradicted" or (kinds[0] in growth and growth[kinds[0]].none):
            verdict = "contradicted"
        elif level.answer == "supported" and all(kind in growth and growth[kind].grows for kind in kinds):
            verdict = "supported"
    needed: list[Any] = [] if level.answer == "supported" else [AnyOf(level.options)]
    for course in courses.values():
        needed += _needs_of_growth(course, alpha, reduction, bounds, len(checkpoint_steps(tables["audit"])))
    p_values = [level.p_value, *(growth[kind].p_of_fall if kind in growth else NAN for kind in kinds)]
    p_value = min(1.0, n_matrices * float(np.max(p_values)))
    return Matrix(part, verdict, level, growth, Option(tuple(dict.fromkeys(needed)), part=part), p_value)


@dataclass(frozen=True)
class _Course:
    """Rows of the dynamics table: change and trend of the ratio, and the tracked neurons' trend."""

    change: pd.Series
    trend: pd.Series
    tracked: pd.Series | None


def _course(part: str, top: TopGroup, tables: Tables, view: View, kind: ControlKind) -> _Course | None:
    """How the ratio to a kind of controls moved; None where that is not known."""

    def ratio(group: str, name: Movement) -> pd.Series | None:
        return view.finder(tables["dynamics"], group, HILL, part, kind)(over_training(RATIO, name))

    change, trend = ratio(top.name, "change"), ratio(top.name, "trend")
    if change is None or trend is None:
        return None
    return _Course(change, trend, ratio(f"{FINAL_PREFIX}{top.name}", "trend"))


def _growth(course: _Course, alpha: float, reduction: float) -> Growth:
    changed, trend = Interval.of(course.change), course.trend
    moved = movement(changed, -1, reduction)
    return Growth(
        changed,
        int(course.change["n"]),
        Interval.of(trend),
        float(trend["p_value"]),
        tracked_trend(course.tracked),
        moved == "yes" and follows_step(trend, -1, alpha),
        moved == "none",
    )


def _needs_of_growth(
    course: _Course | None, alpha: float, reduction: float, bounds: Bounds, here: int
) -> Iterator[Any]:
    """What showing growth would take; nothing where it is shown."""
    if course is None:
        yield from more_checkpoints(None, -1, alpha, bounds.permutations, here)
        return
    changed, trend = Interval.of(course.change), course.trend
    moved = movement(changed, -1, reduction)
    moving = 1.0 if moved == "yes" else times_to_tell_movement(changed, -1, reduction)
    times = max(moving, times_to_follow_step(trend, -1))
    if times != 1:
        yield MoreDocuments(times, "discovery")
    yield from more_checkpoints(trend, -1, alpha, bounds.permutations, int(trend["n"]))
