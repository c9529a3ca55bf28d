"""C7: are the spectra of plateau neurons' weights heavier-tailed, increasingly so?"""

from dataclasses import dataclass
from typing import Any

from rareneurons.claims.below_controls import Comparison, below_controls
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
from rareneurons.tables import DIFFERENCE, FINAL_PREFIX, RATIO, VALUE, over_training

TABLE, HILL = "spectra", "hill"


@dataclass(frozen=True)
class Growth:
    """How the ratio to the control groups changed over ``n`` checkpoints: change, rank correlation with step, its p."""

    change: Interval
    n: int
    trend: Interval
    p_value: float
    tracked: TrackedTrend | None


@dataclass(frozen=True)
class Matrix:
    """What there is in one weight matrix: the level at the last checkpoint, and how it changed, if that is known."""

    part: str
    verdict: Verdict
    level: Comparison
    growth: Growth | None
    option: Option


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
    undecided = [one for one in found if one.verdict == "undecided"]
    promising = [one for one in undecided if one.level.may_be_met] or undecided
    return Decision(
        verdict,
        statistic(shown.part),
        Tails(tuple(found), shown),
        tuple(one.option for one in promising) or (Option((MoreModels(),)),),
        shown.level.relative,
        shown.level.p_value,
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
    find = view.finder(tables[TABLE], top.name, HILL, part, view.controls)
    level = below_controls(find, top.size, bounds.alpha, reduction, "discovery", NAN)
    if level is None:
        return None

    def ratio(group: str) -> Finder:
        return view.finder(tables["dynamics"], group, HILL, part, view.controls)

    change, trend = (ratio(top.name)(over_training(RATIO, name)) for name in ("change", "trend"))
    changed = None if change is None else Interval.of(change)
    moved = movement(changed, -1, reduction)
    verdict: Verdict = "undecided"
    if level.answer == "contradicted" or moved == "none":
        verdict = "contradicted"
    elif level.answer == "supported" and moved == "yes" and trend is not None and follows_step(trend, -1, alpha):
        verdict = "supported"
    needed: list[Any] = [] if level.answer == "supported" else [AnyOf(level.options)]
    if change is None or changed is None or trend is None:
        needed += more_checkpoints(None, -1, alpha, bounds.permutations, len(checkpoint_steps(tables["audit"])))
        return Matrix(part, verdict, level, None, Option(tuple(needed), part=part))
    moving = 1.0 if moved == "yes" else times_to_tell_movement(changed, -1, reduction)
    times = max(moving, times_to_follow_step(trend, -1))
    needed += [MoreDocuments(times, "discovery")] if times != 1 else []
    needed += more_checkpoints(trend, -1, alpha, bounds.permutations, int(trend["n"]))
    tracked = tracked_trend(ratio(f"{FINAL_PREFIX}{top.name}")(over_training(RATIO, "trend")))
    growth = Growth(changed, int(change["n"]), Interval.of(trend), float(trend["p_value"]), tracked)
    return Matrix(part, verdict, level, growth, Option(tuple(needed), part=part))
