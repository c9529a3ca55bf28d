"""Shared by a model's claims: the premise that there are rare-token neurons, and alpha."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from rareneurons.claims.decision import Decision, Premise, Verdict
from rareneurons.claims.requirements import Option, SelectiveNeurons, SmallerP
from rareneurons.stats import holm

ANSWERS: Mapping[Verdict, Literal["met", "fails", "open"]] = {
    "supported": "met",
    "contradicted": "fails",
    "undecided": "open",
}


def with_premise(decision: Decision, selectivity: Decision, claim: str = "C8") -> Decision:
    """The decision on a claim about rare-token neurons, given whether C8 (or the ``claim`` named) finds any.

    If C8 finds none, with power, the claim has no neurons to be about and is undecided. If C8 is undecided, the claim
    can be contradicted for the neurons that the paper means, but not supported.
    """
    premise = Premise(ANSWERS[selectivity.verdict], decision.verdict, selectivity, claim)
    if premise.answer == "met" or (premise.answer == "open" and decision.verdict == "contradicted"):
        return replace(decision, premise=premise)
    needed = Option((SelectiveNeurons(premise.answer == "open", claim),))
    if premise.answer == "open" and decision.verdict == "undecided":
        options = tuple(
            Option((*each.requirements, *needed.requirements), each.towards, each.part) for each in decision.options
        )
        return replace(decision, premise=premise, options=options)
    return replace(decision, verdict="undecided", premise=premise, options=(needed,))


def with_adjusted_p(
    decisions: Mapping[str, Decision], rests_on_p: Mapping[str, tuple[Verdict, ...]], alpha: float
) -> dict[str, Decision]:
    """The decisions of one model after Holm's (1979) adjustment of their p-values.

    Args:
        decisions: claim -> its decision by its own rule.
        rests_on_p: claim -> the verdicts that its rule gives only for a small p; others rest on intervals.
        alpha: largest adjusted p.

    Returns:
        A verdict that rests on a p whose adjusted value is above alpha has become undecided.
    """
    adjusted = holm(np.array([decision.p_value for decision in decisions.values()]))
    found = {}
    for (claim, decision), p_value in zip(decisions.items(), adjusted, strict=True):
        if decision.verdict not in rests_on_p[claim] or not np.isfinite(p_value):
            found[claim] = decision
        elif p_value <= alpha:
            found[claim] = replace(decision, adjusted_p=float(p_value))
        else:
            needed = Option((SmallerP(float(p_value), alpha, int(np.isfinite(adjusted).sum()) - 1),))
            found[claim] = replace(decision, verdict="undecided", adjusted_p=float(p_value), options=(needed,))
    return found
