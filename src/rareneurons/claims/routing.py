"""C5: does no attention head route rare tokens to the plateau neurons?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim, condition_of
from rareneurons.claims.measured import last_number, last_number_or_fixed, not_a_regime
from rareneurons.claims.verdict_rows import filled, unmeasured

ROUTING_CLAIM = Claim(
    "C5",
    "No dedicated attention routing to the plateau neurons",
    "attention",
    "condition",
    "plateau",
    "largest_routing.mean.matched",
)


def routing_row(model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C5: can any head move the group on rare rows, beyond common rows, matched groups and the other heads?"""
    claim, table = ROUTING_CLAIM, tables[ROUTING_CLAIM.table]
    condition = condition_of(claim, bounds)
    difference = f"{condition}-{bounds.contrast}"
    number = last_number_or_fixed(claim, model, table, difference)
    if number is None:
        return unmeasured(claim, claim.measure, model, difference)
    group = str(number["group"])
    row = filled(claim, model, difference, number)
    row["statistic"] = f"{claim.measure} over a mean head's effect ({group}, {difference})"
    row["bound"] = bounds.routing_margin
    size = last_number(group, "head_effect.mean.matched", model, table, condition)
    named = last_number(group, "routing_heads.mean", model, table, difference)
    selective = last_number(group, "selective_heads.mean", model, table, difference)
    if size is None or named is None or selective is None or not np.isfinite(number["value"]):
        told = f"routing to {group} could not be told: {number['reason']}"
    else:
        row |= {key: number[key] / size["value"] for key in ("value", "ci_low", "ci_high")}
        if number["ci_high"] < bounds.routing_margin * size["value"]:
            row["verdict"] = "supported"
        elif named["value"] > 0:
            row["verdict"] = "contradicted"
        told = (
            f"of {named['n']:.0f} heads {selective['value']:.0f} move {group} more on {condition} rows and "
            f"{named['value']:.0f} route; the strongest moves it {number['value']:.2g} standard deviations more than "
            f"{bounds.contrast} rows, matched groups and other heads explain, {row['value']:.2g} of a mean head's "
            f"effect (95 % interval from {row['ci_low']:.2g}; no head more than {row['ci_high']:.2g}), "
            f"p = {number['p_value']:.2g} adjusted over heads"
            f"{_concentration(group, model, table, condition)}"
        )
    told += not_a_regime(model, tables, condition)
    rule = (
        f"rule: supported if the upper ends of all heads' intervals are below {bounds.routing_margin:g} of a mean "
        "head's effect; contradicted if not, and a head routes: its selectivity's adjusted p and its p against matched "
        "groups, adjusted over heads, are at most attention.alpha, and both intervals lie above 0"
    )
    sentence = f"{claim.text}: {row['verdict']} for {model} at {number['checkpoint']}; {told}."
    return row | {"reason": f"{rule}; {told}", "sentence": sentence}


def _concentration(group: str, model: str, table: pd.DataFrame, condition: str) -> str:
    """Gini coefficient and the layers' strongest heads in words, empty where they were not measured."""
    gini = last_number(group, "gini.mean.matched", model, table, condition)
    null = last_number(group, "gini.mean.matched.null_mean", model, table, condition)
    share = last_number(group, "largest_head_share.mean", model, table, condition)
    if gini is None or null is None or share is None:
        return ""
    return (
        f"; on {condition} rows the Gini coefficient of heads' effects is {gini['value']:.2g} ({null['value']:.2g} on "
        f"matched groups, p = {gini['p_value']:.2g}), the strongest head of a layer alone has {share['value']:.0%} of "
        "the layer's effect"
    )
