"""C1 and C2: is there a plateau for rare targets, and none for common ones?"""

from collections.abc import Mapping

import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim, condition_of
from rareneurons.claims.measured import last_number, plateau_test
from rareneurons.claims.verdict_rows import filled, unmeasured
from rareneurons.tables import PLATEAU_TEST

PLATEAU_CLAIMS = (
    Claim(
        "C1",
        "Rare targets: influence has a plateau, a power law and a rapid decay",
        "regimes",
        "condition",
        "boost",
        "mean_abs.auto.flatness",
    ),
    Claim("C2", "Common targets: no plateau", "regimes", "contrast", "boost", "mean_abs.auto.flatness"),
)


def plateau_row(claim: Claim, model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C1 and C2: the plateau test's answer; a "no" counts only where the test would have found a planted plateau."""
    condition, table = condition_of(claim, bounds), tables[claim.table]
    test = plateau_test(model, tables, condition)
    if test is None:
        return unmeasured(claim, PLATEAU_TEST, model, condition)
    power = last_number(claim.group, "mean_abs.test.power", model, table, condition)
    has_power = power is not None and power["value"] >= bounds.power
    found = test["value"] == 1
    verdict = "undecided"
    if found or has_power:
        verdict = "supported" if found == (claim.name == "C1") else "contradicted"
    row = filled(claim, model, condition, last_number(claim.group, claim.measure, model, table, condition))
    row |= {"p_value": test["p_value"], "n": test["n"], "bound": bounds.flatness, "verdict": verdict}
    share = "unknown" if power is None else f"{power['value']:.0%}"
    told = (
        f"a plateau is found among the boost neurons (p = {test['p_value']:.2g} for the head's departure)"
        if found
        else f"no plateau is found among the boost neurons (p = {test['p_value']:.2g} for the head's departure); "
        f"the test's power to find a planted one is {share}"
    )
    if verdict == "undecided":
        told += f", below the {bounds.power:.0%} at which its no would count"
    reason = (
        "rule: the three-regime curve has the smallest information criterion, the head departs from a curve without a "
        f"plateau, its exponent is at most {bounds.flatness:g} of the power law's, and it is the head on held-out "
        f"documents too; {told}"
    )
    sentence = f"{claim.text}: {verdict} for {model} at {test['checkpoint']}; {told}."
    return row | {"reason": reason, "sentence": sentence}
