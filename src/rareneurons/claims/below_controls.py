"""Is a measure of the top neurons below that of their control groups? C3 and C7 share this code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from rareneurons.claims.decision import Verdict
from rareneurons.claims.interval import UNKNOWN, Interval
from rareneurons.claims.requirements import (
    Documents,
    LargerGroup,
    Measurable,
    MoreControls,
    MoreDocuments,
    NothingPromising,
    Option,
    more_documents,
    more_neurons,
)
from rareneurons.claims.view import Finder, Tables, View
from rareneurons.groups import MATCH_QUALITY, ControlKind
from rareneurons.tables import DIFFERENCE, VALUE

MATCHED: ControlKind = "matched"
SHUFFLED: ControlKind = "shuffled"


@dataclass(frozen=True)
class Match:
    """Evidence: the matched quantity ``feature`` in which a group and its matched groups differ most.

    ``difference``: in standard deviations of the layer; ``bound``: the largest that counts as matched.
    """

    feature: str
    difference: float
    bound: float

    @property
    def is_good(self) -> bool:
        """Whether the group has controls that resemble it."""
        return bool(abs(self.difference) <= self.bound)


@dataclass(frozen=True)
class BetterControls:
    """Requirement: neurons that resemble the group, which the layer lacks."""

    match: Match


@dataclass(frozen=True)
class SpecificNeurons:
    """Requirement: neurons that are specific to rare targets, since those chosen with shuffled labels are alike."""

    p_value: float


@dataclass(frozen=True)
class Comparison:
    """A measure against every kind of control groups that the view asks for.

    ``answer``: is it below all of them; ``relative``: its difference from the first kind's mean, as a share of that
    mean; ``measured``: kind -> the value's row, with its controls and p; ``differences``: kind -> the difference
    relative to its mean; ``options``: what would decide it, of which one ``may_be_met``; ``reason``: why there is no
    number; ``match``: how good matched controls are, where they are asked for; ``shared``: it is below matched groups,
    and so are the groups chosen with shuffled labels.
    """

    answer: Verdict
    options: tuple[Option, ...]
    relative: Interval = UNKNOWN
    measured: Mapping[ControlKind, pd.Series] = field(default_factory=dict)
    differences: Mapping[ControlKind, Interval] = field(default_factory=dict)
    may_be_met: bool = True
    reason: str = ""
    match: Match | None = None
    shared: bool = False

    @property
    def p_value(self) -> float:
        """The largest p over the kinds of controls (an intersection-union test: Berger 1982); NaN without any."""
        return max((float(row["p_value"]) for row in self.measured.values()), default=np.nan)


def null_kinds(view: View) -> tuple[ControlKind, ...]:
    """The kinds of controls that a measure must lie below.

    Those of the view; beside matched groups, those chosen with shuffled labels by the same rule.
    """
    return (MATCHED, SHUFFLED) if view.controls == MATCHED and view.shuffled else (view.controls,)


def worst_match(tables: Tables, view: View, group: str, bound: float) -> Match | None:
    """How good the matched groups of a group are, NaN where that is unknown; None where the view asks for others."""
    if view.controls != MATCHED:
        return None
    quality = tables["group_match"]
    mine = (quality["measure"] == MATCH_QUALITY) & (quality["against"] == MATCHED) & (quality["group"] == group)
    found = quality[mine & (quality["condition"] == view.condition)]
    if found.empty:
        return Match("", np.nan, bound)
    worst = found.iloc[int(found["value"].abs().argmax())]
    return Match(str(worst["part"]), float(worst["value"]), bound)


def below_controls(
    find: Callable[[ControlKind], Finder],
    kinds: Sequence[ControlKind],
    match: Match | None,
    size: int,
    alpha: float,
    reduction: float,
    documents: Documents,
    rows: float,
) -> Comparison | None:
    """Compare by p for a yes, and for a no by an interval that excludes a relevant reduction.

    Args:
        find: the measure's rows against a kind of controls, of the quantities ``value`` and ``difference``.
        kinds: kinds of controls. A yes must hold against each, a no against the first.
        match: how good matched controls are; they decide nothing where they are not good.
        size: number of neurons of the group.
        alpha: largest p of a yes.
        reduction: share of the controls' mean that a no must exclude. A small group has few possible values: where even
            such a reduction lies among the central 95 % of control groups, a no says nothing.
        documents: what the interval is over.
        rows: number of rows that these documents have; NaN if it means nothing.

    Returns:
        The comparison; None where nothing is measured.
    """
    finders = {kind: find(kind) for kind in kinds}
    found = {kind: (of(VALUE), of(DIFFERENCE)) for kind, of in finders.items()}
    if found[kinds[0]][0] is None:
        return None
    for number, difference in found.values():
        if number is None or difference is None or not np.isfinite([number["p_value"], difference["value"]]).all():
            reason = "no control groups" if number is None else str(number["reason"])
            return Comparison("undecided", (Option((Measurable(reason),)),), reason=reason)
    measured = {kind: number for kind, (number, _) in found.items() if number is not None}
    relative = {
        kind: Interval.of(difference).over(measured[kind]["null_mean"])
        for kind, (_, difference) in found.items()
        if difference is not None
    }
    first = kinds[0]
    below = {kind: measured[kind]["p_value"] <= alpha and relative[kind].value < 0 for kind in kinds}
    numbers = relative[first], measured, relative
    if match is not None and not match.is_good:
        return Comparison("undecided", (Option((BetterControls(match),)),), *numbers, match=match)
    answer: Verdict = "undecided"
    if all(below.values()):
        answer = "supported"
    elif _visible(measured[first]) < reduction and relative[first].ci_low > -reduction:
        answer = "contradicted"
    elif below[first]:
        option = Option((SpecificNeurons(float(measured[SHUFFLED]["p_value"])),))
        return Comparison(answer, (option,), *numbers, match=match, shared=True)
    both = (
        *_supporting(measured, relative, alpha, size),
        *_contradicting(measured[first], relative[first], reduction, size, documents, rows),
    )
    hopeless = Option((NothingPromising(relative[first].value, -reduction, documents),))
    return Comparison(answer, both or (hopeless,), *numbers, may_be_met=bool(both), match=match)


def _visible(number: pd.Series) -> float:
    """The smallest reduction that lies outside the central 95 % of the control groups, as a share of their mean."""
    return float(1 - number["null_low"] / number["null_mean"])


def _supporting(
    measured: Mapping[ControlKind, pd.Series], relative: Mapping[ControlKind, Interval], alpha: float, size: int
) -> tuple[Option, ...]:
    """What a small p would take; empty where the group does not lie below, or no number of neurons is enough."""
    needed: list[LargerGroup | MoreControls] = []
    for kind, number in measured.items():
        if not relative[kind].value < 0:
            return ()
        if number["p_value"] > alpha:
            unadjusted = {**number, "q_value": number["p_value"]}
            more = more_neurons(number["value"] - number["null_mean"], unadjusted, alpha, size)
            if more is None:
                return ()
            needed.append(more)
    return (Option(tuple(dict.fromkeys(needed)), "supported"),) if needed else ()


def _contradicting(
    number: pd.Series, relative: Interval, reduction: float, size: int, documents: Documents, rows: float
) -> tuple[Option, ...]:
    """What excluding a relevant reduction would take; empty where no number of documents is enough."""
    needed: list[LargerGroup | MoreDocuments] = []
    if not _visible(number) < reduction:
        needed.append(LargerGroup((_visible(number) / reduction) ** 2, size))
    if not relative.ci_low > -reduction:
        documents_needed = more_documents(relative, documents, rows, above=-reduction)
        if np.isinf(documents_needed.times):
            return ()
        needed.append(documents_needed)
    return (Option(tuple(needed), "contradicted"),) if needed else ()
