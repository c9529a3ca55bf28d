"""C5: does no attention head route rare tokens to the plateau neurons?"""

from dataclasses import dataclass

import numpy as np

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict, unmeasured
from rareneurons.claims.interval import Interval
from rareneurons.claims.requirements import MoreDocuments, Option, times_as_many
from rareneurons.claims.view import Finder, Tables, View
from rareneurons.stats import NORMAL_95
from rareneurons.tables import VALUE

TABLE, ROUTING, ABLATION = "attention", "largest_routing", "mean"


@dataclass(frozen=True)
class Concentration:
    """How unequal the heads' effects on rare rows are.

    ``gini`` of the effects, its mean ``gini_null`` over the control groups and the ``p_value`` against them;
    ``largest_share``: the effect of a layer's strongest head alone, as a share of the layer's effect.
    """

    gini: float
    gini_null: float
    p_value: float
    largest_share: float


@dataclass(frozen=True)
class Heads:
    """Evidence: of ``n`` attention heads, those that are ``selective`` and those that route (``routing``).

    ``largest``: the strongest routing, in standard deviations of the neurons' activations.
    """

    n: int
    selective: int
    routing: int
    largest: float
    concentration: Concentration | None


@dataclass(frozen=True)
class ClearRouting:
    """Requirement: documents until the strongest head is clear of zero, if its ``p_value`` is small enough then."""

    documents: MoreDocuments
    p_value: float


def decide_routing(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C5: can any head move the group on rare rows, beyond common rows, control groups and the other heads?"""
    top, margin, table = view.top_group(tables), bounds.routing_margin, tables[TABLE]
    statistic = Statistic(ROUTING, top.name, view.difference, view.split, ABLATION, against=view.controls)

    def find(measure: str, condition: str, against: str = "") -> Finder:
        return view.finder(table, top.name, measure, ABLATION, against, condition)

    number = find(ROUTING, view.difference, view.controls)(VALUE)
    size = find("head_effect", view.condition, view.controls)(VALUE)
    routing, selective = (find(name, view.difference)(VALUE) for name in ("routing_heads", "selective_heads"))
    if number is None:
        return unmeasured(statistic, margin, top, absent_from=TABLE)
    if size is None or routing is None or selective is None or not np.isfinite(number["value"]):
        return unmeasured(statistic, margin, top, reason=str(number["reason"]))
    share = Interval.of(number).over(size["value"])
    verdict: Verdict = "undecided"
    if share.ci_high < margin:
        verdict = "supported"
    elif routing["value"] > 0:
        verdict = "contradicted"
    gini, largest = (
        find("gini", view.condition, view.controls)(VALUE),
        find("largest_head_share", view.condition)(VALUE),
    )
    concentration = None
    if gini is not None and largest is not None and np.isfinite(gini["null_mean"]):
        concentration = Concentration(gini["value"], gini["null_mean"], gini["p_value"], largest["value"])
    counts = int(routing["n"]), int(selective["value"]), int(routing["value"])
    return Decision(
        verdict,
        statistic,
        Heads(*counts, float(number["value"]), concentration),
        (_option(share, margin, number["n"], float(number["p_value"])),),
        share,
        number["p_value"],
        number["n"],
        bound=margin,
        neurons=top,
    )


def _option(share: Interval, margin: float, rows: float, p_value: float) -> Option:
    """Documents until no head can reach the margin; where the strongest may reach it, until it is clear of zero."""
    upper, lower = (abs(end - share.value) / NORMAL_95 for end in (share.ci_high, share.ci_low))
    times = times_as_many(share.value, upper, below=margin)
    if not np.isinf(times):
        return Option((MoreDocuments(times, "attention", rows),), "supported")
    times = times_as_many(share.value, lower, above=0)
    return Option((ClearRouting(MoreDocuments(times, "attention", rows), p_value),), "contradicted")
