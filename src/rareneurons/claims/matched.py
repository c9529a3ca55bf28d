"""Is a measure of the head below that of its matched groups? What C3 and C7 share."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Verdict
from rareneurons.claims.findings import NUMBERS, no_number
from rareneurons.claims.measured import Finder, Head, with_interval
from rareneurons.claims.needs import (
    Sample,
    cannot_measure,
    group_of,
    more_documents,
    more_neurons,
    standard_error,
    times_as_many,
)

FAMILY = "p adjusted over all tests of the checkpoint against matched groups (Benjamini-Hochberg)"


@dataclass(frozen=True)
class Comparison:
    """A measure against matched groups: ``relative``, its difference from their mean as a share of that mean.

    ``answer``: is it below; ``p_value`` adjusted; ``told`` in words; ``need``: what would decide it, and whether it
    ``may_be_met``.
    """

    answer: Verdict
    relative: pd.Series
    p_value: float
    told: str
    need: str
    may_be_met: bool = True


def below_matched(find: Finder, head: Head, alpha: float, reduction: float, sample: Sample) -> Comparison | None:
    """Compare by adjusted p for a yes, and for a no by an interval that excludes a relevant reduction.

    Args:
        find: the measure's numbers: the group's, ``.null_mean`` and ``.difference``.
        head: the group.
        alpha: largest adjusted p of a yes.
        reduction: share of the matched groups' mean that a no must exclude. A small group has few possible values:
            where even such a reduction lies among the central 95 % of matched groups, no says nothing.
        sample: what the interval is over.

    Returns:
        The comparison; None where nothing is measured.
    """
    number, null, difference = find(""), find(".null_mean"), find(".difference")
    if number is None:
        return None
    if null is None or difference is None or not np.isfinite([number["q_value"], difference["value"]]).all():
        why = str(number["reason"])
        return Comparison("undecided", no_number(), np.nan, why, cannot_measure(why))
    relative = difference[NUMBERS] / null["value"]
    answer: Verdict = "undecided"
    if number["q_value"] <= alpha and relative["value"] < 0:
        answer = "supported"
    elif _visible(null) < reduction and relative["ci_low"] > -reduction:
        answer = "contradicted"
    told = (
        f"{number['value']:.3g}, mean of {null['n']:.0f} matched groups {null['value']:.3g} (95 % of them: "
        f"{null['ci_low']:.3g} to {null['ci_high']:.3g}), difference over that mean {with_interval(relative)}, "
        f"p = {number['p_value']:.2g}, adjusted {number['q_value']:.2g}"
    )
    roads = [_for_a_yes(number, null, relative, alpha, head), _for_a_no(null, relative, reduction, head, sample)]
    need = "; ".join(road for road in roads if road)
    hopeless = (
        f"neither more neurons nor more {sample.documents} promise it: the difference, {relative['value']:+.2g} of the "
        f"mean, lies well within the spread of matched groups and too near {-reduction:+g}"
    )
    return Comparison(answer, relative, number["q_value"], told, need or hopeless, bool(need))


def _visible(null: pd.Series) -> float:
    """The smallest reduction that lies outside the central 95 % of matched groups, as a share of their mean."""
    return 1 - null["ci_low"] / null["value"]


def _for_a_yes(number: pd.Series, null: pd.Series, relative: pd.Series, alpha: float, head: Head) -> str:
    """What a small p would take; empty where the group does not lie below, or no number of neurons promises it."""
    if not relative["value"] < 0:
        return ""
    needed = more_neurons(number["value"] - null["value"], null, number, alpha, head.size)
    return f"for a yes, {needed}" if needed else ""


def _for_a_no(null: pd.Series, relative: pd.Series, reduction: float, head: Head, sample: Sample) -> str:
    """What excluding a relevant reduction would take; empty where no number of documents promises it."""
    parts, times = [], 1.0
    if not relative["ci_low"] > -reduction:
        times = times_as_many(relative["value"], standard_error(relative), above=-reduction)
        parts.append(more_documents(times, sample))
    if not _visible(null) < reduction:
        parts.insert(0, group_of((_visible(null) / reduction) ** 2, head.size))
    return "" if np.isinf(times) or not parts else f"for a no, {' and '.join(parts)}"
