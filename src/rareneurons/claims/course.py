"""C6: does specialization emerge gradually in training?"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import numpy as np

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict
from rareneurons.claims.dimension import DIMENSION
from rareneurons.claims.interval import NAN, UNKNOWN, Interval
from rareneurons.claims.requirements import Measurable, MoreCheckpoints, MoreDocuments, Option, times_as_many
from rareneurons.claims.view import Finder, Tables, View, checkpoint_steps
from rareneurons.conventions import TOP
from rareneurons.dynamics.rise import LEAST_CHECKPOINTS
from rareneurons.dynamics.trends import FIRST_STEP
from rareneurons.joint.measures import DELTA_LOSS, MATCHED_ROWS
from rareneurons.regimes.estimates import PLATEAU
from rareneurons.tables import DIFFERENCE, EXCESS, VALUE, Movement, over_training

Why = Literal["unknown", "small", "unclear", "gradual", "abrupt", "late", "apart", "scattered", "uncertain"]
# A jump is seen to be narrower than the bound between checkpoints that are at most this many bounds apart.
RESOLVED = 1.5
VERDICTS: dict[Why, Verdict] = {"gradual": "supported", "abrupt": "contradicted"}  # of the others: undecided


@dataclass(frozen=True)
class FittedRise:
    """The fitted rise: ``width`` in ln step, ``centre`` in steps, ``height`` and ``scatter`` in the measure's unit."""

    width: Interval
    centre: Interval
    height: float
    scatter: float


@dataclass(frozen=True)
class Course:
    """Evidence: how a measure moved over ``n`` checkpoints.

    ``why``: it rises gradually or abruptly; it does not rise by the ``margin`` (``small``); or neither is known,
    because its course is ``unknown``, its change is ``unclear``, its rise is not over at the last checkpoint
    (``late``), the checkpoints around it are too far ``apart``, it is ``scattered`` about its curve, or documents leave
    its width ``uncertain``. ``needed``: what would decide it.
    """

    statistic: Statistic
    margin: float
    n: int
    why: Why
    change: Interval = UNKNOWN
    rise: FittedRise | None = None
    needed: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Courses:
    """Evidence of C6: the course that decides, and one that decides nothing, of the ``size`` top neurons.

    ``plateau_step``: the first step at which the plateau test passes, NaN if at none.
    """

    primary: Course
    secondary: Course
    size: int
    plateau_step: float


@dataclass(frozen=True)
class RunThatRises:
    """Requirement: a model or a training run in which the measure rises by more than ``margin``."""

    margin: float


@dataclass(frozen=True)
class LaterCheckpoints:
    """Requirement: checkpoints after the last one, beyond the ``step`` at which three quarters of the rise are over."""

    step: float


@dataclass(frozen=True)
class CheckpointsBetween:
    """Requirement: ``n`` more checkpoints between two steps."""

    n: int
    first: float
    last: float


@dataclass(frozen=True)
class _Measure:
    """A measure: its rows in the dynamics table, direction of specialization, smallest change that matters, its table.

    The margin is NaN where it is not known.
    """

    statistic: Statistic
    find: Finder
    sign: int
    margin: float
    table: str

    def number(self, name: Movement, quantity: str) -> Interval:
        row = self.find(over_training(quantity, name))
        return UNKNOWN if row is None else Interval.of(row)


def decide_course(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C6: do the top neurons come to matter more for rare targets gradually, by the fitted width of the rise?"""
    steps, group = checkpoint_steps(tables["audit"]), view.group or TOP
    primary, secondary = (
        _course_of(measure, quantity, steps, bounds)
        for measure, quantity in (
            (_selectivity(tables, view, bounds, group), EXCESS),
            (_dimension(tables, view, bounds, group), DIFFERENCE),
        )
    )
    first = view.finder(tables["dynamics"], "boost", *PLATEAU)(FIRST_STEP)
    size = int((tables["groups"]["group"] == group).sum())
    evidence = Courses(primary, secondary, size, NAN if first is None else float(first["value"]))
    return Decision(
        VERDICTS.get(primary.why, "undecided"),
        primary.statistic,
        evidence,
        (Option(primary.needed),) if primary.needed else (),
        UNKNOWN if primary.rise is None else primary.rise.width,
        n=primary.n,
        bound=bounds.abrupt_width,
    )


def _selectivity(tables: Tables, view: View, bounds: Bounds, group: str) -> _Measure:
    """Joint ablation of the top neurons: cost on rare rows less that on common ones of like loss, beyond controls."""
    quantity = over_training(EXCESS, "rise_width")
    return _Measure(
        Statistic(DELTA_LOSS, group, view.difference, view.split, MATCHED_ROWS, quantity, view.controls),
        view.finder(tables["dynamics"], group, DELTA_LOSS, MATCHED_ROWS, view.controls, view.difference),
        1,
        bounds.specialization_margin,
        "joint",
    )


def _dimension(tables: Tables, view: View, bounds: Bounds, group: str) -> _Measure:
    """Effective dimension of the top neurons minus that of the controls."""
    level = view.finder(tables["coordination"], group, DIMENSION, against=view.controls)(VALUE)
    quantity = over_training(DIFFERENCE, "rise_width")
    return _Measure(
        Statistic(DIMENSION, group, view.condition, view.split, quantity=quantity, against=view.controls),
        view.finder(tables["dynamics"], group, DIMENSION, against=view.controls),
        -1,
        bounds.dimension_reduction * (NAN if level is None else float(level["null_mean"])),
        "coordination",
    )


def _course_of(measure: _Measure, quantity: str, steps: np.ndarray, bounds: Bounds) -> Course:
    """Course of a measure over the checkpoints with these steps."""
    row, margin, n = measure.find(over_training(quantity, "change")), measure.margin, len(steps)
    if row is None or row["n"] < LEAST_CHECKPOINTS or not np.isfinite(margin):
        known = n if row is None else int(row["n"])
        few = known < LEAST_CHECKPOINTS
        needed = MoreCheckpoints(LEAST_CHECKPOINTS, known) if few else Measurable(absent_from=measure.table)
        return Course(measure.statistic, margin, known, "unknown", needed=(needed,))
    change, n = Interval.of(row), int(row["n"])
    least, most = sorted((measure.sign * change.ci_low, measure.sign * change.ci_high))
    if most < margin:
        return Course(measure.statistic, margin, n, "small", change, needed=(RunThatRises(margin),))
    width, centre = (measure.number(name, quantity) for name in ("rise_width", "rise_centre"))
    if not least > margin or not width.is_known:
        times = times_as_many(measure.sign * change.value, change.standard_error, margin, margin)
        return Course(measure.statistic, margin, n, "unclear", change, needed=(MoreDocuments(times, "heldout"),))
    height, scatter = (measure.number(name, quantity).value for name in ("rise_height", "rise_scatter"))
    rise = FittedRise(width, centre, height, scatter)
    why, open_needs = _speed(rise, change, steps, bounds.abrupt_width)
    return Course(measure.statistic, margin, n, why, change, rise, tuple(open_needs))


def _speed(rise: FittedRise, change: Interval, steps: np.ndarray, bound: float) -> tuple[Why, Sequence[Any]]:
    """Whether a rise is wider or narrower than the bound; where neither is known, why, and what would tell."""
    width = rise.width
    if width.ci_low > bound:
        return "gradual", ()
    if width.ci_high < bound:
        return "abrupt", ()
    x, centre = np.log1p(steps), np.log1p(rise.centre.value)
    if centre + width.value / 2 > x[-1]:
        return "late", [LaterCheckpoints(float(np.expm1(centre + width.value / 2)))]
    place = min(int(np.searchsorted(x, centre, side="right")), len(x) - 1)
    gap = x[place] - x[place - 1]
    if gap > RESOLVED * bound:
        return "apart", [CheckpointsBetween(ceil(gap / bound) - 1, float(steps[place - 1]), float(steps[place]))]
    times = times_as_many(width.value, width.standard_error, above=bound, below=bound)
    # The change is the difference of two checkpoints: its error is that of documents at one of them, times root 2.
    if rise.scatter > change.standard_error / np.sqrt(2) and np.isfinite(times):
        here = np.abs(x - centre) <= max(width.value, gap)
        ends = steps[here][[0, -1]]
        return "scattered", [CheckpointsBetween(ceil((times - 1) * here.sum()), float(ends[0]), float(ends[1]))]
    return "uncertain", [MoreDocuments(times, "heldout")]
