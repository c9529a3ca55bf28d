"""C7: are the spectra of plateau neurons' weights heavier-tailed, increasingly so?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim
from rareneurons.claims.measured import below_controls, last_number, with_interval
from rareneurons.claims.over_training import followed_back, follows_step, head_group, movement
from rareneurons.claims.verdict_rows import filled, unmeasured

TAIL_CLAIM = Claim(
    "C7",
    "Plateau neurons' weights have heavier-tailed spectra, increasingly so",
    "spectra",
    "condition",
    "plateau",
    "hill",
)


def tail_row(model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C7: the paper's Hill exponent below that of matched groups at the last checkpoint, further and further."""
    claim, spectra = TAIL_CLAIM, tables[TAIL_CLAIM.table]
    group, no_plateau = head_group(model, tables, bounds)
    names = spectra.loc[(spectra["model"] == model) & (spectra["group"] == group), "measure"].drop_duplicates()
    matrices = [
        str(name).split(".")[1] for name in names if str(name).startswith("hill.") and name.endswith(".matched")
    ]
    each = (_tail_of(matrix, group, model, tables, bounds, len(matrices)) for matrix in matrices)
    found = [one for one in each if one is not None]
    if not found:
        return unmeasured(claim, f"{claim.measure} against matched groups", model, bounds.condition)
    verdicts = [verdict for verdict, *_ in found]
    verdict = "undecided"
    if "supported" in verdicts and "contradicted" not in verdicts:
        verdict = "supported"
    elif set(verdicts) == {"contradicted"}:
        verdict = "contradicted"
    _, row, _ = next((one for one in found if one[0] == verdict), found[0])
    told = "; ".join(words for *_, words in found) + no_plateau
    rule = (
        f"rule: for each weight matrix, heavier-tailed if the adjusted p is at most {bounds.alpha:g} and the exponent "
        f"below the matched groups' mean, not so if a reduction by {bounds.hill_reduction:.0%} of it is excluded "
        "and lies outside the central 95 % of these groups; increasingly if the ratio of both falls with step "
        f"(intervals of change and rank correlation below zero, p at most {bounds.alpha:g} over the matrices), not so "
        "if its change excludes such a reduction. Supported if both hold for one matrix and neither fails for another; "
        "contradicted if one fails for every matrix"
    )
    row |= {"bound": bounds.alpha, "verdict": verdict}
    sentence = f"{claim.text}: {verdict} for {model} at {row.pop('checkpoint')}; {told}."
    return row | {"reason": f"{rule}; {told}", "sentence": sentence}


def _tail_of(
    matrix: str, group: str, model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds, n_matrices: int
) -> tuple[str, dict[str, object], str] | None:
    """Verdict of C7 on one weight matrix, the number behind it, and both in words; None where nothing is measured."""
    measure, condition = f"{TAIL_CLAIM.measure}.{matrix}.matched", bounds.condition

    def last(name: str) -> pd.Series | None:
        return last_number(group, name, model, tables["spectra"], condition)

    def over_training(end: str) -> pd.Series | None:
        return last_number(group, f"{measure}.ratio.{end}", model, tables["dynamics"], condition)

    number, null, difference = last(measure), last(f"{measure}.null_mean"), last(f"{measure}.difference")
    if number is None or null is None or difference is None:
        return None
    row = filled(TAIL_CLAIM, model, condition, difference) | {"checkpoint": number["checkpoint"]}
    row |= {"p_value": number["q_value"], "statistic": f"{measure}.difference ({group}, {condition})"}
    if not np.isfinite([number["q_value"], difference["value"]]).all():
        return "undecided", row, f"{matrix}: the exponent of the {group} neurons is not known: {number['reason']}"
    heavier = below_controls(number, null, difference, bounds.alpha, bounds.hill_reduction)
    moved = movement(over_training, -1, bounds.hill_reduction)
    change, trend = over_training("change"), over_training("trend")
    verdict = "undecided"
    if heavier == "contradicted" or moved == "none":
        verdict = "contradicted"
    elif heavier == "supported" and moved == "yes" and trend is not None:
        verdict = "supported" if follows_step(trend, -1, bounds.alpha / n_matrices) else "undecided"
    told = (
        f"{matrix}: Hill exponent of the {group} neurons {number['value']:.3g}, matched groups {null['value']:.3g} "
        f"(95 % of them: {null['ci_low']:.3g} to {null['ci_high']:.3g}), difference {with_interval(difference)}, "
        f"p = {number['p_value']:.2g}, adjusted {number['q_value']:.2g}"
    )
    if change is None or trend is None:
        return verdict, row, f"{told}; no trend over fewer than four checkpoints"
    told += f"; the ratio of both changes by {with_interval(change)}, rank correlation with step {with_interval(trend)}"
    followed = followed_back(group, f"{measure}.ratio", model, tables["dynamics"], condition)
    return verdict, row, f"{told}, p = {trend['p_value']:.2g}{followed}"
