"""C4: do plateau neurons form no discrete clusters?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim, condition_of
from rareneurons.claims.measured import last_number, last_number_or_fixed, not_a_regime
from rareneurons.claims.verdict_rows import filled, unmeasured

CLUSTERS_CLAIM = Claim(
    "C4",
    "Plateau neurons form no discrete clusters",
    "organization",
    "condition",
    "plateau",
    "signed_modularity.matched",
)


def clusters_row(model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C4: is modularity above the matched controls' mean by less, or by more, than the smallest relevant difference?"""
    claim, table = CLUSTERS_CLAIM, tables[CLUSTERS_CLAIM.table]
    condition = condition_of(claim, bounds)
    number = last_number_or_fixed(claim, model, table, condition)
    if number is None:
        return unmeasured(claim, claim.measure, model, condition)
    group = str(number["group"])
    null = last_number(group, f"{claim.measure}.null_mean", model, table, condition)
    mean = float("nan") if null is None else float(null["value"])
    low, high = number["ci_low"] - mean, number["ci_high"] - mean
    q, margin = number["q_value"], bounds.modularity_margin
    verdict = "undecided"
    if high < margin:
        verdict = "supported"
    elif low > margin and q <= bounds.alpha:
        verdict = "contradicted"
    row = filled(claim, model, condition, number)
    row |= {"value": number["value"] - mean, "ci_low": low, "ci_high": high, "p_value": q}
    row |= {"bound": margin, "verdict": verdict}
    row["statistic"] = f"{claim.measure} less the controls' mean ({group}, {condition})"
    if np.isfinite(number["value"]):
        told = (
            f"signed modularity of {group} is {number['value']:.3g}, of matched controls {mean:.3g} on average; "
            f"difference {row['value']:.3g} (95 % interval {low:.3g} to {high:.3g}), adjusted p = {q:.2g}"
        )
    else:
        told = f"{group} is not measured: {number['reason']}"
    told += not_a_regime(model, tables, condition)
    rule = (
        f"rule: supported if the upper end of the difference's interval is below {margin:g}, contradicted if its lower "
        f"end is above {margin:g} with an adjusted p of at most {bounds.alpha:g}"
    )
    sentence = f"{claim.text}: {verdict} for {model} at {number['checkpoint']}; {told}."
    return row | {"reason": f"{rule}; {told}", "sentence": sentence}
