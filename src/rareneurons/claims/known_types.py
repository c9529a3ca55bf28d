"""S1: are the top neurons the token-frequency and entropy neurons that are known? C8s and C3s: C8 and C3 without these.

Both types are those of Stolfo et al. 2024 (arXiv 2406.16254), as ``known_types.declared`` declares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict, unmeasured
from rareneurons.claims.dimension import decide_dimension
from rareneurons.claims.interval import Interval
from rareneurons.claims.premise import with_premise
from rareneurons.claims.requirements import Measurable, Option, more_documents
from rareneurons.claims.selectivity import decide_selectivity, selected_group
from rareneurons.claims.view import Tables, TopGroup, View
from rareneurons.conventions import SELECTIVE, TOP
from rareneurons.joint.measures import DELTA_LOSS, HALF, LESS_TYPES
from rareneurons.known_types.declared import ENTROPY, FREQUENCY, KNOWN_TYPE
from rareneurons.tables import RATIO, VALUE

TABLE, PROPERTIES = "joint", "neuron_types"
THROUGH = ("frequency_share", "norm_share")  # of a neuron's effect, which passes through a type's mechanism
WITHOUT = "C8s"  # the claim that is the premise of C3s


@dataclass(frozen=True)
class OfGroup:
    """What is known of a group.

    ``remaining``: share of its joint effect that its neurons of no known type have, on ``n`` rows; ``p_value``:
    two-sided, of one half. ``means``: property -> its mean over the group, the mean of the control groups and the
    two-sided p; of a type the mean is the share of its neurons.
    """

    neurons: TopGroup
    remaining: Interval
    p_value: float
    n: float
    means: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True)
class KnownTypes:
    """Evidence: both groups, and which of them the verdict is about."""

    groups: tuple[OfGroup, ...]
    shown: OfGroup


def decide_known_types(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """S1: do the group's neurons that are of no known type have less than half of its joint effect, or more?"""
    name = view.group or view.selected or TOP
    statistic = Statistic(DELTA_LOSS, name, view.condition, view.split, LESS_TYPES, RATIO)
    found = [each for each in (_of_group(one, tables, view) for one in dict.fromkeys((name, SELECTIVE, TOP))) if each]
    neurons = view.named_group(name, tables)
    if not found or found[0].neurons.name != name or np.isnan(found[0].remaining.value):
        number = _remaining(name, tables, view)
        reason = "" if number is None else str(number["reason"])
        return unmeasured(statistic, HALF, neurons, reason, "" if reason else TABLE)
    shown = found[0]
    verdict: Verdict = "undecided"
    if shown.p_value <= bounds.alpha:
        verdict = "supported" if shown.remaining.value < HALF else "contradicted"
    return Decision(
        verdict,
        statistic,
        KnownTypes(tuple(found), shown),
        (_option(shown),),
        shown.remaining,
        shown.p_value,
        shown.n,
        bound=HALF,
        neurons=neurons,
    )


def _remaining(group: str, tables: Tables, view: View) -> pd.Series | None:
    return view.finder(tables[TABLE], group, DELTA_LOSS, LESS_TYPES)(RATIO)


def _of_group(name: str, tables: Tables, view: View) -> OfGroup | None:
    number = _remaining(name, tables, view)
    if number is None:
        return None
    means = {}
    for measure in (KNOWN_TYPE, ENTROPY, FREQUENCY, *THROUGH):
        row = view.finder(tables[PROPERTIES], name, measure, against=view.controls)(VALUE)
        if row is not None:
            means[measure] = float(row["value"]), float(row["null_mean"]), float(row["p_value"])
    p_value, n = float(number["p_value"]), float(number["n"])
    return OfGroup(view.named_group(name, tables), Interval.of(number), p_value, n, means)


def _option(shown: OfGroup) -> Option:
    """Documents that tell the share from one half, or a group that has an effect at all."""
    if not shown.remaining.is_known or shown.remaining.standard_error == 0:
        chance = f"ablating the group does not raise the loss by more than chance (p = {shown.p_value:.2g})"
        return Option((Measurable(chance),))
    return Option((more_documents(shown.remaining, "heldout", shown.n, above=HALF, below=HALF),))


def decide_selectivity_without_types(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C8s: the rule of C8 on groups chosen among neurons of no known type."""
    return decide_selectivity(tables, replace(view, group=None, without_types=True), bounds)


def decide_dimension_without_types(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C3s: the rule of C3 on the group that C8s finds, or on the most influential neurons of no known type."""
    found = decide_selectivity_without_types(tables, view.premise or view, bounds)
    mine = replace(view, group=None, without_types=True, selected=selected_group(found))
    return with_premise(decide_dimension(tables, mine, bounds), found, WITHOUT)
