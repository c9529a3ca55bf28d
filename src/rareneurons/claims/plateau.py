"""C1 and C2: is there a plateau for rare targets, and none for common ones?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim, Verdict
from rareneurons.claims.findings import Finding, no_number, unmeasured
from rareneurons.claims.measured import finder, percent, plateau_test
from rareneurons.regimes.local_exponent import LEAST_NEURONS

FLATNESS, POWER = "mean_abs.auto.flatness", "mean_abs.test.power"
PLATEAU_CLAIMS = (
    Claim("C1", "Rare targets: influence has a plateau, a power law and a rapid decay", "regimes", FLATNESS),
    Claim("C2", "Common targets: no plateau", "regimes", FLATNESS),
)


def plateau_finding(claim: Claim, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> Finding:
    """C1 and C2: the plateau test's answer; a "no" counts only where the test would have found a planted plateau."""
    rare, table = claim.name == "C1", tables[claim.table]
    condition = bounds.condition if rare else bounds.contrast
    statistic = f"{claim.measure} (boost, {condition})"
    checkpoints = bounds.alpha / bounds.plateau_alpha
    rule = (
        "a plateau is found if the three-regime curve has the smallest information criterion, the head departs from "
        f"a curve without a plateau (adjusted p at most {bounds.alpha:g}), its exponent is at most "
        f"{bounds.flatness:g} of the power law's, and it is the head on held-out documents too; that none is found "
        f"counts where the test finds at least {percent(bounds.power)} of planted ones; p adjusted over the "
        f"{checkpoints:.0f} checkpoints that regimes.alpha allows for (Bonferroni); n counts blocks of held-out "
        "documents"
    )
    find = finder("boost", "", table, condition)
    test, power, curve = plateau_test(table, condition), find(POWER), find("mean_abs.n_neurons")
    n_neurons = 0 if curve is None else curve["value"]
    if test is None:
        why = f"a curve of {n_neurons:.0f} boost neurons is too short to fit"
        need = f"a last MLP with at least {LEAST_NEURONS} boost neurons"
        return unmeasured(statistic, rule, bounds.flatness, why, need)
    found, share = test["value"] == 1, np.nan if power is None else power["value"]
    verdict: Verdict = "undecided"
    if found or share >= bounds.power:
        verdict = "supported" if found == rare else "contradicted"
    flatness = find(claim.measure)
    number = no_number() if flatness is None else flatness
    p = min(1.0, float(test["p_value"]) * checkpoints)
    steep = (
        f"the most influential neurons fall off {number['value']:.2g} times as steeply as the power law after them "
        f"(95 % interval {number['ci_low']:.2g} to {number['ci_high']:.2g}; {test['n']:.0f} blocks of held-out "
        f"documents; adjusted p = {p:.2g})"
    )
    share_found = "an unknown share" if np.isnan(share) else percent(share)
    if found:
        plain = f"on {condition} rows there is a plateau: {steep}, where up to {bounds.flatness:g} is flat"
    elif verdict == "undecided":
        plain = (
            f"on {condition} rows no plateau can be told from chance: {steep}, but the test would find only "
            f"{share_found} of planted plateaus, and its no counts from {percent(bounds.power)} on"
        )
    else:
        planted = f"the test would find {share_found} of planted plateaus"
        plain = f"on {condition} rows there is no plateau: {steep}, and {planted}"
    told = (
        f"{'a' if found else 'no'} plateau is found among the boost neurons, p = {test['p_value']:.2g}, adjusted "
        f"{p:.2g}; power {percent(share)}"
    )
    need = _need(table, condition, bounds.power, n_neurons)
    return Finding(verdict, statistic, plain, rule, told, need, number, p, test["n"], bounds.flatness)


def _need(table: pd.DataFrame, condition: str, power: float, n_neurons: float) -> str:
    """The simulated documents or neurons at which the test's "no" would count."""
    last = table[(table["condition"] == condition) & table["measure"].str.startswith(f"{POWER}.")]
    tried: dict[str, tuple[int, float]] = {}  # kind -> the largest multiple, and the power there
    for measure, found in zip(last["measure"], last["value"], strict=True):
        kind, times = measure.rsplit(".", 1)[1].split("_")
        tried[kind] = max(tried.get(kind, (0, 0.0)), (int(times), found))
    if not tried:
        return "the test's power (`regimes.power_draws` above 0)"
    words = {
        "documents": "{0} times as many documents",
        "neurons": f"a last MLP {{0}} times as wide as the one with {n_neurons:,.0f} boost neurons here",
    }
    said = {
        kind: f"{words[kind].format(times)} ({percent(found)} of planted plateaus found in simulations)"
        for kind, (times, found) in tried.items()
    }
    enough = [kind for kind, (_, found) in tried.items() if found >= power]
    if not enough:
        return f"more than {' or '.join(said.values())}"
    return said[enough[0]] + "".join(f"; {said[kind]} would not do" for kind in tried if kind not in enough)
