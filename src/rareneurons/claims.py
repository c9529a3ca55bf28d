"""Verdict per claim and model, with the number behind it and the rule in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.models.audit import left_out_note
from rareneurons.tables import CLAIM_COLUMNS, FINAL_PREFIX, last_checkpoints


@dataclass(frozen=True)
class Bounds:
    """What verdicts depend on.

    ``condition`` and ``contrast``: what the claims call rare and common; ``flatness``: largest exponent of a plateau,
    as a share of the power law's; ``power``: least share of planted plateaus a test must find before its "no" counts;
    ``alpha``: largest Benjamini-Hochberg adjusted p that counts as a difference; ``dimension_reduction``: reduction of
    the effective dimension, as a share of the matched groups' mean, that a "no" must exclude;
    ``modularity_margin``: smallest excess of modularity over matched controls that would be clusters;
    ``routing_margin``: smallest routing by one head, as a share of a mean head's effect, that would be dedicated.
    ``specialization_margin``: smallest growth of the head's share of the influence that would be specialization;
    ``abrupt_share``: largest share of a gradual change that lies between two neighbouring checkpoints;
    ``abrupt_factor``: how far apart, as a ratio of steps, these may lie for a larger share to be called abrupt;
    ``hill_reduction``: reduction of the Hill exponent, as a share of the matched groups' mean, that its "no" excludes.
    """

    condition: str
    contrast: str
    flatness: float
    power: float
    alpha: float
    dimension_reduction: float
    modularity_margin: float
    routing_margin: float
    specialization_margin: float
    abrupt_share: float
    abrupt_factor: float
    hill_reduction: float


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
)
COURSE_CLAIM = Claim(
    "C6",
    "Specialization emerges gradually in training",
    "dynamics",
    "condition",
    "boost",
    "mean_abs.head.influence_share",
    "",
)
TAIL_CLAIM = Claim(
    "C7",
    "Plateau neurons' weights have heavier-tailed spectra, increasingly so",
    "spectra",
    "condition",
    "plateau",
    "hill",
    "",
)
CLAIMS = (*PLATEAU_CLAIMS, DIMENSION_CLAIM, *OTHER_CLAIMS, COURSE_CLAIM, TAIL_CLAIM)


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
    about_training = [row_of(model, tables, bounds) for row_of in (_course_row, _tail_row) for model in models]
    rows += [_with_left_out(row, tables["audit"]) for row in about_training]
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def _with_left_out(row: dict[str, object], audit: pd.DataFrame) -> dict[str, object]:
    """The row of a claim about training, with what the audit left out of it."""
    note = left_out_note(audit, str(row["model"]))
    if not note:
        return row
    sentence = str(row["sentence"]).removesuffix(".")
    return row | {"reason": f"{row['reason']}; {note}", "sentence": f"{sentence}; {note}."}


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
        verdict = _below_controls(number, null, difference, bounds.alpha, bounds.dimension_reduction)
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


def _below_controls(number: pd.Series, null: pd.Series, difference: pd.Series, alpha: float, reduction: float) -> str:
    """Is a measure below its matched controls: by adjusted p for a yes; a no must exclude the ``reduction``."""
    if number["q_value"] <= alpha and difference["value"] < 0:
        return "supported"
    smallest = reduction * null["value"]
    # A small group has few possible values: where even a relevant reduction would be common, no says nothing.
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


Finder = Callable[[str], pd.Series | None]


@dataclass(frozen=True)
class _Course:
    """How a measure moved in training, ``answer``: ``gradual``, ``abrupt``, ``none`` or ``open``, and in words."""

    answer: str
    told: str
    change: pd.Series
    p: float


def _interval(number: pd.Series) -> str:
    return f"{number['value']:.2g} (95 % interval {number['ci_low']:.2g} to {number['ci_high']:.2g})"


def _movement(find: Finder, sign: int, margin: float) -> str:
    """Whether a measure moves in the direction of ``sign``: ``yes``, ``none`` (by less than the margin) or ``open``.

    Args:
        find: the measure's row in the dynamics table by the end of its name.
        sign: 1 or -1.
        margin: smallest movement that matters, in the measure's unit.
    """
    change = find("change")
    if change is None:
        return "open"
    least, most = sorted((sign * change["ci_low"], sign * change["ci_high"]))
    if most < margin:
        return "none"
    return "yes" if least > 0 else "open"


def _follows_step(trend: pd.Series, sign: int, alpha: float) -> bool:
    """Whether a measure's rank correlation with step has that sign, by its interval and its p."""
    return bool(min(sign * trend["ci_low"], sign * trend["ci_high"]) > 0 and trend["p_value"] <= alpha)


def _course(name: str, find: Finder, sign: int, margin: float, bounds: Bounds) -> _Course:
    """Course of one of the two measures that C6 looks at, so that alpha is shared by two."""
    change, trend = find("change"), find("trend")
    if change is None or trend is None:
        empty = pd.Series({"value": np.nan, "ci_low": np.nan, "ci_high": np.nan, "n": 0})
        return _Course("open", f"{name} is not known at four checkpoints", empty, float("nan"))
    p, moved = float(trend["p_value"]), _movement(find, sign, margin)
    told = f"{name} changes by {_interval(change)} over {change['n']:.0f} checkpoints, rank correlation with step "
    told += f"{_interval(trend)}, p = {p:.2g}"
    part, first, last = find("largest_step"), find("largest_step.from"), find("largest_step.to")
    if moved != "yes" or part is None or first is None or last is None:
        meaning = f"less than the {margin:.2g} that would matter" if moved == "none" else "no clear change"
        return _Course("none" if moved == "none" else "open", f"{told}: {meaning}", change, p)
    near = last["value"] + 1 <= bounds.abrupt_factor * (first["value"] + 1)
    answer, meaning = "open", "too uncertain to tell gradual from abrupt"
    if part["ci_high"] < bounds.abrupt_share and _follows_step(trend, sign, bounds.alpha / 2):
        answer, meaning = "gradual", "gradual"
    elif part["ci_low"] > 1:
        meaning = "it goes further than it stays, neither gradual nor abrupt"
    elif part["ci_low"] > bounds.abrupt_share:
        answer, meaning = ("abrupt", "abrupt") if near else ("open", "too far apart to tell gradual from abrupt")
    told += f"; the largest part of it between neighbouring checkpoints, {_interval(part)} of it, lies from step "
    told += f"{first['value']:.0f} to {last['value']:.0f}: {meaning}"
    return _Course(answer, told, change, p)


def _head_group(model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> tuple[str, str]:
    """The group whose course is looked at: one of a fixed size unless there is a plateau; and what to say of it."""
    test = _number("boost", "mean_abs.test.plateau", model, tables["regimes"], bounds.condition)
    if test is not None and test["value"] == 1:
        return "plateau", ""
    return "fixed_plateau", "; there is no plateau to speak of, these are the neurons before the first fixed cut"


def _followed_back(group: str, measure: str, model: str, dynamics: pd.DataFrame, condition: str) -> str:
    """What to say of the trend of the last checkpoint's group, followed back; it decides nothing."""
    trend = _number(f"{FINAL_PREFIX}{group}", f"{measure}.trend", model, dynamics, condition)
    if trend is None:
        return ""
    return f" (the final neurons followed back: {_interval(trend)}, p = {trend['p_value']:.2g})"


def _course_row(model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C6: does the head come to matter for rare targets more than for common ones, or to act together; how fast?"""
    claim, dynamics = COURSE_CLAIM, tables["dynamics"]
    both, (group, no_plateau) = f"{bounds.condition}-{bounds.contrast}", _head_group(model, tables, bounds)
    measure = "effective_dimension.matched"
    null = _number(group, f"{measure}.null_mean", model, tables["coordination"], bounds.condition)
    reduction = bounds.dimension_reduction * (np.nan if null is None else null["value"])

    def finder(name: str, group: str, condition: str) -> Finder:
        return lambda end: _number(group, f"{name}.{end}", model, dynamics, condition)

    courses = {
        f"{claim.measure} (boost, {both})": _course(
            f"the head's share of the influence on {bounds.condition} rows less its share on {bounds.contrast} rows",
            finder(claim.measure, "boost", both),
            1,
            bounds.specialization_margin,
            bounds,
        ),
        f"{measure}.difference ({group}, {bounds.condition})": _course(
            f"the effective dimension of the {group} neurons less that of matched ones",
            finder(f"{measure}.difference", group, bounds.condition),
            -1,
            float(reduction),
            bounds,
        ),
    }
    answers = {course.answer for course in courses.values()}
    verdict = "undecided"
    if "gradual" in answers and "abrupt" not in answers:
        verdict, deciding = "supported", "gradual"
    elif "abrupt" in answers and "gradual" not in answers:
        verdict, deciding = "contradicted", "abrupt"
    elif answers == {"none"}:
        verdict, deciding = "contradicted", "none"
    else:
        deciding = next(iter(courses.values())).answer
    statistic, shown = next((name, course) for name, course in courses.items() if course.answer == deciding)
    first = _number("boost", "mean_abs.test.plateau.first_step", model, dynamics, bounds.condition)
    passes = (
        "at no checkpoint" if first is None or not np.isfinite(first["value"]) else f"from step {first['value']:.0f}"
    )
    told = "; ".join(course.told for course in courses.values())
    told += _followed_back(group, f"{measure}.difference", model, dynamics, bounds.condition)
    told += f"; the plateau test passes {passes}{no_plateau}"
    rule = (
        "rule: a measure emerges if the interval of its change from first to last checkpoint is clear of zero; "
        f"gradually if less than {bounds.abrupt_share:.0%} of the change lies between two neighbouring checkpoints and "
        f"it follows step (rank correlation, p at most {bounds.alpha / 2:g}); abruptly if more lies between two whose "
        f"steps differ by a factor of at most {bounds.abrupt_factor:g}, but not more than all of it, as in a measure "
        "that comes back; all by interval. Supported if one of two measures emerges gradually and none abruptly; "
        "contradicted if the other way round, or if both change by less than would matter "
        f"({bounds.specialization_margin:g} of the influence, {bounds.dimension_reduction:.1%} of the dimension)"
    )
    row = _filled(claim, model, bounds.condition, None)
    row |= {key: shown.change[key] for key in ("value", "ci_low", "ci_high", "n")}
    row |= {"statistic": statistic, "p_value": shown.p, "bound": bounds.abrupt_share, "verdict": verdict}
    sentence = f"{claim.text}: {verdict} for {model} over all checkpoints; {told}."
    return row | {"reason": f"{rule}; {told}", "sentence": sentence}


def _tail_row(model: str, tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> dict[str, object]:
    """C7: the paper's Hill exponent below that of matched groups at the last checkpoint, further and further."""
    claim, spectra = TAIL_CLAIM, tables[TAIL_CLAIM.table]
    group, no_plateau = _head_group(model, tables, bounds)
    names = spectra.loc[(spectra["model"] == model) & (spectra["group"] == group), "measure"].drop_duplicates()
    matrices = [
        str(name).split(".")[1] for name in names if str(name).startswith("hill.") and name.endswith(".matched")
    ]
    each = (_tail_of(matrix, group, model, tables, bounds, len(matrices)) for matrix in matrices)
    found = [one for one in each if one is not None]
    if not found:
        return _unmeasured(claim, f"{claim.measure} against matched groups", model, bounds.condition)
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
        return _number(group, name, model, tables["spectra"], condition)

    def over_training(end: str) -> pd.Series | None:
        return _number(group, f"{measure}.ratio.{end}", model, tables["dynamics"], condition)

    number, null, difference = last(measure), last(f"{measure}.null_mean"), last(f"{measure}.difference")
    if number is None or null is None or difference is None:
        return None
    row = _filled(TAIL_CLAIM, model, condition, difference) | {"checkpoint": number["checkpoint"]}
    row |= {"p_value": number["q_value"], "statistic": f"{measure}.difference ({group}, {condition})"}
    if not np.isfinite([number["q_value"], difference["value"]]).all():
        return "undecided", row, f"{matrix}: the exponent of the {group} neurons is not known: {number['reason']}"
    heavier = _below_controls(number, null, difference, bounds.alpha, bounds.hill_reduction)
    moved = _movement(over_training, -1, bounds.hill_reduction)
    change, trend = over_training("change"), over_training("trend")
    verdict = "undecided"
    if heavier == "contradicted" or moved == "none":
        verdict = "contradicted"
    elif heavier == "supported" and moved == "yes" and trend is not None:
        verdict = "supported" if _follows_step(trend, -1, bounds.alpha / n_matrices) else "undecided"
    told = (
        f"{matrix}: Hill exponent of the {group} neurons {number['value']:.3g}, matched groups {null['value']:.3g} "
        f"(95 % of them: {null['ci_low']:.3g} to {null['ci_high']:.3g}), difference {_interval(difference)}, "
        f"p = {number['p_value']:.2g}, adjusted {number['q_value']:.2g}"
    )
    if change is None or trend is None:
        return verdict, row, f"{told}; no trend over fewer than four checkpoints"
    told += f"; the ratio of both changes by {_interval(change)}, rank correlation with step {_interval(trend)}"
    followed = _followed_back(group, f"{measure}.ratio", model, tables["dynamics"], condition)
    return verdict, row, f"{told}, p = {trend['p_value']:.2g}{followed}"


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
