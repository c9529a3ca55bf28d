"""All English about verdicts: title, statistic, rule, finding and evidence of each claim, and what would decide it.

``WORDING`` has an entry per claim; ``requirement`` has a sentence per class of requirement. Nothing reads these texts
back: whatever a program needs is in a column of its own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from rareneurons.claims import (
    below_controls,
    clusters,
    coactivation,
    course,
    known_types,
    over_models,
    over_training,
    plateau,
    requirements,
    routing,
    selectivity,
    tails,
)
from rareneurons.claims.below_controls import Comparison
from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Premise, Statistic, Unmeasured
from rareneurons.claims.firmness import Firmness
from rareneurons.claims.interval import Interval
from rareneurons.claims.requirements import CHANCE, MOST_TIMES, Option
from rareneurons.claims.view import TopGroup, View
from rareneurons.conventions import ALL_MODELS
from rareneurons.known_types.declared import ENTROPY, FREQUENCY, KNOWN_TYPE, MAJORITY
from rareneurons.regimes.estimates import contrast_margin
from rareneurons.regimes.local_exponent import READINGS

INTRODUCTION = (
    "Each claim of the paper is *supported*, *contradicted* or *undecided* for each model at its last checkpoint. The "
    "bounds of the rules are part of the configuration (`claims`). Intervals are 95 % intervals. The last section says "
    "what would decide the undecided claims."
)
HOW_DECIDED = "How it is decided"
OVER_MODELS = "over models"


@dataclass(frozen=True)
class Wording:
    """The texts of one claim.

    ``title``: the claim. ``statistic``: name of the number that its verdict rests on. ``rule``: how it is decided.
    ``finding``: the rest of the sentence that begins with the verdict; a reader understands it without the rule.
    ``evidence``: the numbers that went into the verdict. ``effect``: name of the number that is averaged over models.
    ``without_power``: why no power is stated, for claims that never have one.
    """

    title: str
    statistic: Callable[[Statistic], str]
    rule: Callable[[View, Bounds], str]
    finding: Callable[[Decision, View], str]
    evidence: Callable[[Decision, View], str]
    effect: str = ""
    without_power: str = ""


HOLM = (
    "A verdict that requires a small p also requires that p is at most the same bound after adjustment for the model's "
    "other claims (Holm)"
)
NEGATIVE_BY_INTERVAL = "a negative result rests on an interval that excludes a relevant reduction"


def _with_holm(rule: Callable[[View, Bounds], str]) -> Callable[[View, Bounds], str]:
    """The rule of a claim whose p counts in the adjustment (``verdicts.CLAIMS``)."""
    return lambda view, bounds: f"{rule(view, bounds)}. {HOLM}"


def claim_texts(
    claim: str, model: str, checkpoint: str, decision: Decision, view: View, bounds: Bounds, note: str = ""
) -> dict[str, str]:
    """The text columns of a row of ``claims.csv``.

    Args:
        claim: its id.
        model: name of the model or kind of model, or ``ALL_MODELS``.
        checkpoint: the model's last checkpoint.
        decision: the decision.
        view: what it looks at.
        bounds: decision bounds.
        note: what else belongs to the evidence.
    """
    wording = WORDING[claim]
    if isinstance(decision.evidence, over_models.Mean | over_models.Tally):
        about = "over all models" if model == ALL_MODELS else f"over the {_tally(decision).n} seeds of {model}"
        statistic = _statistic_over_models(wording, decision)
        rule, finding = _rule_over_models(decision), _finding_over_models(wording, decision)
        evidence = _evidence_over_models(decision)
        without_power = "the verdict rests on those of the models"
    else:
        about, statistic = f"for {model} at {checkpoint}", wording.statistic(decision.statistic)
        rule = wording.rule(view, bounds)
        finding, evidence = _finding_and_evidence(wording, decision, view)
        without_power = wording.without_power
    no_power = f"no power: {without_power}" if without_power and np.isnan(decision.power) else ""
    return {
        "statistic": statistic,
        "rule": rule,
        "evidence": "; ".join(part for part in (evidence, no_power, note) if part),
        "sentence": f"{decision.verdict.capitalize()} {about}: {finding}.",
        "need": options_text(decision.options) if decision.verdict == "undecided" else "",
    }


def _finding_and_evidence(wording: Wording, decision: Decision, view: View) -> tuple[str, str]:
    if isinstance(decision.evidence, Unmeasured):
        reason = _why_unmeasured(decision.evidence.reason, decision.evidence.absent_from)
        who = "" if decision.neurons is None else f" for {neurons(decision.neurons)}"
        return f"it was not measured{who}: {reason}", f"not measured: {reason}"
    finding, evidence = wording.finding(decision, view), wording.evidence(decision, view)
    if np.isfinite(decision.adjusted_p):
        evidence += f"; p adjusted for the model's other claims (Holm) {decision.adjusted_p:.2g}"
    if decision.premise is not None:
        finding = _with_premise(decision.premise, finding)
        evidence += f"; {_premise_evidence(decision.premise)}"
    is_fixed = decision.neurons is not None and decision.neurons.is_top and view.group is None
    if is_fixed and not isinstance(decision.evidence, selectivity.Selectivities):
        evidence += "; no plateau is declared, so these are the neurons before the paper's fixed cut"
    return finding, evidence


def _with_premise(premise: Premise, finding: str) -> str:
    """The finding, after the reason why it may not be about rare-token neurons."""
    if premise.answer == "fails":
        return (
            f"no neurons were found that matter more for rare targets ({premise.claim}), so the claim has no neurons "
            f"to be about. For {_paper_s(premise)} neurons, {finding}"
        )
    if premise.answer == "open" and premise.by_rule == "supported":
        return (
            f"the claim holds for {_paper_s(premise)} neurons, but {premise.claim} does not decide whether these "
            f"matter more for rare targets: {finding}"
        )
    return finding


def _premise_evidence(premise: Premise) -> str:
    """Which neurons the claim was decided on and why, and whether labels matter for how they were chosen."""
    if premise.answer == "met":
        selective = premise.selectivity.neurons is not None and premise.selectivity.neurons.is_selective
        return _premise_of_the_selective(premise) if selective else _premise_of_the_top(premise)
    found = (
        "finds no neurons that matter more for rare targets"
        if premise.answer == "fails"
        else "does not decide whether any neurons matter more for rare targets"
    )
    return (
        f"{premise.claim} {found}, so this claim's rule is applied to {_paper_s(premise)} neurons, with the result "
        f"{premise.by_rule}"
    )


def _paper_s(premise: Premise) -> str:
    """Which neurons a claim is decided on if none are found to matter more for rare targets."""
    return "the paper's" if premise.claim == "C8" else "the most influential"


def _premise_of_the_selective(premise: Premise) -> str:
    return f"{premise.claim} finds that these neurons matter more for rare targets"


def _premise_of_the_top(premise: Premise) -> str:
    return (
        f"{premise.claim} finds that the most influential neurons matter more for rare targets"
        f"{_again(premise.selectivity.evidence.shown)}"
    )


def _why_unmeasured(reason: str, absent_from: str) -> str:
    return f"there is no row of this group in tables/{absent_from}.csv" if absent_from else reason


# Numbers and names


def percent(share: float, sign: str = "") -> str:
    """A share in percent; ``sign`` "+" shows the sign of positive ones too."""
    return f"{round(100 * share, 1):{sign}g} %"


def with_interval(number: Interval) -> str:
    """Value and interval."""
    return f"{number.value:.2g} (95 % interval {number.ci_low:.2g} to {number.ci_high:.2g})"


def neurons(top: TopGroup) -> str:
    """Name of the neurons that a claim is decided on."""
    others = " of no known type" * top.is_of_no_known_type
    if top.is_selective:
        return f"the {top.size} most rare-selective neurons{others}"
    if top.is_named:
        return f"the {top.size} neurons named {top.name!r}"
    return f"the {top.size} plateau neurons" if top.is_plateau else f"the {top.size} most influential neurons{others}"


def _share_of_plateaus(power: float) -> str:
    return "an unknown share" if np.isnan(power) else percent(power)


def _rounded_up(number: float) -> str:
    """A number of things, rounded up to two digits."""
    place = 10 ** max(0, int(np.floor(np.log10(number))) - 1)
    return f"{int(np.ceil(number / place - 1e-9)) * place:,}"


def _where(statistic: Statistic) -> str:
    """The group, condition and documents of a statistic."""
    documents = ", discovery documents" * (statistic.split == "discovery")
    return f"({statistic.group}, {statistic.condition}{documents})"


CHOSEN_BY_SHUFFLES = "groups chosen with shuffled labels"


def _control_groups(kind: str) -> str:
    """Name of a kind of control groups."""
    return CHOSEN_BY_SHUFFLES if kind == below_controls.SHUFFLED else f"{kind} groups"


def _kinds(view: View) -> str:
    """The kinds of control groups that a measure must lie below."""
    return " and that of ".join(map(_control_groups, below_controls.null_kinds(view)))


def _match_rule(view: View, bounds: Bounds) -> str:
    if view.controls != below_controls.MATCHED:
        return ""
    return (
        "; matched groups count as controls only if they differ from the group by at most "
        f"{bounds.match_difference:g} standard deviations in every matched quantity"
    )


def _largest_p(view: View) -> str:
    return "the larger p of the two" if len(below_controls.null_kinds(view)) > 1 else "p"


def _against_controls(found: Comparison) -> str:
    """A measure compared with its control groups, with all numbers."""
    if not found.measured:
        return found.reason
    parts = []
    for kind, row in found.measured.items():
        parts.append(
            f"mean of {row['null_n']:.0f} {_control_groups(kind)} {row['null_mean']:.3g} (95 % of them: "
            f"{row['null_low']:.3g} to {row['null_high']:.3g}), difference relative to that mean "
            f"{with_interval(found.differences[kind])}, p = {row['p_value']:.2g}"
        )
    value = next(iter(found.measured.values()))["value"]
    return "; ".join([f"{value:.3g}, {parts[0]}", *parts[1:], *_match(found.match)])


def _match(match: below_controls.Match | None) -> list[str]:
    """How well matched groups match; empty if the claim has none."""
    return [] if match is None else [f"matched groups {_mismatch(match)}"]


def _mismatch(match: below_controls.Match) -> str:
    if np.isnan(match.difference):
        return "are of unknown quality: tables/group_match.csv has no row of this group"
    return (
        f"differ from these neurons by {match.difference:+.2g} standard deviations in {FEATURES[match.feature]} (at "
        f"most {match.bound:g} is allowed)"
    )


def _with_reservation(numbers: str, match: below_controls.Match | None, shared: str) -> str:
    """Numbers, after the reason why they decide nothing, if there is one.

    The reason is that no controls match, or that control groups have the property too (``shared``).
    """
    if match is not None and not match.is_good:
        return f"there are no suitable control groups, because matched groups {_mismatch(match)}; {numbers}"
    return f"{shared}: {numbers}" if shared else numbers


FEATURES = {
    "activation_mean": "mean activation",
    "ln_activation_variance": "ln variance of activations",
    "ln_output_norm": "ln norm of output weights",
    "ln_output_scale": "ln of the activations' standard deviation times the output weights' norm",
}


def _and_shuffled(found: Comparison) -> str:
    """The comparison with the groups of shuffled labels, after the one with matched groups; empty without it."""
    if below_controls.SHUFFLED not in found.measured:
        return ""
    difference = found.differences[below_controls.SHUFFLED]
    p_value = found.measured[below_controls.SHUFFLED]["p_value"]
    way = "below" if difference.value < 0 else "above"
    return f" and {percent(abs(difference.value))} {way} that of {CHOSEN_BY_SHUFFLES} (p = {p_value:.2g})"


# C1, C2, P1b and P2

READING_NAMES = {"flat": "flat top", "excess": "excess over the power law"}
NUMBER_NAMES = {
    "flat": "exponent of the top neurons over that of the power law",
    "excess": "height of the top neurons above the power law, in ln units",
}


def _curve_statistic(statistic: Statistic) -> str:
    if statistic.part == "fixed":
        return f"exponent of the top neurons before the fixed cut over that of the power law {_where(statistic)}"
    return f"{NUMBER_NAMES['excess' if statistic.part == 'excess' else 'flat']} {_where(statistic)}"


def _plateau_conditions(bounds: Bounds) -> str:
    return (
        "A plateau is a flat top or an excess over the power law. It is found if four conditions hold: the fitted "
        "curve with a plateau has the smallest information criterion; the top neurons differ significantly from a "
        f"curve without one; their exponent is at most {bounds.flatness:g} of the power law's (flat top), or they lie "
        f"above the power law by a factor of at least {bounds.excess:g} (excess); and they are top neurons on held-out "
        "documents too"
    )


def _rare_curve_rule(view: View, bounds: Bounds) -> str:
    if view.fixed_cuts:
        return "the neurons before the first fixed cut are called a plateau, without a test"
    return (
        f"primary test: the plateau test on {view.condition} rows, adjusted p at most {bounds.alpha:g}. "
        f"{_plateau_conditions(bounds)}. Supported if a plateau is found. Contradicted if none is found although the "
        f"test would find at least {percent(bounds.power)} of planted plateaus, both flat tops and excesses. p is "
        f"adjusted for both and for the {plateau.n_tested_checkpoints(bounds):.0f} checkpoints that regimes.alpha "
        "allows for (Bonferroni). n counts blocks of held-out documents"
    )


def _rare_curve_finding(decision: Decision, view: View) -> str:
    curve, number = decision.evidence, decision.number
    if isinstance(curve, plateau.ShortCurve | plateau.FixedCut):
        return _without_test(curve, decision)
    shown = _top_number(curve.reading, number)
    tested = f"{decision.n:.0f} blocks of {DOCUMENTS[view.split]}; adjusted p = {decision.p_value:.2g}"
    if curve.found:
        return f"on {curve.condition} rows there is a plateau, a {READING_NAMES[curve.reading]}: {shown} ({tested})"
    planted = f"the test would find {{0}}{_share_of_plateaus(curve.power)} of planted plateaus"
    if decision.verdict == "undecided":
        return (
            f"on {curve.condition} rows no plateau can be distinguished from chance: {shown} ({tested}), but "
            f"{planted.format('only ')}, and a negative result requires at least {percent(curve.power_wanted)}"
        )
    return f"on {curve.condition} rows there is no plateau: {shown} ({tested}), and {planted.format('')}"


def _top_number(reading: str, number: Interval) -> str:
    """How flat or how high the top neurons are, in words, with the interval."""
    if reading == "flat":
        interval = f"(95 % interval {number.ci_low:.2g} to {number.ci_high:.2g})"
        return f"the top neurons fall off {number.value:.2g} times as steeply as the power law after them {interval}"
    low, high = np.exp(number.ci_low), np.exp(number.ci_high)
    return (
        f"the influence of the top neurons is {np.exp(number.value):.2g} times what the power law predicts when it is "
        f"extended to their ranks (95 % interval {low:.2g} to {high:.2g})"
    )


def _without_test(found: plateau.ShortCurve | plateau.FixedCut, decision: Decision) -> str:
    if isinstance(found, plateau.ShortCurve):
        return f"it was not measured: {_short(found)}"
    return (
        f"on {found.condition} rows there is a plateau: {_top_number('flat', decision.number)}, where at most "
        f"{decision.bound:g} counts as flat"
    )


def _curve_evidence(decision: Decision, view: View) -> str:
    curve = decision.evidence
    if isinstance(curve, plateau.ShortCurve):
        return f"not measured: {_short(curve)}"
    if isinstance(curve, plateau.FixedCut):
        return "no test is made, so no power is stated"
    return _tested_curve(curve)


def _tested_curve(curve: plateau.Curve) -> str:
    """What the plateau test found on one condition's rows, with its power."""
    reading = f"{READING_NAMES[curve.reading]}, p = {curve.p_value:.2g} before adjustment"
    found = f"{curve.condition} rows: {'a' if curve.found else 'no'} plateau among the boost neurons ({reading})"
    if np.isnan(curve.power):
        return f"{found}; power unknown: `regimes.power_draws` is 0"
    powers = "; ".join(
        f"{READING_NAMES[reading]} of {', '.join(f'{size} neurons {percent(power)}' for size, power in sizes.items())}"
        for reading, sizes in curve.powers.items()
    )
    return f"{found}; power to find a {powers}" if powers else f"{found}; power {percent(curve.power)}"


def _short(curve: plateau.ShortCurve) -> str:
    return f"a curve of {curve.n_neurons} boost neurons is too short to be fitted"


def _contrast_rule(view: View, bounds: Bounds) -> str:
    if view.fixed_cuts:
        return "the neurons before the first fixed cut are called a plateau, without a test"
    margins = {reading: f"{contrast_margin(reading, bounds.flatness, bounds.excess):+.2g}" for reading in READINGS}
    return (
        f"primary test: the paired difference {view.condition} - {view.contrast} of the top neurons, with the same "
        f"documents drawn for both. {_plateau_conditions(bounds)}. Supported if a plateau is found on {view.condition} "
        f"rows and none on {view.contrast} rows, and the difference reaches the margin with an interval that excludes "
        "zero. Contradicted if a plateau is found on either, and the interval excludes the margin. The difference is "
        f"that of the exponents (margin {margins['flat']}) or, for an excess, that of the ln heights above the power "
        f"law (margin {margins['excess']}). Both curves contribute the same number of top neurons, chosen on discovery "
        "documents. The margin lies halfway between no plateau and the bound for a plateau. p is that of a single test "
        "for a difference. n counts blocks of held-out documents"
    )


def _contrast_finding(decision: Decision, view: View) -> str:
    found, number = decision.evidence, decision.number
    if isinstance(found, plateau.ShortCurve | plateau.FixedCut):
        return _without_test(found, decision)
    compared = (
        f"the difference in {NUMBER_NAMES[found.reading]} is {number.value:+.2g} (95 % interval {number.ci_low:+.2g} "
        f"to {number.ci_high:+.2g}; {decision.n:.0f} blocks of {DOCUMENTS[view.split]}; margin {found.margin:+.2g})"
    )
    if not found.declared:
        return f"a plateau is found neither on {view.condition} rows nor on {view.contrast} rows; {compared}"
    where = " and on ".join(f"{name} rows" for name in found.declared)
    if decision.verdict == "supported":
        return f"a plateau is found on {where}, and {view.contrast} rows lack it: {compared}"
    same = ", and the curves do not differ by the margin" if decision.verdict == "contradicted" else ""
    return f"a plateau is found on {where}{same}: {compared}"


def _contrast_evidence(decision: Decision, view: View) -> str:
    found = decision.evidence
    if not isinstance(found, plateau.Contrast):
        return _curve_evidence(decision, view)
    if np.isnan(decision.power):
        power = "power of the difference unknown: `regimes.power_draws` is 0"
    else:
        power = f"power to find a plateau on {view.condition} rows alone {percent(decision.power)}"
    top = f"the compared top neurons end at ln rank {found.end:.2g}"
    return "; ".join([top, power, *map(_tested_curve, found.curves)])


def _phases_statistic(statistic: Statistic) -> str:
    return (
        f"drift of the exponent between plateau and decay, 0 for a power law and 1 for a log-normal {_where(statistic)}"
    )


def _phases_rule(view: View, bounds: Bounds) -> str:
    return (
        f"supported if all three phases are found on {view.condition} rows: a plateau (test of C1); between plateau "
        "and decay a power law, whose exponent drifts with rank by less than "
        f"{plateau.MOST_DRIFT:g} of a log-normal's drift; and after it a decay with an exponent above "
        f"{plateau.STEEP:g} times the power law's. Contradicted if one of them is excluded: no plateau is found with a "
        f"power of at least {percent(bounds.power)}, or the interval of the drift lies above its bound, or that of the "
        "decay lies below its bound. p is that of a test for drift. n counts blocks of held-out documents"
    )


def _phases_finding(decision: Decision, view: View) -> str:
    found = decision.evidence
    if isinstance(found, plateau.ShortCurve):
        return f"it was not measured: {_short(found)}"
    first = f"{'a' if found.curve.found else 'no'} plateau is found on {view.condition} rows"
    blocks = f"{decision.n:.0f} blocks of {DOCUMENTS[view.split]}"
    if np.isnan(found.drift.value):
        return f"{first}; too few ranks lie between the top and the decay to describe them; {blocks}"
    return (
        f"{first}; after the top neurons, the exponent's drift is {with_interval(found.drift)}, where a power law has "
        f"0 and a log-normal 1; the decay is {with_interval(found.decay)} times as steep as the power law; {blocks}"
    )


def _phases_evidence(decision: Decision, view: View) -> str:
    found = decision.evidence
    return _tested_curve(found.curve) if isinstance(found, plateau.Phases) else _curve_evidence(decision, view)


# C8


def _selectivity_statistic(statistic: Statistic) -> str:
    return (
        "joint ablation: change of loss on rare rows minus that on common rows of equal clean loss, beyond "
        f"{_compared_with(statistic.against)} {_where(statistic)}"
    )


def _compared_with(against: str) -> str:
    return {
        selectivity.SHUFFLED: "neurons chosen with shuffled labels",
        selectivity.UNTRAINED: "neurons of the untrained model",
    }.get(against, f"{against} groups")


def _selectivity_rule(view: View, bounds: Bounds) -> str:
    rare, common = view.condition, view.contrast
    return (
        f"two groups are ablated: the neurons with the largest excess of influence on {rare} over {common} discovery "
        f"rows, and the neurons with the largest influence on {rare} rows. At equal clean loss and position, ablation "
        f"must cost held-out {rare} rows more than {common} ones. The difference must exceed that of {view.controls} "
        "groups, that of neurons of the untrained model chosen by the same rule (if the run has this model) and, for "
        "the first group, that of neurons chosen with shuffled labels. A group's p is the largest of these comparisons "
        "(one-sided, intersection-union), and p is twice the smaller one of the two groups (Bonferroni). Supported if "
        f"p is at most {bounds.alpha:g}. Contradicted if p is larger, if each group exceeds at least one of its "
        f"comparisons by less than {bounds.selectivity_margin:g} nats (upper end of the interval), and if the test "
        f"would find an excess of this size with a power of at least {percent(bounds.power)}. The value is the excess "
        "with the largest p; power is the lower one of the two groups; n counts pairs of rows"
    )


def _selectivity_finding(decision: Decision, view: View) -> str:
    shown, excess = decision.evidence.shown, decision.number
    return (
        f"ablating {neurons(shown.neurons)} costs {view.condition} targets {shown.difference.value:+.2g} nats relative "
        f"to {view.contrast} ones of equal clean loss, {excess.value:+.2g} beyond "
        f"{_compared_with(shown.weakest.against)} (95 % interval {excess.ci_low:+.2g} to {excess.ci_high:+.2g}; "
        f"{decision.n:,.0f} pairs of rows; p = {decision.p_value:.2g}; power for {decision.bound:g} nats: "
        f"{percent(decision.power)})"
    )


def _selectivity_evidence(decision: Decision, view: View) -> str:
    return "; ".join(map(_selectivity_of, decision.evidence.groups))


def _selectivity_of(found: selectivity.Selectivity) -> str:
    """All numbers of one group."""
    beyond = ", ".join(
        f"beyond {_compared_with(each.against)} {with_interval(each.excess)}, one-sided p = {each.p_value:.2g}"
        for each in found.comparisons
    )
    whose = ""
    if found.beyond_shuffled.is_known and not found.neurons.is_selective:
        whose = f", beyond neurons chosen with shuffled labels {with_interval(found.beyond_shuffled)}"
    return (
        f"{neurons(found.neurons)}: {with_interval(found.difference)} nats, {beyond}, power {percent(found.power)}"
        f"{whose}{_again(found)}"
    )


def _again(found: selectivity.Selectivity) -> str:
    """How many of the neurons are also chosen with shuffled labels; their common properties need no rare targets."""
    if np.isnan(found.chosen_again):
        return ""
    return f"; {percent(found.chosen_again)} of them are also chosen with shuffled labels"


# C3


def _dimension_statistic(statistic: Statistic) -> str:
    return f"effective dimension relative to {statistic.against} groups {_where(statistic)}"


def _dimension_rule(view: View, bounds: Bounds) -> str:
    return (
        f"primary test: the effective dimension is below that of {_kinds(view)}. The test uses {_largest_p(view)}, "
        f"which is not adjusted for the table's other tests. Supported if p is at most {bounds.alpha:g}. Contradicted "
        f"if the interval excludes a reduction by {percent(bounds.dimension_reduction)} of the {view.controls} groups' "
        "mean, and such a reduction would lie outside the central 95 % of these groups"
        f"{_match_rule(view, bounds)}; n counts rows"
    )


def _dimension_finding(decision: Decision, view: View) -> str:
    found, relative = decision.evidence, decision.number
    first = found.measured[view.controls]["p_value"]
    threshold = f"; threshold for a relevant reduction: {percent(-decision.bound)}"
    numbers = (
        f"the effective dimension of the activity of {_named(decision)} is {percent(abs(relative.value))} "
        f"{'below' if relative.value < 0 else 'above'} that of {view.controls} groups (95 % interval "
        f"{percent(relative.ci_low, '+')} to {percent(relative.ci_high, '+')}; {decision.n:,.0f} rows; p = "
        f"{first:.2g}{threshold * (decision.verdict != 'supported')}){_and_shuffled(found)}"
    )
    shared = "these neurons are coordinated, but so are neurons chosen with shuffled labels"
    return _with_reservation(numbers, found.match, shared * found.shared)


def _dimension_evidence(decision: Decision, view: View) -> str:
    return f"effective dimension over number of neurons {_against_controls(decision.evidence)}"


def _named(decision: Decision) -> str:
    return "the neurons" if decision.neurons is None else neurons(decision.neurons)


# C4


def _clusters_statistic(statistic: Statistic) -> str:
    return f"separation of the communities minus that of rotated neurons {_where(statistic)}"


def _clusters_rule(view: View, bounds: Bounds) -> str:
    margin = f"{bounds.cluster_margin:g}"
    return (
        "a common factor is taken out of the activations, communities are found on discovery rows, and their "
        "separation is the mean correlation within communities minus that between them on held-out rows. The test "
        "compares it with the separation of rotated neurons: random mixtures of the group's neurons with the same "
        f"components. Contradicted (there are clusters) if p is at most {bounds.alpha:g} and the interval of the "
        f"difference from the rotated neurons' mean lies above {margin}. Supported (there are no clusters) if p is "
        f"above {bounds.alpha:g}, the interval lies below {margin}, and the test finds at least "
        f"{percent(bounds.power)} of planted divisions. Neurons of one block of a planted division correlate as much "
        "as those of the group's own communities, and at least by 0.05. p is that of this one test; other measures and "
        "control groups are shown and decide nothing; n counts rows"
    )


def _clusters_finding(decision: Decision, view: View) -> str:
    excess, found = decision.number, decision.evidence
    who = f"the communities of {_named(decision)}"
    numbers = (
        f"{who} are {abs(excess.value):.2g} {'less' if excess.value < 0 else 'more'} separate than those of rotated "
        f"neurons with the same components (95 % interval {excess.ci_low:+.2g} to {excess.ci_high:+.2g}; "
        f"{decision.n:,.0f} rows; p = {decision.p_value:.2g}; threshold for clusters: {decision.bound:+.2g})"
    )
    planted = f"{_share_of_plants(decision.power)} of planted divisions (correlation {found.planted:.2g} within blocks)"
    if decision.verdict == "supported":
        return f"{numbers}, and the test would find {planted}"
    if decision.verdict == "undecided" and not decision.power >= found.wanted:
        return f"{numbers}, and the test would find only {planted}"
    return numbers


def _share_of_plants(power: float) -> str:
    return "an unknown share" if np.isnan(power) else percent(power)


def _clusters_evidence(decision: Decision, view: View) -> str:
    found, row = decision.evidence, decision.evidence.separation
    factor = (
        f"a common factor with {percent(found.factor)} of the variance is taken out"
        if found.factor > 0
        else "no common factor is taken out"
    )
    controls = "".join(
        f"; mean of {other['null_n']:.0f} {kind} groups {other['null_mean']:.3g}, p = {other['p_value']:.2g}"
        for kind, other in found.controls.items()
        if other["null_n"] > 0
    )
    return (
        f"separation {row['value']:.3g}, mean of {row['null_n']:.0f} rotations {row['null_mean']:.3g} (95 % of them: "
        f"{row['null_low']:.3g} to {row['null_high']:.3g}), p = {row['p_value']:.2g}; {factor}; the test finds "
        f"{_share_of_plants(decision.power)} of planted divisions with a correlation of {found.planted:.2g} within "
        f"blocks{controls}"
    )


# C5


def _routing_statistic(statistic: Statistic) -> str:
    return f"largest share of an attention head's effect that is routing {_where(statistic)}"


def _routing_rule(view: View, bounds: Bounds) -> str:
    margin = bounds.routing_margin
    return (
        f"a head's routing is its effect on {view.condition} rows that {view.contrast} rows, {view.controls} groups "
        f"and the other heads do not explain, as a share of its effect on {view.condition} rows. Supported if the "
        f"upper bounds of all heads' shares are below {margin:g} and the power is at least {percent(bounds.power)}; "
        f"contradicted if a head routes and its lower bound, which is adjusted over heads, is above {margin:g}. A head "
        f"routes if the adjusted p of its selectivity and its p against {view.controls} groups are at most "
        f"attention.alpha; p is the smallest of all heads against {view.controls} groups, adjusted over heads "
        "(Westfall-Young); the power is for routing that doubles a head's effect, in a head drawn at random; n counts "
        "rows"
    )


def _routing_finding(decision: Decision, view: View) -> str:
    heads, share = decision.evidence, decision.number
    which = {
        "supported": "no attention head routes",
        "contradicted": f"{heads.routing} of {heads.n} ablated attention heads route",
        "undecided": "an attention head may route",
    }[decision.verdict]
    return (
        f"{which} {view.condition} rows to {_named(decision)}: the largest share of a head's effect on "
        f"them that is routing is {percent(share.value)}, beyond what {view.contrast} rows, {view.controls} groups and "
        f"the other heads explain (95 % interval from {percent(share.ci_low)}; upper bound over all ablated heads "
        f"{percent(share.ci_high)}; {decision.n:,.0f} rows; threshold for dedicated routing: {percent(decision.bound)})"
    )


def _routing_evidence(decision: Decision, view: View) -> str:
    heads = decision.evidence
    return (
        f"{heads.n} of {heads.all} attention heads were ablated; heads that move these neurons more on "
        f"{view.condition} rows than on {view.contrast} rows: {heads.selective}; heads that route: {heads.routing}, p "
        f"= {decision.p_value:.2g}; power to find routing that doubles a head's effect {percent(decision.power)}"
        f"{_missed_heads(heads)}{_concentration(heads.concentration, view)}"
    )


def _missed_heads(heads: routing.Heads) -> str:
    """What is known about heads that were not ablated, empty where there are none."""
    if heads.all == heads.n or heads.missed is None:
        return ""
    found = heads.missed
    return (
        f"; of {found.sample} heads drawn at random from those that the screening did not name, "
        f"{percent(found.routing)} route, so at most {percent(found.upper)} of the heads that were not ablated do "
        "(one-sided 95 % bound)"
    )


def _concentration(found: routing.Concentration | None, view: View) -> str:
    """Gini coefficient and the layers' strongest heads, empty where they were not measured."""
    if found is None:
        return ""
    return (
        f"; on {view.condition} rows the Gini coefficient of the heads' effects is {found.gini:.2g} "
        f"({found.gini_null:.2g} on {view.controls} groups, p = {found.p_value:.2g}), and the strongest head of a "
        f"layer alone has {percent(found.largest_share)} of the layer's effect"
    )


# C6


def _course_statistic(statistic: Statistic) -> str:
    what = "selectivity of joint ablation" if statistic.measure == course.DELTA_LOSS else "effective dimension"
    return f"width in ln step of the rise of the {what} minus that of {statistic.against} groups {_where(statistic)}"


def _course_rule(view: View, bounds: Bounds) -> str:
    return (
        f"selectivity is what ablating the most influential neurons together costs on {view.condition} rows, minus the "
        f"cost on {view.contrast} rows of the same clean loss and position, minus that difference for {view.controls} "
        f"groups. From the first checkpoint to the last it must rise by more than {bounds.specialization_margin:g} "
        "nats (lower end of the interval of the change); otherwise nothing emerged whose speed could be judged. A "
        "logistic function of ln(step + 1) is fitted to it. The width of the rise is how much ln(step + 1) grows from "
        "a quarter to three quarters of the rise. Supported (gradual) if the interval of the width lies above "
        f"{bounds.abrupt_width:g}; contradicted (abrupt) if it lies below. The effective dimension minus that of "
        f"{view.controls} groups is fitted in the same way and decides nothing. n counts checkpoints"
    )


def _course_finding(decision: Decision, view: View) -> str:
    return _course(decision.evidence.primary, decision, view)


def _course_evidence(decision: Decision, view: View) -> str:
    found = decision.evidence
    first = "at no checkpoint" if np.isnan(found.plateau_step) else f"first at step {found.plateau_step:.0f}"
    scatter = [
        f", scatter of the checkpoints about the fitted curve {each.rise.scatter:.2g}, height {each.rise.height:.2g}"
        if each.rise is not None
        else ""
        for each in (found.primary, found.secondary)
    ]
    return (
        f"{_course(found.primary, decision, view)}{scatter[0]}; shown as well, without a part in the decision: "
        f"{_course(found.secondary, decision, view)}{scatter[1]}; the plateau test finds a plateau {first}"
    )


def _course(found: course.Course, decision: Decision, view: View) -> str:
    """How a measure moved and how wide its rise is."""
    is_primary = found.statistic.measure == course.DELTA_LOSS
    what = "the selectivity of the joint ablation" if is_primary else "the effective dimension"
    who = f"the {decision.evidence.size} most influential neurons"
    measure = f"{what} of {who}, minus that of {view.controls} groups,"
    if found.why == "unknown":
        return f"{measure} is not known at the {course.LEAST_CHECKPOINTS} checkpoints or more that the fit requires"
    changed = f"{measure} changed by {with_interval(found.change)} over {found.n} checkpoints"
    margin = f"{found.margin:.2g}"
    if found.rise is None:
        return {
            "small": f"{changed}, so there is no change of {margin} or more whose speed could be judged",
            "unclear": f"{changed}, which may be more or less than the {margin} that would matter",
        }[found.why]
    width, centre = found.rise.width, found.rise.centre
    fitted = (
        f"the middle half of this change takes {with_interval(width)} in ln step, a factor of "
        f"{np.exp(width.value):.2g} in steps, around step {centre.value:.0f} (95 % interval {centre.ci_low:.0f} to "
        f"{centre.ci_high:.0f})"
    )
    return {
        "gradual": f"{changed}, gradually: {fitted}",
        "abrupt": f"{changed}, abruptly: {fitted}",
        "late": f"{changed}; {fitted}, so it is not over at the last checkpoint",
        "apart": f"{changed}; {fitted}, where checkpoints are too far apart to distinguish gradual from abrupt",
        "scattered": f"{changed}; {fitted}, and the checkpoints scatter too much to distinguish gradual from abrupt",
        "uncertain": f"{changed}; {fitted}, which is too uncertain to distinguish gradual from abrupt",
    }[found.why]


def _tracked(found: over_training.TrackedTrend | None) -> str:
    """The trend of the last checkpoint's neurons; empty where there is none."""
    if found is None:
        return ""
    return f" (the final neurons tracked backwards: {with_interval(found.trend)}, p = {found.p_value:.2g})"


# C7


def _tails_statistic(statistic: Statistic) -> str:
    of_matrix = f" of {statistic.part}" * bool(statistic.part)
    return f"Hill exponent{of_matrix} relative to {statistic.against} groups {_where(statistic)}"


def _tails_rule(view: View, bounds: Bounds) -> str:
    reduction = percent(bounds.hill_reduction)
    return (
        f"primary test: in a weight matrix the Hill exponent is below that of {_kinds(view)}, and its ratio to the "
        "mean of each falls with step (intervals of change and rank correlation below zero). p is the largest of these "
        "tests, times the number of matrices (Bonferroni), and is not adjusted for the table's other tests. A matrix "
        f"fails in two cases: the interval excludes a reduction by {reduction} of the {view.controls} groups' mean, "
        "and such a reduction would lie outside the central 95 % of these groups; or the interval of the change of the "
        f"ratio to that mean excludes such a reduction. Supported if p is at most {bounds.alpha:g} for one matrix and "
        f"no other fails. Contradicted if every matrix fails{_match_rule(view, bounds)}; n counts neurons"
    )


def _tails_finding(decision: Decision, view: View) -> str:
    shown = decision.evidence.shown
    level, weights = shown.level, f"the {shown.part} weights of {_named(decision)}"
    if not level.measured:
        return f"{weights} have no tail exponent: {level.reason}"
    below = level.relative.value < 0
    numbers = (
        f"the Hill exponent of {weights} is {percent(abs(level.relative.value))} {'below' if below else 'above'} that "
        f"of {view.controls} groups, which is a {'heavier' if below else 'lighter'} tail (95 % interval "
        f"{percent(level.relative.ci_low, '+')} to {percent(level.relative.ci_high, '+')}; p = "
        f"{level.measured[view.controls]['p_value']:.2g}){_and_shuffled(level)}, and {_growth(shown, view)}"
    )
    shared = "the tails are heavier, but so are those of neurons chosen with shuffled labels"
    return _with_reservation(numbers, level.match, shared * shown.shared)


def _tails_evidence(decision: Decision, view: View) -> str:
    return "; ".join(
        f"{each.part}: Hill exponent {_against_controls(each.level)}{_growths(each)}"
        for each in decision.evidence.matrices
    )


def _growth(matrix: tails.Matrix, view: View) -> str:
    growth = matrix.growth.get(view.controls)
    if growth is None:
        return "its change during training is not known, because this requires four checkpoints"
    return f"the ratio of the two changed by {with_interval(growth.change)} over {growth.n} checkpoints"


def _growths(matrix: tails.Matrix) -> str:
    """How the ratio to each kind of controls changes during training."""
    if not matrix.growth:
        return "; its change during training is not known, because this requires four checkpoints"
    return "".join(
        f"; the ratio to {_control_groups(kind)} changed by {with_interval(growth.change)} over {growth.n} "
        f"checkpoints, rank correlation with step {with_interval(growth.trend)}, p = {growth.p_value:.2g}"
        f"{_tracked(growth.tracked)}"
        for kind, growth in matrix.growth.items()
    )


# P1a

TESTED = {
    coactivation.CO_ACTIVATE: "positive correlation among themselves",
    coactivation.AVOID: "negative correlation with the other neurons of the layer",
}


def _coactivation_statistic(statistic: Statistic) -> str:
    what = TESTED[statistic.measure, statistic.part]
    return f"{what}, relative to {statistic.against} groups {_where(statistic)}"


def _coactivation_rule(view: View, bounds: Bounds) -> str:
    least = percent(coactivation.LEAST_EXCESS)
    return (
        "two one-sided tests on held-out rows: the mean of the positive parts of the correlations between neurons of "
        "the group (they co-activate), and the mean of the negative parts of those between the group and all other "
        f"neurons of the layer (they avoid others). Each must be above that of {_kinds(view)}. Supported if the "
        f"largest p is at most {bounds.alpha:g} (intersection-union). Contradicted if for one of the two the interval "
        f"excludes an excess of {least} over the {view.controls} groups' mean, and the test would find such an excess "
        f"with a power of at least {percent(bounds.power)}{_match_rule(view, bounds)}. The value is the excess with "
        f"the larger p; power is that of both tests for an excess of {least}; n counts rows"
    )


def _coactivation_finding(decision: Decision, view: View) -> str:
    found, excess = decision.evidence, decision.number
    shown = found.shown
    numbers = (
        f"the {TESTED[shown.measure, shown.part]} of {_named(decision)} is {percent(abs(excess.value))} "
        f"{'below' if excess.value < 0 else 'above'} that of {view.controls} groups (95 % interval "
        f"{percent(excess.ci_low, '+')} to {percent(excess.ci_high, '+')}; {decision.n:,.0f} rows; larger p = "
        f"{decision.p_value:.2g}; power for {percent(decision.bound)}: {percent(decision.power)})"
    )
    both = "these neurons co-activate and avoid others: " * (decision.verdict == "supported")
    shared = "these neurons co-activate and avoid others, but so do neurons chosen with shuffled labels"
    return _with_reservation(both + numbers, found.match, shared * found.shared)


def _coactivation_evidence(decision: Decision, view: View) -> str:
    parts = [_excess_of(test) for test in decision.evidence.tests]
    return "; ".join([*parts, *_match(decision.evidence.match)])


def _excess_of(test: coactivation.Excess) -> str:
    """One test, compared with every kind of control groups."""
    against = ", ".join(
        f"mean of {row['null_n']:.0f} {_control_groups(kind)} {row['null_mean']:.3g}, excess relative to it "
        f"{with_interval(test.relative[kind])}, p = {row['p_value']:.2g}"
        for kind, row in test.measured.items()
    )
    value = next(iter(test.measured.values()))["value"]
    return f"{TESTED[test.measure, test.part]} {value:.3g}, {against}, power {percent(test.power)}"


# S1, C8s and C3s

TYPES = "token-frequency or entropy neurons"


def _known_types_statistic(statistic: Statistic) -> str:
    return f"share of the joint effect that remains without {TYPES} {_where(statistic)}"


def _known_types_rule(view: View, bounds: Bounds) -> str:
    half = percent(known_types.HALF)
    return (
        f"primary test: the share of the group's joint effect on {view.condition} rows that remains without its "
        f"{TYPES}, compared with one half. Supported (the group's effect is that of known types) if the share is below "
        f"{half} with a two-sided p of at most {bounds.alpha:g}; contradicted if it is above {half} with such a p. "
        "Both verdicts require a small p, so no power is stated. The two types are those of Stolfo et al. (2024). A "
        "neuron is a token-frequency neuron if its output weights align with the unigram direction more than all "
        f"random directions do, and at least {percent(MAJORITY)} of its effect on discovery rows passes through that "
        "direction. It is an entropy neuron if a larger share of its output weights lies in the unembedding's null "
        "space than for all random directions, their norm is at least the layer's median, and at least "
        f"{percent(MAJORITY)} of its effect passes through the final norm's scale. How many neurons of the group are "
        f"{TYPES}, compared with {view.controls} groups, is shown and decides nothing. n counts rows"
    )


def _known_types_finding(decision: Decision, view: View) -> str:
    shown, remaining, who = decision.evidence.shown, decision.number, neurons(decision.evidence.shown.neurons)
    share = ""
    if KNOWN_TYPE in shown.means:
        value, null, p_value = shown.means[KNOWN_TYPE]
        controls = f"{view.controls} groups: {percent(null)}, p = {p_value:.2g}"
        share = f"{percent(value)} of {who} are {TYPES} ({controls}); "
    return (
        f"{share}the other neurons have {percent(remaining.value)} of the joint effect of {who} on "
        f"{view.condition} targets (95 % interval {percent(remaining.ci_low)} to {percent(remaining.ci_high)}; "
        f"{decision.n:,.0f} rows; p = {decision.p_value:.2g} for a difference from one half)"
    )


def _known_types_evidence(decision: Decision, view: View) -> str:
    return "; ".join(_known_types_of(each, view) for each in decision.evidence.groups)


PROPERTY_NAMES = {
    KNOWN_TYPE: TYPES,
    ENTROPY: "entropy neurons",
    FREQUENCY: "token-frequency neurons",
    "frequency_share": "mean share of a neuron's effect through the unigram direction",
    "norm_share": "mean share through the final norm's scale",
}


def _known_types_of(found: known_types.OfGroup, view: View) -> str:
    """All numbers of one group."""
    means = ", ".join(
        f"{PROPERTY_NAMES[name]} {percent(value)} ({view.controls} groups {percent(null)}, p = {p_value:.2g})"
        for name, (value, null, p_value) in found.means.items()
    )
    remaining = f"share of the joint effect without known types {with_interval(found.remaining)}"
    return f"{neurons(found.neurons)}: {remaining}{', ' * bool(means)}{means}"


WITHOUT_TYPES_RULE = (
    f"{TYPES} (as declared in S1) are left out before neurons are chosen and before control groups are drawn. The next "
    "neurons by the same criterion take their places. The rest is as in {0}: {1}"
)


def _selectivity_without_types_rule(view: View, bounds: Bounds) -> str:
    return WITHOUT_TYPES_RULE.format("C8", _selectivity_rule(view, bounds))


def _dimension_without_types_rule(view: View, bounds: Bounds) -> str:
    return WITHOUT_TYPES_RULE.format("C3 (with C8s in place of C8)", _dimension_rule(view, bounds))


# Over models

ONE: dict[over_models.Unit, str] = {"model": "model", "seed": "seed", "kind": "kind of model"}
UNITS: dict[over_models.Unit, str] = {"model": "models", "seed": "seeds", "kind": "kinds of models"}


def _statistic_over_models(wording: Wording, decision: Decision) -> str:
    units = UNITS[_tally(decision).unit]
    if isinstance(decision.evidence, over_models.Mean):
        return f"random-effects mean over {units}: {wording.effect}"
    return f"share of {units} that support it"


def _rule_over_models(decision: Decision) -> str:
    evidence, either, above, below = decision.evidence, "", "", ""
    unit = _tally(decision).unit
    one, units = ONE[unit], UNITS[unit]
    value = (
        f"the value is the share of {units} that support it, with a Clopper-Pearson interval; p is that of a sign test "
        f"among decided {units}"
    )
    if isinstance(evidence, over_models.Mean):
        bound, either = f"{decision.bound:g}", "either "
        above = f", or the interval of their mean lies below {bound}"
        if not np.isnan(evidence.power):
            above += f" and the test of each {one} has a power of at least {percent(evidence.least_power)}"
        below = f", or the interval lies above {evidence.contradicted_above:g}"
        value = (
            f"the value is the random-effects mean (Paule-Mandel), with a Hartung-Knapp interval for {units} like "
            f"these. The interval is at least as wide as it would be if all {units} shared their errors. p is that of "
            f"a test for a mean other than {bound}"
        )
    nested = "; models that differ only in their seed are one kind, with the verdict and number over its seeds"
    return (
        f"supported if no {one} contradicts it and {either}at least {over_models.LEAST_AGREEING} {units}, and more "
        f"than half, support it{above}; contradicted by the same rule with both verdicts exchanged{below}; {value}; n "
        f"counts {units}{nested * (unit == 'kind')}"
    )


def _tally(decision: Decision) -> over_models.Tally:
    evidence = decision.evidence
    return evidence.tally if isinstance(evidence, over_models.Mean) else evidence


def _finding_over_models(wording: Wording, decision: Decision) -> str:
    tally, mean, evidence = _tally(decision), decision.number, decision.evidence
    units = UNITS[tally.unit]
    counts = (
        f"supported in {tally.count('supported')} of {tally.n} {units}, contradicted in {tally.count('contradicted')}, "
        f"undecided in {tally.count('undecided')}"
    )
    if not isinstance(evidence, over_models.Mean):
        return counts
    return (
        f"{counts}; {wording.effect} is {mean.value:+.2g} on average (95 % interval for {units} like these "
        f"{mean.ci_low:+.2g} to {mean.ci_high:+.2g}; {decision.n:.0f} {units}), with a standard deviation of "
        f"{evidence.spread:.2g} between {units}"
    )


def _evidence_over_models(decision: Decision) -> str:
    evidence = decision.evidence
    tally = "; ".join(
        f"{verdict}: {', '.join(models) or 'none'}" for verdict, models in _tally(decision).models.items()
    )
    if not isinstance(evidence, over_models.Mean):
        return tally
    left_out = f"; {evidence.left_out} left out of the mean, without an interval or without a fulfilled premise" * (
        evidence.left_out > 0
    )
    heterogeneity = f"I squared {100 * evidence.heterogeneity:.0f} %"
    spread = f"standard deviation between {UNITS[evidence.tally.unit]} {evidence.spread:.2g}"
    power = (
        "" if np.isnan(evidence.power) else f"; least power of a {ONE[evidence.tally.unit]} {percent(evidence.power)}"
    )
    return f"{spread}, {heterogeneity}; {tally}{left_out}{power}"


# What would decide it

TOWARDS = {"supported": "to support it, ", "contradicted": "to contradict it, ", "": ""}
DOCUMENTS = {
    "heldout": "held-out documents",
    "discovery": "discovery documents",
    "attention": "documents (`attention.documents`)",
}


def options_text(options: Iterable[Option]) -> str:
    """What would decide a claim: one option after the other."""
    return "; or ".join(map(_option, options))


def _option(option: Option) -> str:
    nested = any(isinstance(each, requirements.AnyOf) for each in option.requirements)
    # Two numbers without an interval ask for the same thing.
    parts = ("; and " if nested else " and ").join(dict.fromkeys(map(requirement, option.requirements)))
    return f"{option.part}{': ' * bool(option.part)}{TOWARDS[option.towards]}{parts}"


@singledispatch
def requirement(needed: Any) -> str:
    """One requirement in words; each class has a function of its own."""
    raise TypeError(f"no words for {type(needed).__name__}; register a function with sentences.requirement")


@requirement.register
def _(needed: requirements.AnyOf) -> str:
    return options_text(needed.options)


@requirement.register
def _(needed: requirements.MoreDocuments) -> str:
    documents = DOCUMENTS[needed.documents]
    if np.isnan(needed.times):
        return "an interval, which takes at least ten bootstrap draws with a value"
    if np.isinf(needed.times):
        return f"more than {MOST_TIMES:,} times as many {documents}: the estimate is at or beyond the bound"
    rows = needed.rows
    now = f" ({_rounded_up(needed.times * rows)} rows instead of {rows:,.0f})" if np.isfinite(rows) else ""
    return f"{needed.times:.1f} times as many {documents}{now}"


@requirement.register
def _(needed: requirements.LargerGroup) -> str:
    if np.isnan(needed.times):
        return "at least ten control groups with a value"
    if needed.times > MOST_TIMES:
        return f"more than {MOST_TIMES:,} times as many neurons as the {needed.size} here"
    return f"a group of {_rounded_up(needed.times * needed.size)} neurons ({needed.size} here)"


@requirement.register
def _(needed: requirements.MoreControls) -> str:
    return f"{needed.needed:,} control groups (`groups.controls`; {needed.here} here)"


@requirement.register
def _(needed: requirements.MoreCheckpoints) -> str:
    return f"{needed.needed:,} checkpoints with a known step ({needed.here} here)"


@requirement.register
def _(needed: requirements.OppositeTrend) -> str:
    return f"a trend in the other direction (rank correlation {needed.correlation:.2g} here)"


@requirement.register
def _(needed: requirements.MorePermutations) -> str:
    return f"{needed.needed:,} permutations (`dynamics.permutations`; {needed.here:,} here)"


@requirement.register
def _(needed: requirements.Measurable) -> str:
    return f"a group that can be measured; here: {_why_unmeasured(needed.reason, needed.absent_from)}"


@requirement.register
def _(needed: requirements.SmallerP) -> str:
    return (
        f"a smaller p: after adjustment for the model's {needed.n} other claims (Holm) it is {needed.adjusted:.2g}, "
        f"and a decision requires at most {needed.alpha:g}"
    )


@requirement.register
def _(needed: requirements.SelectiveNeurons) -> str:
    if needed.may_exist:
        return f"evidence that some neurons matter more for rare targets (see {needed.claim})"
    return f"a model or checkpoint with neurons that matter more for rare targets (see {needed.claim})"


@requirement.register
def _(needed: requirements.NothingPromising) -> str:
    return (
        f"more neurons or {DOCUMENTS[needed.documents]} are unlikely to resolve this: the difference, "
        f"{needed.number:+.2g}, lies well within the spread of the control groups and is too close to the bound, "
        f"{needed.bound:+g}"
    )


@requirement.register
def _(needed: plateau.PlateauSomewhere) -> str:
    return f"a plateau on {needed.condition} rows (see C1), since the claim is that the other rows lack it"


@requirement.register
def _(needed: below_controls.BetterControls) -> str:
    return f"a layer with more neurons like these: here matched groups {_mismatch(needed.match)}"


@requirement.register
def _(needed: below_controls.SpecificNeurons) -> str:
    return (
        "neurons that are specific to rare targets: here neurons chosen with shuffled labels are alike (p = "
        f"{needed.p_value:.2g} compared with them)"
    )


@requirement.register
def _(needed: plateau.LongerCurve) -> str:
    return f"a last MLP with at least {needed.n_neurons} boost neurons"


@requirement.register
def _(needed: plateau.KnownPower) -> str:
    return "the test's power (`regimes.power_draws` above 0)"


@requirement.register
def _(needed: plateau.MoreForPower) -> str:
    wider = f"a last MLP {{0}} times as wide as the one with {needed.n_neurons:,} boost neurons here"
    what = {"documents": "{0} times as many documents", "neurons": wider}
    tried = {
        kind: f"{what[kind].format(times)} ({percent(power)} of planted plateaus found in simulations)"
        for kind, (times, power) in needed.tried.items()
    }
    enough = [kind for kind, (_, power) in needed.tried.items() if power >= needed.wanted]
    if not enough:
        return f"more than {' or '.join(tried.values())}"
    return tried[enough[0]] + "".join(f"; {tried[kind]} would not be enough" for kind in tried if kind not in enough)


def _until_found(needed: clusters.ClearerPlants | clusters.LargerForPlants) -> str:
    return (
        f"until the test finds {percent(needed.wanted)} of planted divisions with a correlation of "
        f"{needed.planted:.2g} within blocks ({_share_of_plants(needed.power)} here)"
    )


@requirement.register
def _(needed: clusters.ClearerPlants) -> str:
    return f"more documents (more than the {needed.rows:,.0f} held-out rows here), {_until_found(needed)}"


@requirement.register
def _(needed: clusters.LargerForPlants) -> str:
    return (
        f"a larger group of neurons, {_until_found(needed)}; more documents would not help, since the standard "
        f"deviation between rotations of so few neurons is {needed.spread:.2g}, and the standard error due to "
        f"documents is only {needed.error:.2g}"
    )


@requirement.register
def _(needed: clusters.FaintDivision) -> str:
    return (
        "nothing that could be added to this run: there are communities beyond chance, but they are too faint to count "
        f"as clusters ({needed.excess:+.2g}, threshold {needed.margin:+.2g})"
    )


@requirement.register
def _(needed: clusters.MoreRotations) -> str:
    return f"{needed.needed:,} rotations (`organization.rotations`; {needed.here:,} here)"


@requirement.register
def _(needed: routing.ClearRouting) -> str:
    return (
        f"{requirement(needed.documents)}, provided that the strongest head's adjusted p ({needed.p_value:.2g} here) "
        "and the p of its selectivity are then at most attention.alpha; supporting the claim is not feasible, because "
        "the estimate is too close to the bound"
    )


@requirement.register
def _(needed: course.RunThatRises) -> str:
    return f"a model or a longer training run in which the measure changes by more than {needed.margin:.2g}"


@requirement.register
def _(needed: routing.RoutingPower) -> str:
    return (
        f"a power of {percent(needed.wanted)} ({percent(needed.power)} here): more documents (`attention.documents`) "
        "or more heads that are ablated (`attention.candidates`)"
    )


@requirement.register
def _(needed: course.LaterCheckpoints) -> str:
    return f"checkpoints after the last one, beyond step {_rounded_up(needed.step)}, to see where the rise ends"


@requirement.register
def _(needed: course.CheckpointsBetween) -> str:
    return (
        f"{needed.n} more checkpoint{'s' * (needed.n != 1)} between steps {needed.first:.0f} and {needed.last:.0f}, "
        "evenly spaced in ln step"
    )


@requirement.register
def _(needed: tails.MoreModels) -> str:
    return (
        "more models or seeds, to see whether their weight matrices disagree too: here one matrix supports the claim "
        "and one contradicts it"
    )


@requirement.register
def _(needed: over_models.MoreVerdicts) -> str:
    verdict = f"the verdict {needed.verdict}" if needed.verdict else "the same verdict"
    return f"{verdict} for {needed.n} more of {', '.join(needed.models)} (see their rows)"


@requirement.register
def _(needed: over_models.MoreModels) -> str:
    return f"{needed.n} more {UNITS[needed.unit]}, for at least {over_models.LEAST_AGREEING} that agree"


@requirement.register
def _(needed: over_models.ModelsBetween) -> str:
    if needed.unit == "seed":
        return (
            f"more seeds, to see how often each happens: {', '.join(needed.supporting)} support it, and "
            f"{', '.join(needed.contradicting)} contradict it"
        )
    return (
        f"models between {', '.join(needed.supporting)} (supported) and {', '.join(needed.contradicting)} "
        "(contradicted) in size or training, to see where the verdict changes"
    )


@requirement.register
def _(needed: over_models.MoreModelsLikeThese) -> str:
    if needed.needed is None:
        return f"more than {needed.most:,} {UNITS[needed.unit]}: their mean is too close to the bound"
    return f"{needed.needed:,} {UNITS[needed.unit]} like these ({needed.here} here)"


WORDING: dict[str, Wording] = {
    "C1": Wording(
        "Rare targets: influence has a plateau, a power law and a rapid decay",
        _curve_statistic,
        _rare_curve_rule,
        _rare_curve_finding,
        _curve_evidence,
    ),
    "C2": Wording(
        "Common targets: no plateau, unlike rare targets",
        _curve_statistic,
        _contrast_rule,
        _contrast_finding,
        _contrast_evidence,
    ),
    "C8": Wording(
        "Some neurons matter more for rare targets than for common ones",
        _selectivity_statistic,
        _with_holm(_selectivity_rule),
        _selectivity_finding,
        _selectivity_evidence,
    ),
    "C3": Wording(
        "The top neurons act together: reduced effective dimension",
        _dimension_statistic,
        _with_holm(_dimension_rule),
        _dimension_finding,
        _dimension_evidence,
        "relative difference in effective dimension from the control groups",
        without_power=NEGATIVE_BY_INTERVAL,
    ),
    "C4": Wording(
        "The top neurons form no discrete clusters",
        _clusters_statistic,
        _with_holm(_clusters_rule),
        _clusters_finding,
        _clusters_evidence,
        "separation of communities minus that of rotated neurons",
    ),
    "C5": Wording(
        "No dedicated attention routing to the top neurons",
        _routing_statistic,
        _routing_rule,
        _routing_finding,
        _routing_evidence,
    ),
    "C6": Wording(
        "Specialization emerges gradually in training",
        _course_statistic,
        _course_rule,
        _course_finding,
        _course_evidence,
        without_power="the verdict rests on the interval of the width",
    ),
    "C7": Wording(
        "The top neurons' weights have heavier-tailed spectra, increasingly so",
        _tails_statistic,
        _with_holm(_tails_rule),
        _tails_finding,
        _tails_evidence,
        without_power=NEGATIVE_BY_INTERVAL,
    ),
    "C8s": Wording(
        "Some neurons of no known type matter more for rare targets than for common ones",
        _selectivity_statistic,
        _selectivity_without_types_rule,
        _selectivity_finding,
        _selectivity_evidence,
    ),
    "C3s": Wording(
        "The top neurons of no known type act together: reduced effective dimension",
        _dimension_statistic,
        _dimension_without_types_rule,
        _dimension_finding,
        _dimension_evidence,
        "relative difference in effective dimension from the control groups",
        without_power=NEGATIVE_BY_INTERVAL,
    ),
    "S1": Wording(
        "The top neurons are the known token-frequency and entropy neurons",
        _known_types_statistic,
        _known_types_rule,
        _known_types_finding,
        _known_types_evidence,
        without_power="both verdicts require a small p",
    ),
    "P1a": Wording(
        "The top neurons co-activate, and avoid the other neurons of the layer",
        _coactivation_statistic,
        _coactivation_rule,
        _coactivation_finding,
        _coactivation_evidence,
    ),
    "P1b": Wording(
        "Rare targets: influence grows in three phases, plateau, power law and decay",
        _phases_statistic,
        _phases_rule,
        _phases_finding,
        _phases_evidence,
    ),
    "P2": Wording(
        "Rare targets have a plateau and a power law, common targets a power law alone",
        _curve_statistic,
        _contrast_rule,
        _contrast_finding,
        _contrast_evidence,
    ),
}


def firmness_sentence(found: Firmness) -> str:
    """How many other choices that ought not to matter give the same verdict, and which do not."""
    if not found.n:
        return "No other choice was computed for this verdict."
    same = found.n - len(found.other)
    text = f"{same} of {found.n} other choices {'gives' if same == 1 else 'give'} the same verdict"
    others = ", ".join(f"{verdict} with {choice}" for choice, verdict in found.other.items())
    return f"{text} ({others})." if others else f"{text}."


def undecided_introduction() -> str:
    """What the last section of ``claims.md`` begins with."""
    return (
        "These requirements are computed from this run's numbers, under the assumptions in `docs/methods.md`. With "
        f"them, a decision has a probability of {percent(CHANCE)}."
    )
