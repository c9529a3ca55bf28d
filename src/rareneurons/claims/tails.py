"""C7: are the spectra of plateau neurons' weights heavier-tailed, increasingly so?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim, Verdict
from rareneurons.claims.findings import Finding, unmeasured
from rareneurons.claims.matched import FAMILY, Comparison, below_matched
from rareneurons.claims.measured import Finder, Head, finder, head_of, n_checkpoints, percent, with_interval
from rareneurons.claims.needs import Sample, more_documents
from rareneurons.claims.over_training import (
    followed_back,
    follows_step,
    more_checkpoints,
    movement,
    times_to_follow_step,
    times_to_tell_movement,
)
from rareneurons.tables import FINAL_PREFIX

TAIL_CLAIM = Claim("C7", "Plateau neurons' weights have heavier-tailed spectra, increasingly so", "spectra", "hill")
SAMPLE = Sample("discovery documents")  # they choose the neurons
DISAGREE = "more models or seeds, to see whether their matrices disagree too: here one supports it, one contradicts it"


@dataclass(frozen=True)
class _Matrix:
    """What C7 finds in one weight matrix: the level at the last checkpoint, and how it changed, in short and more."""

    name: str
    verdict: Verdict
    level: Comparison
    change: str
    trend: str
    need: str


def tail_finding(tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> Finding:
    """C7: the paper's Hill exponent below that of matched groups at the last checkpoint, further and further."""
    claim, spectra, head = TAIL_CLAIM, tables[TAIL_CLAIM.table], head_of(tables, bounds)
    measures = spectra.loc[spectra["group"] == head.group, "measure"].unique()
    names = [name.split(".")[1] for name in measures if name.startswith("hill.") and name.endswith(".matched")]
    each = (_matrix_of(name, head, tables, bounds, len(names)) for name in names)
    found = [one for one in each if one is not None]
    where, bound = f"({head.group}, {bounds.condition})", -bounds.hill_reduction
    if not found:
        why = f"{head.words} have no row in tables/{claim.table}.csv"
        return unmeasured(f"{claim.measure} {where}", _rule(bounds), bound, why)
    verdict = _verdict([one.verdict for one in found])
    shown = next((one for one in found if one.verdict == verdict), found[0])
    undecided = [one for one in found if one.verdict == "undecided"]
    promising = [one for one in undecided if one.level.may_be_met] or undecided
    return Finding(
        verdict,
        f"{claim.measure}.{shown.name}.matched.difference over the matched mean {where}",
        _plain(shown, head),
        _rule(bounds),
        "; ".join(f"{one.name}: Hill exponent {one.level.told}; {one.change}{one.trend}" for one in found),
        "; or ".join(f"{one.name}: {one.need}" for one in promising) or DISAGREE,
        shown.level.relative,
        shown.level.p_value,
        head.size,
        bound,
    )


def _rule(bounds: Bounds) -> str:
    return (
        f"for each weight matrix, heavier-tailed if the adjusted p is at most {bounds.alpha:g} and the Hill exponent "
        f"below the matched groups' mean, not so if a reduction by {percent(bounds.hill_reduction)} of it is excluded "
        "and would lie outside the central 95 % of these groups; increasingly if the ratio of both falls with step "
        f"(intervals of change and rank correlation below zero, p at most {bounds.alpha:g} over the number of "
        "matrices), not so if its change excludes such a reduction. Supported if both hold for one matrix and neither "
        f"fails for another; contradicted if one fails for every matrix; {FAMILY}; n counts neurons"
    )


def _verdict(verdicts: list[Verdict]) -> Verdict:
    if "supported" in verdicts and "contradicted" not in verdicts:
        return "supported"
    return "contradicted" if set(verdicts) == {"contradicted"} else "undecided"


def _plain(shown: _Matrix, head: Head) -> str:
    relative = shown.level.relative
    if not np.isfinite(relative["value"]):
        return f"the {shown.name} weights of {head.words} have no tail exponent: {shown.level.told}"
    below = relative["value"] < 0
    return (
        f"in the spectrum of their {shown.name} weights, {head.words} have a tail exponent "
        f"{percent(abs(relative['value']))} {'below' if below else 'above'} that of matched groups, a "
        f"{'heavier' if below else 'lighter'} tail (95 % interval {percent(relative['ci_low'], '+')} to "
        f"{percent(relative['ci_high'], '+')}; adjusted p = {shown.level.p_value:.2g}), and {shown.change}"
    )


def _matrix_of(
    name: str, head: Head, tables: Mapping[str, pd.DataFrame], bounds: Bounds, n_matrices: int
) -> _Matrix | None:
    """C7 on one weight matrix; None where nothing is measured."""
    measure, condition, reduction = f"{TAIL_CLAIM.measure}.{name}.matched", bounds.condition, bounds.hill_reduction
    level = below_matched(
        finder(head.group, measure, tables["spectra"], condition), head, bounds.alpha, reduction, SAMPLE
    )
    if level is None:
        return None

    def ratio(group: str) -> Finder:
        return finder(group, f"{measure}.ratio", tables["dynamics"], condition)

    find, alpha = ratio(head.group), bounds.alpha / n_matrices
    moved, change, trend = movement(find, -1, reduction), find(".change"), find(".trend")
    increasing = trend is not None and moved == "yes" and follows_step(trend, -1, alpha)
    verdict: Verdict = "undecided"
    if level.answer == "contradicted" or moved == "none":
        verdict = "contradicted"
    elif level.answer == "supported" and increasing:
        verdict = "supported"
    needs = [] if level.answer == "supported" else [level.need]
    if change is None or trend is None:
        needs += more_checkpoints(None, -1, alpha, bounds.permutations, n_checkpoints(tables["audit"]))
        return _Matrix(name, verdict, level, "its course is not known at four checkpoints", "", "; and ".join(needs))
    moving = 1.0 if moved == "yes" else times_to_tell_movement(change, -1, reduction)
    times = max(moving, times_to_follow_step(trend, -1))
    needs += [more_documents(times, SAMPLE)] if times != 1 else []
    needs += more_checkpoints(trend, -1, alpha, bounds.permutations, int(trend["n"]))
    changed = f"the ratio of both changed by {with_interval(change)} over {change['n']:.0f} checkpoints"
    final = followed_back(ratio(f"{FINAL_PREFIX}{head.group}"))
    trending = f", rank correlation with step {with_interval(trend)}, p = {trend['p_value']:.2g}{final}"
    return _Matrix(name, verdict, level, changed, trending, "; and ".join(needs))
