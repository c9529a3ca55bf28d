"""C3: do plateau neurons act together?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim, condition_of
from rareneurons.claims.measured import below_controls, last_number, last_number_or_fixed, plateau_test
from rareneurons.claims.verdict_rows import filled, unmeasured

DIMENSION_CLAIM = Claim(
    "C3",
    "Plateau neurons act together: reduced effective dimension",
    "coordination",
    "condition",
    "plateau",
    "effective_dimension.matched",
)


def dimension_row(model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C3: the effective dimension against matched groups, by adjusted p for a yes and by interval for a no."""
    claim, table = DIMENSION_CLAIM, tables[DIMENSION_CLAIM.table]
    condition = condition_of(claim, bounds)
    number = last_number_or_fixed(claim, model, table, condition)
    if number is None:
        return unmeasured(claim, claim.measure, model, condition)
    group = str(number["group"])
    null = last_number(group, f"{claim.measure}.null_mean", model, table, condition)
    difference = last_number(group, f"{claim.measure}.difference", model, table, condition)
    if null is None or difference is None or not np.isfinite([number["p_value"], difference["value"]]).all():
        row, verdict = filled(claim, model, condition, number), "undecided"
        told = f"it could not be told from the {group} neurons: {number['reason']}"
    else:
        row = filled(claim, model, condition, difference)
        verdict = below_controls(number, null, difference, bounds.alpha, bounds.dimension_reduction)
        told = (
            f"the effective dimension of the {group} neurons is {number['value']:.3g} of their number on {condition} "
            f"rows, {number['value'] / null['value']:.0%} of the mean over {null['n']:.0f} matched groups, "
            f"{null['value']:.3g} (95 % of them: {null['ci_low']:.3g} to {null['ci_high']:.3g}); difference "
            f"{difference['value']:.2g} (95 % interval {difference['ci_low']:.2g} to {difference['ci_high']:.2g}), "
            f"p = {number['p_value']:.2g}, adjusted {number['q_value']:.2g}"
        )
    row |= {"p_value": number["q_value"], "bound": bounds.alpha, "verdict": verdict}
    row["statistic"] = f"{claim.measure}.difference ({group}, {condition})"
    plateau = plateau_test(model, tables, condition)
    if plateau is None or plateau["value"] != 1:
        told += "; there is no plateau to speak of, these are the head neurons of the boost curve"
    reason = (
        f"rule: supported if the adjusted p is at most {bounds.alpha:g} and the dimension below the matched groups' "
        "mean; contradicted if the difference's interval holds zero or lies above it and excludes a reduction by "
        f"{bounds.dimension_reduction:.1%} of that mean, which must lie outside the central 95 % of these groups; "
        f"{told}"
    )
    sentence = f"{claim.text}: {verdict} for {model} at {number['checkpoint']}; {told}."
    return row | {"reason": reason, "sentence": sentence}
