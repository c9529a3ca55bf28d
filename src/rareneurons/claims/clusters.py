"""C4: do plateau neurons form no discrete clusters?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim, Verdict
from rareneurons.claims.findings import NUMBERS, Finding, unmeasured
from rareneurons.claims.measured import finder, head_of
from rareneurons.claims.needs import Sample, more_documents, more_neurons, standard_error, times_as_many

CLUSTERS_CLAIM = Claim(
    "C4",
    "Plateau neurons form no discrete clusters",
    "organization",
    "signed_modularity.matched",
    "signed modularity less that of matched groups",
)


def clusters_finding(tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> Finding:
    """C4: is modularity above the matched controls' mean by less, or by more, than the smallest relevant difference?"""
    claim, head, condition = CLUSTERS_CLAIM, head_of(tables, bounds), bounds.condition
    margin, alpha = bounds.modularity_margin, bounds.alpha
    statistic = f"{claim.measure} less the controls' mean ({head.group}, {condition})"
    rule = (
        f"supported if the upper end of the difference's interval is below {margin:g}, contradicted if its lower end "
        f"is above {margin:g} with an adjusted p of at most {alpha:g}; p adjusted over all tests of the checkpoint's "
        "organization (Benjamini-Hochberg); n counts held-out rows"
    )
    find = finder(head.group, claim.measure, tables[claim.table], condition)
    number, null = find(""), find(".null_mean")
    if number is None:
        return unmeasured(statistic, rule, margin, f"{head.words} have no row in tables/{claim.table}.csv")
    if null is None or not np.isfinite([number["value"], null["value"]]).all():
        return unmeasured(statistic, rule, margin, str(number["reason"]))
    difference = number[NUMBERS] - null["value"]
    verdict: Verdict = "undecided"
    if difference["ci_high"] < margin:
        verdict = "supported"
    elif difference["ci_low"] > margin and number["q_value"] <= alpha:
        verdict = "contradicted"
    if difference["ci_low"] > margin:
        need = more_neurons(difference["value"], null, number, alpha, head.size, sides=2)
    else:
        times = times_as_many(difference["value"], standard_error(difference), above=margin, below=margin)
        need = more_documents(times, Sample("held-out documents", number["n"]))
    plain = (
        f"{head.words} are divided into clusters {abs(difference['value']):.2g} "
        f"{'less' if difference['value'] < 0 else 'more'} clearly than matched groups, by signed modularity (95 % "
        f"interval {difference['ci_low']:+.2g} to {difference['ci_high']:+.2g}; {number['n']:,.0f} rows), where from "
        f"{margin:+.2g} on it would be clusters"
    )
    told = (
        f"signed modularity {number['value']:.3g}, mean of {null['n']:.0f} matched groups {null['value']:.3g}, "
        f"adjusted p = {number['q_value']:.2g}"
    )
    return Finding(verdict, statistic, plain, rule, told, need, difference, number["q_value"], number["n"], margin)
