"""C5: does no attention head route rare tokens to the plateau neurons?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim, Verdict
from rareneurons.claims.findings import NUMBERS, Finding, unmeasured
from rareneurons.claims.measured import Finder, finder, head_of, percent
from rareneurons.claims.needs import Sample, more_documents, times_as_many
from rareneurons.stats import NORMAL_95

ROUTING_CLAIM = Claim(
    "C5",
    "No dedicated attention routing to the plateau neurons",
    "attention",
    "largest_routing.mean.matched",
)


def routing_finding(tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> Finding:
    """C5: can any head move the group on rare rows, beyond common rows, matched groups and the other heads?"""
    claim, head, condition = ROUTING_CLAIM, head_of(tables, bounds), bounds.condition
    both, margin, table = f"{condition}-{bounds.contrast}", bounds.routing_margin, tables[claim.table]
    statistic = f"{claim.measure} over a mean head's effect ({head.group}, {both})"
    rule = (
        f"supported if the upper ends of all heads' intervals are below {margin:g} of a mean head's effect; "
        "contradicted if not, and a head routes: its selectivity's adjusted p and its p against matched groups are at "
        "most attention.alpha, and both intervals lie above 0; p is the smallest of all heads against matched groups, "
        "adjusted over heads (Westfall-Young); n counts held-out rows"
    )
    compared, on_rare = (finder(head.group, "", table, name) for name in (both, condition))
    number, size = compared(claim.measure), on_rare("head_effect.mean.matched")
    named, selective = compared("routing_heads.mean"), compared("selective_heads.mean")
    if number is None:
        return unmeasured(statistic, rule, margin, f"{head.words} have no row in tables/{claim.table}.csv")
    if size is None or named is None or selective is None or not np.isfinite(number["value"]):
        return unmeasured(statistic, rule, margin, str(number["reason"]))
    share = number[NUMBERS] / size["value"]
    verdict: Verdict = "undecided"
    if share["ci_high"] < margin:
        verdict = "supported"
    elif named["value"] > 0:
        verdict = "contradicted"
    who = {
        "supported": "no attention head routes",
        "contradicted": f"{named['value']:.0f} of {named['n']:.0f} attention heads route",
        "undecided": "an attention head may route",
    }[verdict]
    plain = (
        f"{who} {condition} rows to {head.words}: the strongest moves them by {share['value']:.2g} of a mean head's "
        f"effect more than {bounds.contrast} rows, matched groups and the other heads explain (95 % interval from "
        f"{share['ci_low']:.2g}, no head more than {share['ci_high']:.2g}; {number['n']:,.0f} rows), where {margin:g} "
        "would be dedicated routing"
    )
    told = (
        f"of {named['n']:.0f} heads {selective['value']:.0f} move {head.group} more on {condition} rows and "
        f"{named['value']:.0f} route; the strongest moves it by {number['value']:.2g} standard deviations more than is "
        f"explained, p = {number['p_value']:.2g}{_concentration(on_rare, condition)}"
    )
    need = _need(share, number, margin)
    return Finding(verdict, statistic, plain, rule, told, need, share, number["p_value"], number["n"], margin)


def _need(share: pd.Series, number: pd.Series, margin: float) -> str:
    """Documents until no head can reach the margin; where the strongest may reach it, until it is clear of zero."""
    sample = Sample("documents (`attention.documents`)", number["n"])
    upper, lower = (abs(share[end] - share["value"]) / NORMAL_95 for end in ("ci_high", "ci_low"))
    times = times_as_many(share["value"], upper, below=margin)
    if not np.isinf(times):
        return f"for a yes, {more_documents(times, sample)}"
    times = times_as_many(share["value"], lower, above=0)
    return (
        f"for a no, {more_documents(times, sample)}, if the strongest head's adjusted p (here {number['p_value']:.2g}) "
        "and that of its selectivity are then at most attention.alpha; for a yes it lies too near the bound"
    )


def _concentration(find: Finder, condition: str) -> str:
    """Gini coefficient and the layers' strongest heads in words, empty where they were not measured."""
    gini, null = find("gini.mean.matched"), find("gini.mean.matched.null_mean")
    share = find("largest_head_share.mean")
    if gini is None or null is None or share is None:
        return ""
    return (
        f"; on {condition} rows the Gini coefficient of heads' effects is {gini['value']:.2g} ({null['value']:.2g} on "
        f"matched groups, p = {gini['p_value']:.2g}), the strongest head of a layer alone has "
        f"{percent(share['value'])} of the layer's effect"
    )
