"""P1a: are the top neurons active together, and not when other neurons are (arXiv 2505.12822)?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.claims.below_controls import (
    SHUFFLED,
    BetterControls,
    Match,
    SpecificNeurons,
    null_kinds,
    worst_match,
)
from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict, unmeasured
from rareneurons.claims.interval import Interval, null_spread
from rareneurons.claims.requirements import NothingPromising, Option, more_documents
from rareneurons.claims.view import Finder, Tables, TopGroup, View
from rareneurons.groups import ControlKind
from rareneurons.tables import DIFFERENCE, VALUE

TABLE = "coordination"
CO_ACTIVATE, AVOID = ("positive_correlation", ""), ("negative_correlation", "other_neurons")
LEAST_EXCESS = 0.1  # smallest excess over the control groups' mean that matters, as a share of it


@dataclass(frozen=True)
class Excess:
    """One of the two tests: a measure beyond every kind of control groups.

    ``measured``: kind -> the value's row; ``relative``: kind -> the excess over that kind's mean, as a share of it;
    ``power``: chance that an excess by ``LEAST_EXCESS`` would be found against the first kind.
    """

    measure: str
    part: str
    measured: Mapping[ControlKind, pd.Series]
    relative: Mapping[ControlKind, Interval]
    power: float

    @property
    def p_value(self) -> float:
        """The largest p over the kinds of controls."""
        return max(float(row["p_value"]) for row in self.measured.values())

    def is_beyond(self, kind: ControlKind, alpha: float) -> bool:
        """Whether the measure exceeds that of one kind of controls."""
        return bool(self.measured[kind]["p_value"] <= alpha and self.relative[kind].value > 0)


@dataclass(frozen=True)
class Coactivation:
    """Evidence: both tests, the one that the verdict shows, and how good matched controls are.

    ``shared``: the group is beyond matched groups in both tests, and so are the groups chosen with shuffled labels.
    """

    tests: tuple[Excess, Excess]
    shown: Excess
    match: Match | None
    shared: bool


def decide_coactivation(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """P1a: both tests must find an excess; p is the larger of the two (intersection-union: Berger 1982)."""
    top, kinds = view.top_group(tables), null_kinds(view)
    found = [_excess(tables, view, top.name, *each, kinds, bounds.alpha) for each in (CO_ACTIVATE, AVOID)]
    if isinstance(found[0], str) or isinstance(found[1], str):
        reason = next(each for each in found if isinstance(each, str))
        return unmeasured(_statistic(*CO_ACTIVATE, top, view), LEAST_EXCESS, top, reason, "" if reason else TABLE)
    tests, first = (found[0], found[1]), kinds[0]
    match = worst_match(tables, view, top.name, bounds.match_difference)
    # The test with the larger p or, of two with the same p, the one with the smaller excess.
    shown = max(tests, key=lambda each: (each.p_value, -each.relative[first].value))
    beyond = {kind: all(each.is_beyond(kind, bounds.alpha) for each in tests) for kind in kinds}
    verdict: Verdict = "undecided"
    if match is not None and not match.is_good:
        option = Option((BetterControls(match),))
    elif all(beyond.values()):
        verdict, option = "supported", Option(())
    elif lacking := [each for each in tests if _is_excluded(each, first, bounds)]:
        verdict, shown, option = "contradicted", lacking[0], Option(())
    elif beyond[first] and SHUFFLED in beyond:
        option = Option((SpecificNeurons(max(float(each.measured[SHUFFLED]["p_value"]) for each in tests)),))
    else:
        option = _option(shown, first)
    good = match is None or match.is_good
    evidence = Coactivation(tests, shown, match, good and verdict == "undecided" and beyond[first])
    return Decision(
        verdict,
        _statistic(shown.measure, shown.part, top, view),
        evidence,
        (option,),
        shown.relative[first],
        max(each.p_value for each in tests),
        float(shown.measured[first]["n"]),
        float(np.prod([each.power for each in tests])),
        LEAST_EXCESS,
        top,
    )


def _statistic(measure: str, part: str, top: TopGroup, view: View) -> Statistic:
    return Statistic(measure, top.name, view.condition, view.split, part, DIFFERENCE, view.controls)


def _excess(
    tables: Tables,
    view: View,
    group: str,
    measure: str,
    part: str,
    kinds: tuple[ControlKind, ...],
    alpha: float,
) -> Excess | str:
    """One test; why there is none, empty where a table has no row of the group."""
    found: dict[ControlKind, tuple[pd.Series, pd.Series]] = {}
    for kind in kinds:
        find: Finder = view.finder(tables[TABLE], group, measure, part, against=kind)
        number, difference = find(VALUE), find(DIFFERENCE)
        if number is None:
            return ""
        if difference is None or not np.isfinite([number["p_value"], difference["value"]]).all():
            return str(number["reason"]) or "no control groups"
        if number["null_mean"] == 0:
            return f"the mean of the {kind} groups is 0, so that an excess is no share of it"
        found[kind] = number, difference
    measured = {kind: number for kind, (number, _) in found.items()}
    relative = {
        kind: Interval.of(difference).over(float(number["null_mean"])) for kind, (number, difference) in found.items()
    }
    return Excess(measure, part, measured, relative, _power(measured[kinds[0]], alpha))


def _power(number: pd.Series, alpha: float) -> float:
    """Chance of a p of at most alpha for a group whose mean is ``LEAST_EXCESS`` above normal control groups'."""
    from scipy.special import ndtr, ndtri

    spread = null_spread(number)
    return float(ndtr(LEAST_EXCESS * float(number["null_mean"]) / spread + ndtri(alpha))) if spread > 0 else 1.0


def _is_excluded(test: Excess, kind: ControlKind, bounds: Bounds) -> bool:
    """Whether an excess that matters is excluded, and would have been found."""
    return bool(test.relative[kind].ci_high < LEAST_EXCESS and test.power >= bounds.power)


def _option(shown: Excess, kind: ControlKind) -> Option:
    """Documents that clear the weaker excess of the smallest one that matters."""
    needed = more_documents(shown.relative[kind], "heldout", float(shown.measured[kind]["n"]), below=LEAST_EXCESS)
    if np.isinf(needed.times):
        return Option((NothingPromising(shown.relative[kind].value, LEAST_EXCESS, "heldout"),))
    return Option((needed,), "contradicted")
