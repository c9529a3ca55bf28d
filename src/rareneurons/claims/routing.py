"""C5: does no attention head route rare tokens to the top neurons?"""

from dataclasses import dataclass

import numpy as np

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict, unmeasured
from rareneurons.claims.interval import Interval
from rareneurons.claims.requirements import MoreDocuments, Option, times_as_many
from rareneurons.claims.view import Finder, Tables, View
from rareneurons.stats import NORMAL_95
from rareneurons.tables import VALUE

TABLE, ROUTING, ABLATION = "attention", "largest_routing_share", "mean"


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
class Missed:
    """What a random ``sample`` of the heads says about those that were not ablated.

    ``routing``: the share of the sampled heads that route; at most ``upper`` of the others do (one-sided 95 %).
    """

    sample: int
    routing: float
    upper: float


@dataclass(frozen=True)
class Heads:
    """Evidence: of ``n`` ablated attention heads, those that are ``selective`` and those that route (``routing``).

    ``all``: number of heads that can reach the neurons. ``missed``: about those that were not ablated; None where
    there are none or nothing is known about them.
    """

    n: int
    all: int
    selective: int
    routing: int
    missed: Missed | None
    concentration: Concentration | None


@dataclass(frozen=True)
class ClearRouting:
    """Requirement: documents until the strongest head exceeds the margin, if its ``p_value`` is small enough then."""

    documents: MoreDocuments
    p_value: float


@dataclass(frozen=True)
class RoutingPower:
    """Requirement: a ``wanted`` chance that routing would be found, instead of ``power``."""

    power: float
    wanted: float


def decide_routing(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C5: does routing make up a relevant share of what any head does to the group on rare rows?

    Routing is what common rows, control groups and the other heads do not explain. The claim is supported if for no
    head the share may be as large as the margin, with power to find such a head; it is contradicted if a head routes
    and its share exceeds the margin.
    """
    top, margin, table = view.top_group(tables), bounds.routing_margin, tables[TABLE]
    statistic = Statistic(ROUTING, top.name, view.difference, view.split, ABLATION, against=view.controls)

    def find(measure: str, condition: str, against: str = "") -> Finder:
        return view.finder(table, top.name, measure, ABLATION, against, condition)

    number = find(ROUTING, view.difference, view.controls)(VALUE)
    names = ("routing_heads", "selective_heads", "routing_power")
    routing, selective, power = (find(name, view.difference)(VALUE) for name in names)
    if number is None:
        return unmeasured(statistic, margin, top, absent_from=TABLE)
    if routing is None or selective is None or power is None or not np.isfinite(number["value"]):
        return unmeasured(statistic, margin, top, reason=str(number["reason"]))
    share = Interval.of(number)
    verdict: Verdict = "undecided"
    if share.ci_high < margin and power["value"] >= bounds.power:
        verdict = "supported"
    elif routing["value"] > 0 and share.ci_low > margin:
        verdict = "contradicted"
    heads = Heads(
        int(routing["n"]),
        int(power["n"]),
        int(selective["value"]),
        int(routing["value"]),
        _missed(find("missed_routing", view.difference)),
        _concentration(find("gini", view.condition, view.controls), find("largest_head_share", view.condition)),
    )
    option = _option(share, margin, number["n"], float(number["p_value"]))
    if share.ci_high < margin:
        option = Option((RoutingPower(float(power["value"]), bounds.power),), "supported")
    return Decision(
        verdict,
        statistic,
        heads,
        (option,),
        share,
        number["p_value"],
        number["n"],
        power=float(power["value"]),
        bound=margin,
        neurons=top,
    )


def _missed(find: Finder) -> Missed | None:
    found = find(VALUE)
    if found is None or not np.isfinite(found["value"]):
        return None
    return Missed(int(found["n"]), float(found["value"]), float(found["ci_high"]))


def _concentration(find_gini: Finder, find_largest: Finder) -> Concentration | None:
    gini, largest = find_gini(VALUE), find_largest(VALUE)
    if gini is None or largest is None or not np.isfinite(gini["null_mean"]):
        return None
    return Concentration(gini["value"], gini["null_mean"], gini["p_value"], largest["value"])


def _option(share: Interval, margin: float, rows: float, p_value: float) -> Option:
    """Documents until no head can reach the margin; where the strongest may, until it is clear of the margin."""
    upper, lower = (abs(end - share.value) / NORMAL_95 for end in (share.ci_high, share.ci_low))
    times = times_as_many(share.value, upper, below=margin)
    if not np.isinf(times):
        return Option((MoreDocuments(times, "attention", rows),), "supported")
    times = times_as_many(share.value, lower, above=margin)
    return Option((ClearRouting(MoreDocuments(times, "attention", rows), p_value),), "contradicted")
