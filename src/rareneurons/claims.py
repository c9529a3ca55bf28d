"""Verdict per claim and model, with the number behind it and the rule in words."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.tables import CLAIM_COLUMNS, last_checkpoints


@dataclass(frozen=True)
class Bounds:
    """What verdicts depend on.

    ``condition`` and ``contrast``: what the claims call rare and common; ``flatness``: largest exponent of a plateau,
    as a share of the power law's; ``power``: least share of planted plateaus a test must find before its "no" counts;
    ``alpha``: largest Benjamini-Hochberg adjusted p that counts as a difference; ``dimension_reduction``: reduction of
    the effective dimension, as a share of the matched groups' mean, that a "no" must exclude;
    ``modularity_margin``: smallest excess of modularity over matched controls that would be clusters;
    ``routing_margin``: smallest routing by one head, as a share of a mean head's effect, that would be dedicated.
    """

    condition: str
    contrast: str
    flatness: float
    power: float
    alpha: float
    dimension_reduction: float
    modularity_margin: float
    routing_margin: float


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, the number that speaks to it, and what its test still lacks.

    ``table``, ``side`` (``condition`` or ``contrast``), ``group`` and ``measure`` pick the number, at a model's last
    checkpoint. While ``missing`` is not empty the verdict is ``undecided``, whatever the number.
    """

    name: str
    text: str
    table: str
    side: str
    group: str
    measure: str
    missing: str


PLATEAU_CLAIMS = (
    Claim(
        "C1",
        "Rare targets: influence has a plateau, a power law and a rapid decay",
        "regimes",
        "condition",
        "boost",
        "mean_abs.auto.flatness",
        "",
    ),
    Claim("C2", "Common targets: no plateau", "regimes", "contrast", "boost", "mean_abs.auto.flatness", ""),
)
DIMENSION_CLAIM = Claim(
    "C3",
    "Plateau neurons act together: reduced effective dimension",
    "coordination",
    "condition",
    "plateau",
    "effective_dimension.matched",
    "",
)
OTHER_CLAIMS = (
    Claim(
        "C4",
        "Plateau neurons form no discrete clusters",
        "organization",
        "condition",
        "plateau",
        "signed_modularity.matched",
        "",
    ),
    Claim(
        "C5",
        "No dedicated attention routing to the plateau neurons",
        "attention",
        "condition",
        "plateau",
        "largest_routing.mean.matched",
        "",
    ),
    Claim(
        "C6",
        "Specialization emerges gradually in training",
        "dynamics",
        "condition",
        "boost",
        "mean_abs.auto.head_departure.trend",
        "no rule yet joins this trend with the plateau test and the other measures' trends",
    ),
    Claim(
        "C7",
        "Plateau neurons' weights have heavier-tailed spectra, increasingly so",
        "spectra",
        "condition",
        "plateau",
        "hill.w_out.matched",
        "the exponent's trend over training is not yet tested",
    ),
)
CLAIMS = (*PLATEAU_CLAIMS, DIMENSION_CLAIM, *OTHER_CLAIMS)


def decide(tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> pd.DataFrame:
    """One row a claim and model, at the model's last checkpoint.

    Args:
        tables: name of a measure -> its table over all models and checkpoints.
        bounds: decision bounds.

    Returns:
        ``CLAIM_COLUMNS``. ``bound`` is NaN where no decision rule is in force.
    """
    models = [str(model) for model in dict.fromkeys(tables["regimes"]["model"])]
    rows = [_plateau_row(claim, model, tables["regimes"], bounds) for claim in PLATEAU_CLAIMS for model in models]
    rows += [_dimension_row(model, tables, bounds) for model in models]
    for claim in OTHER_CLAIMS:
        row_of = {"C4": _clusters_row, "C5": _routing_row}.get(claim.name, _row)
        rows += [row_of(claim, model, tables, bounds) for model in models]
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def _condition_of(claim: Claim, bounds: Bounds) -> str:
    return bounds.condition if claim.side == "condition" else bounds.contrast


def _number(group: str, measure: str, model: str, table: pd.DataFrame, condition: str) -> pd.Series | None:
    """The number at the model's last checkpoint; None where that has none, whatever earlier ones have."""
    last = last_checkpoints(table[table["model"] == model])
    found = last[(last["condition"] == condition) & (last["group"] == group) & (last["measure"] == measure)]
    return None if found.empty else found.iloc[0]


def _number_or_fixed(claim: Claim, model: str, table: pd.DataFrame, condition: str) -> pd.Series | None:
    """Where no curve with a plateau fits, there still is the head by the authors' fixed cuts."""
    number = _number(claim.group, claim.measure, model, table, condition)
    return _number(f"fixed_{claim.group}", claim.measure, model, table, condition) if number is None else number


def _dimension_row(model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C3: the effective dimension against matched groups, by adjusted p for a yes and by interval for a no."""
    claim, table = DIMENSION_CLAIM, tables[DIMENSION_CLAIM.table]
    condition = _condition_of(claim, bounds)
    number = _number_or_fixed(claim, model, table, condition)
    if number is None:
        return _unmeasured(claim, claim.measure, model, condition)
    group = str(number["group"])
    null = _number(group, f"{claim.measure}.null_mean", model, table, condition)
    difference = _number(group, f"{claim.measure}.difference", model, table, condition)
    if null is None or difference is None or not np.isfinite([number["p_value"], difference["value"]]).all():
        row, verdict = _filled(claim, model, condition, number), "undecided"
        told = f"it could not be told from the {group} neurons: {number['reason']}"
    else:
        row = _filled(claim, model, condition, difference)
        verdict = _dimension_verdict(number, null, difference, bounds)
        told = (
            f"the effective dimension of the {group} neurons is {number['value']:.3g} of their number on {condition} "
            f"rows, {number['value'] / null['value']:.0%} of the mean over {null['n']:.0f} matched groups, "
            f"{null['value']:.3g} (95 % of them: {null['ci_low']:.3g} to {null['ci_high']:.3g}); difference "
            f"{difference['value']:.2g} (95 % interval {difference['ci_low']:.2g} to {difference['ci_high']:.2g}), "
            f"p = {number['p_value']:.2g}, adjusted {number['q_value']:.2g}"
        )
    row |= {"p_value": number["q_value"], "bound": bounds.alpha, "verdict": verdict}
    row["statistic"] = f"{claim.measure}.difference ({group}, {condition})"
    plateau = _number("boost", "mean_abs.test.plateau", model, tables["regimes"], condition)
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


def _dimension_verdict(number: pd.Series, null: pd.Series, difference: pd.Series, bounds: Bounds) -> str:
    if number["q_value"] <= bounds.alpha and difference["value"] < 0:
        return "supported"
    smallest = bounds.dimension_reduction * null["value"]
    # A small group has few possible dimensions: where even a relevant reduction would be common, no says nothing.
    could_be_seen = null["value"] - smallest < null["ci_low"]
    none = difference["ci_low"] > -smallest and difference["ci_high"] >= 0
    return "contradicted" if could_be_seen and none else "undecided"


def _plateau_row(claim: Claim, model: str, table: pd.DataFrame, bounds: Bounds) -> dict[str, object]:
    """C1 and C2: the plateau test's answer; a "no" counts only where the test would have found a planted plateau."""
    condition = _condition_of(claim, bounds)
    test = _number(claim.group, "mean_abs.test.plateau", model, table, condition)
    if test is None:
        return _unmeasured(claim, "mean_abs.test.plateau", model, condition)
    power = _number(claim.group, "mean_abs.test.power", model, table, condition)
    has_power = power is not None and power["value"] >= bounds.power
    found = test["value"] == 1
    verdict = "undecided"
    if found or has_power:
        verdict = "supported" if found == (claim.name == "C1") else "contradicted"
    row = _filled(claim, model, condition, _number(claim.group, claim.measure, model, table, condition))
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


def _clusters_row(claim: Claim, model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C4: is modularity above the matched controls' mean by less, or by more, than the smallest relevant difference?"""
    condition, table = _condition_of(claim, bounds), tables[claim.table]
    number = _number_or_fixed(claim, model, table, condition)
    if number is None:
        return _unmeasured(claim, claim.measure, model, condition)
    group = str(number["group"])
    null = _number(group, f"{claim.measure}.null_mean", model, table, condition)
    mean = float("nan") if null is None else float(null["value"])
    low, high = number["ci_low"] - mean, number["ci_high"] - mean
    q, margin = number["q_value"], bounds.modularity_margin
    verdict = "undecided"
    if high < margin:
        verdict = "supported"
    elif low > margin and q <= bounds.alpha:
        verdict = "contradicted"
    row = _filled(claim, model, condition, number)
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
    test = _number("boost", "mean_abs.test.plateau", model, tables["regimes"], condition)
    if test is not None and test["value"] != 1:
        told += "; the plateau test finds no plateau, so the group is the head of the curve and not a regime of its own"
    rule = (
        f"rule: supported if the upper end of the difference's interval is below {margin:g}, contradicted if its lower "
        f"end is above {margin:g} with an adjusted p of at most {bounds.alpha:g}"
    )
    sentence = f"{claim.text}: {verdict} for {model} at {number['checkpoint']}; {told}."
    return row | {"reason": f"{rule}; {told}", "sentence": sentence}


def _routing_row(claim: Claim, model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C5: can any head move the group on rare rows, beyond common rows, matched groups and the other heads?"""
    condition, table = _condition_of(claim, bounds), tables[claim.table]
    difference = f"{condition}-{bounds.contrast}"
    number = _number_or_fixed(claim, model, table, difference)
    if number is None:
        return _unmeasured(claim, claim.measure, model, difference)
    group = str(number["group"])
    row = _filled(claim, model, difference, number)
    row["statistic"] = f"{claim.measure} over a mean head's effect ({group}, {difference})"
    row["bound"] = bounds.routing_margin
    size = _number(group, "head_effect.mean.matched", model, table, condition)
    named = _number(group, "routing_heads.mean", model, table, difference)
    selective = _number(group, "selective_heads.mean", model, table, difference)
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
    test = _number("boost", "mean_abs.test.plateau", model, tables["regimes"], condition)
    if test is not None and test["value"] != 1:
        told += "; the plateau test finds no plateau, so the group is the head of the curve and not a regime of its own"
    rule = (
        f"rule: supported if the upper ends of all heads' intervals are below {bounds.routing_margin:g} of a mean "
        "head's effect; contradicted if not, and a head routes: its selectivity's adjusted p and its p against matched "
        "groups, adjusted over heads, are at most attention.alpha, and both intervals lie above 0"
    )
    sentence = f"{claim.text}: {row['verdict']} for {model} at {number['checkpoint']}; {told}."
    return row | {"reason": f"{rule}; {told}", "sentence": sentence}


def _concentration(group: str, model: str, table: pd.DataFrame, condition: str) -> str:
    """Gini coefficient and the layers' strongest heads in words, empty where they were not measured."""
    gini = _number(group, "gini.mean.matched", model, table, condition)
    null = _number(group, "gini.mean.matched.null_mean", model, table, condition)
    share = _number(group, "largest_head_share.mean", model, table, condition)
    if gini is None or null is None or share is None:
        return ""
    return (
        f"; on {condition} rows the Gini coefficient of heads' effects is {gini['value']:.2g} ({null['value']:.2g} on "
        f"matched groups, p = {gini['p_value']:.2g}), the strongest head of a layer alone has {share['value']:.0%} of "
        "the layer's effect"
    )


def _unmeasured(claim: Claim, measure: str, model: str, condition: str) -> dict[str, object]:
    reason = f"not measured: {measure} of {claim.group} on {condition} rows has no value in this run"
    return {
        **_filled(claim, model, condition, None),
        "n": 0,
        "reason": reason,
        "sentence": f"{claim.text}: undecided for {model}; {reason}.",
    }


def _filled(claim: Claim, model: str, condition: str, number: pd.Series | None) -> dict[str, object]:
    row: dict[str, object] = {
        "claim": claim.name,
        "model": model,
        "statistic": f"{claim.measure} ({claim.group}, {condition})",
        "bound": np.nan,
        "verdict": "undecided",
    }
    if number is not None:
        row |= {key: number[key] for key in ("value", "ci_low", "ci_high", "p_value", "n")}
    return row


def _row(claim: Claim, model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    condition, table = _condition_of(claim, bounds), tables[claim.table]
    number = _number_or_fixed(claim, model, table, condition)
    if number is None:
        return _unmeasured(claim, claim.measure, model, condition)
    row = _filled(claim, model, condition, number)
    row["statistic"] = f"{claim.measure} ({number['group']}, {condition})"
    interval = (
        f" (95 % interval {number['ci_low']:.3g} to {number['ci_high']:.3g})" if np.isfinite(number["ci_low"]) else ""
    )
    p = f", p = {number['p_value']:.3g}" if np.isfinite(number["p_value"]) else ""
    where = "over all checkpoints" if number["checkpoint"] == "all" else f"at {number['checkpoint']}"
    sentence = (
        f"{claim.text}: undecided for {model} {where}; {row['statistic']} is {number['value']:.3g} "
        f"{number['unit']}{interval}{p}, but {claim.missing}."
    )
    return row | {"reason": claim.missing, "sentence": sentence}


def claims_markdown(claims: pd.DataFrame) -> str:
    """The verdicts as a short results section."""
    lines = ["# Claims", ""]
    for name, part in claims.groupby("claim", sort=False):
        lines += [f"## {name}", "", *(f"- **{row.verdict}** {row.sentence}" for row in part.itertuples()), ""]
    return "\n".join(lines)
