"""Coordination of a checkpoint's groups: every measure with its interval, its controls and its test."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from rareneurons.coordination.measures import (
    BETWEEN,
    MEASURES,
    ROW_MEASURES,
    between_measures,
    dimensions,
    group_measures,
    independent_quantiles,
    measure_of,
    pair_mean,
    row_measures,
)
from rareneurons.coordination.similarity import Activity, Moments, Similarities, activity, correlations, similarities
from rareneurons.evidence import Evidence, Measured
from rareneurons.groups import CONTROL_KINDS, SMALLEST_GROUP, ControlledGroup, ControlledGroups
from rareneurons.stats import against_controls, frame_of_tests, percentile_interval
from rareneurons.tables import DIFFERENCE, FINAL_PREFIX, Draws, Estimate, beside_controls, draws_frame

ROWS = "rows_"  # begins the name of a part of the rows; their number follows
OUTPUT_WEIGHTS = "w_out"  # the part of measures of weights instead of activations
WEIGHT_MEASURES = ("effective_dimension", "participation_ratio", "mean_cosine")
RANDOM, MATCHED, _ = CONTROL_KINDS
# The group that each group is compared with besides random neurons. Groups of opposite signs share no neuron.
PARTNERS = {
    "plateau": "suppress_plateau",
    "top_33": "suppress_plateau",
    "selective_33": "suppress_plateau",
    "suppress_plateau": "plateau",
}


@dataclass(frozen=True)
class CoordinationSettings:
    """How much is computed.

    ``row_shares``: the dimension is also measured on one part in that many of the rows. ``resampled_controls``: number
    of matched control groups that are bootstrapped together with the group.
    """

    row_shares: Sequence[int] = (8, 4, 2)
    resampled_controls: int = 8


def coordination_estimates(
    evidence: Evidence, groups: ControlledGroups, settings: CoordinationSettings, rng: np.random.Generator
) -> Measured:
    """Coordination of groups on held-out activations of both conditions, and of their output weights.

    Args:
        evidence: ``rows``, ``activation``, ``last_layer`` (``output_weight``), and the bootstrap ``weights`` of the
            held-out documents of each condition. Measures of weights are listed at the condition that neurons were
            chosen on.
        groups: the groups with their controls.
        settings: how much is computed.
        rng: draws the order of rows and the null of parallel analysis.

    Returns:
        The table as :func:`activation_coordination` and :func:`weight_coordination` describe it, with adjusted
        p-values, and the draws of the measures within a group.
    """
    estimates, draws = [], []
    for condition in evidence.conditions:
        activation, document = evidence.at(condition, "heldout")
        weights = evidence.weights[f"{condition}/heldout"]
        found, drawn = activation_coordination(activation, document, groups, weights, settings, rng)
        estimates += [(condition, *each) for each in found]
        draws += [(condition, *each) for each in drawn]
    found = weight_coordination(evidence.last_layer["output_weight"], groups)
    estimates += [(evidence.chosen_on, *each) for each in found]
    name = evidence.checkpoint
    return Measured(frame_of_tests(name, estimates), draws_frame(name, draws))


def paper_table(coordination: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 1: groups by measures, as :func:`beside_controls` lays them out.

    Args:
        coordination: the measure's table over models and checkpoints. Measures of parts of the rows are left out.
    """
    return beside_controls(coordination[~coordination["part"].str.startswith(ROWS)], CONTROL_KINDS)


def why_unknown(activation: np.ndarray, members: np.ndarray, rows: str = "rows") -> str:
    """Why the coordination of a group cannot be measured on activations (T, N); empty if it can.

    ``rows`` is the word for what the T entries of a neuron are.
    """
    n_rows, n = len(activation), len(members)
    if n < SMALLEST_GROUP:
        return f"{n} neurons, at least {SMALLEST_GROUP} are needed"
    if n_rows <= n:
        return f"{n_rows} {rows} for {n} neurons, more {rows} than neurons are needed"
    mine = activation[:, members]
    n_constant = int((mine.max(0) == mine.min(0)).sum())
    return f"{n_constant} of {n} neurons are constant on these {rows}" if n_constant else ""


def _compared(
    values: Mapping[str, float],
    draws: Mapping[str, np.ndarray],
    nulls: Mapping[str, Mapping[str, np.ndarray]],
    n_rows: int,
    part: str = "",
) -> list[Estimate]:
    """Every measure compared with every kind of controls."""
    found = []
    for name, value in values.items():
        measure = measure_of(name)
        for kind, null in nulls.items():
            reason = "" if len(null[name]) else f"no {kind} controls: too few other neurons"
            estimate = Estimate(name, value, measure.unit, n_rows, reason=reason, part=part, against=kind)
            found.append(against_controls(estimate, draws.get(name, []), null[name], measure.alternative))
    return found


def _unknown(names: Iterable[str], kinds: Sequence[str], n: int, reason: str, part: str = "") -> list[Estimate]:
    return [
        Estimate(name, float("nan"), measure_of(name).unit, n, reason=reason, part=part, against=kind)
        for name in names
        for kind in kinds
    ]


def _differences(
    values: Mapping[str, float], null: Mapping[str, np.ndarray], draws: Mapping[str, np.ndarray], n_rows: int
) -> tuple[list[Estimate], list[Draws]]:
    """Each measure of the group less its mean over the matched controls, with the same documents drawn for both.

    Fewer distinct rows lower a dimension, in the group and in its controls. So the interval of the difference is fair,
    and that of the group's own value is not. The mean over all controls (``null``, (m,)) is taken to move as the mean
    of the few resampled ones does (``draws``, (B, 1 + few), the group in front).
    """
    found, gaps = [], []
    for name, value in values.items():
        few = null[name][: draws[name].shape[1] - 1]
        difference = value - float(null[name].mean())
        moved = difference + (draws[name][:, 0] - value - (draws[name][:, 1:] - few).mean(1))
        numbers = difference, measure_of(name).unit, n_rows, *percentile_interval(moved)
        found.append(Estimate(name, *numbers, quantity=DIFFERENCE, against=MATCHED))
        gaps.append(Draws(name, moved, quantity=DIFFERENCE, against=MATCHED))
    return found, gaps


@dataclass(frozen=True)
class _HeldoutRows:
    """The held-out rows of a condition, and what is computed once for all groups."""

    activity: Activity
    similar: Similarities
    document: np.ndarray  # (T,) 0, 1, ...
    weights: np.ndarray  # (B, documents) of the bootstrap draws

    @property
    def n(self) -> int:
        return len(self.document)

    def resampled(self, neurons: np.ndarray) -> Iterator[Similarities]:
        """Similarities of neurons (n,) or of groups (G, n) in each draw."""
        mine = self.activity.of(neurons)
        for weights in self.weights:
            counted = weights[self.document]
            drawn = np.flatnonzero(counted)
            yield similarities(mine.moments(drawn, counted[drawn]))


def _nested_moments(
    active: Activity, n_rows: int, shares: Sequence[int], rng: np.random.Generator
) -> Iterator[tuple[int, Moments]]:
    """Moments of random parts of the rows, each within the next, and then of all rows. Every row is read once."""
    order = rng.permutation(n_rows)
    edges = [*sorted({n_rows // share for share in shares} - {0}), n_rows]
    moments = active.moments(order[: edges[0]])
    yield edges[0], moments
    for first, last in pairwise(edges):
        moments += active.moments(order[first:last])
        yield last, moments


def _within_estimates(
    rows: _HeldoutRows, group: ControlledGroup, quantiles: np.ndarray, n_resampled: int
) -> tuple[list[Estimate], list[Draws]]:
    """The measures within a group, their differences to the matched controls, and the draws of both."""
    members, controls = group.members, group.controls
    values = {k: float(v[0]) for k, v in group_measures(rows.similar.within(members[None]), quantiles).items()}
    nulls = {kind: group_measures(rows.similar.within(drawn), quantiles) for kind, drawn in controls.items()}
    known = np.isfinite(nulls[MATCHED]["mean_correlation"])  # controls without a constant neuron
    together = np.vstack([members[None], controls[MATCHED][known][:n_resampled]])
    by_draw = [group_measures(similar, quantiles) for similar in rows.resampled(together)]
    draws = {name: np.array([draw[name] for draw in by_draw]) for name in values}
    own = {name: draw[:, 0] for name, draw in draws.items()}
    found = _compared(values, own, nulls, rows.n)
    kept = [Draws(name, draw) for name, draw in own.items()]
    if not known.any():
        return found, kept
    matched = {name: null[known] for name, null in nulls[MATCHED].items()}
    differences, gaps = _differences(values, matched, draws, rows.n)
    return found + differences, kept + gaps


def _part_estimates(correlation: np.ndarray, n_rows: int, groups: ControlledGroups) -> list[tuple[str, Estimate]]:
    """The ``ROW_MEASURES`` on a part of the rows, without interval and p: they only show the effect of the rows."""
    found = []
    for name, group in groups.items():
        members, why_not = group.members, ""
        if n_rows <= len(members):
            why_not = f"{n_rows} rows for {len(members)} neurons, more rows than neurons are needed"
        mine = row_measures(correlation[np.ix_(members, members)][None])
        for kind, drawn in group.controls.items():
            null = row_measures(correlation[drawn[:, :, None], drawn[:, None, :]])
            for measure in ROW_MEASURES:
                value = float("nan") if why_not else float(mine[measure][0])
                reason = why_not or ("" if np.isfinite(value) else "a neuron is constant on these rows")
                unit, alternative = measure_of(measure).unit, measure_of(measure).alternative
                estimate = Estimate(measure, value, unit, n_rows, reason=reason, part=f"{ROWS}{n_rows}", against=kind)
                compared = against_controls(estimate, [], [] if reason else null[measure], alternative)
                found.append((name, replace(compared, p_value=float("nan"))))
    return found


def _between_estimates(
    rows: _HeldoutRows, members: np.ndarray, controls: Mapping[str, np.ndarray], partner: str, other: np.ndarray
) -> list[Estimate]:
    """The measures between a group and its partner's neurons, with the controls in the group's place."""

    def measured(similar: Similarities, groups: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
        return between_measures(similar, groups, others, with_angle=partner != RANDOM)

    values = {name: float(value[0]) for name, value in measured(rows.similar, members[None], other).items()}
    nulls = {kind: measured(rows.similar, drawn, other) for kind, drawn in controls.items()}
    here = np.arange(len(members) + len(other))
    both = np.concatenate([members, other])
    by_draw = [measured(similar, here[None, : len(members)], here[len(members) :]) for similar in rows.resampled(both)]
    draws = {name: np.array([draw[name][0] for draw in by_draw]) for name in values}
    return _compared(values, draws, nulls, rows.n, partner)


def _between_names(partner: str) -> list[str]:
    """Random controls share neurons with a random partner, so there is no angle to it."""
    return [name for name in BETWEEN if partner != RANDOM or name != "subspace_angle"]


def _partners(name: str, groups: ControlledGroups) -> dict[str, tuple[np.ndarray, Mapping[str, np.ndarray]]]:
    """Partners of a group -> (the partner's neurons, the controls that take the group's place).

    The partner ``random`` is the first random control group; the other ones take the group's place. Groups that are
    tracked backwards have no partner.
    """
    if name.startswith(FINAL_PREFIX):
        return {}
    controls = groups[name].controls
    found = {}
    if PARTNERS.get(name) in groups:
        found[PARTNERS[name]] = groups[PARTNERS[name]].members, controls
    if len(controls.get(RANDOM, [])):
        rest = {kind: drawn[1:] if kind == RANDOM else drawn for kind, drawn in controls.items()}
        found[RANDOM] = controls[RANDOM][0], rest
    return found


def _partner_estimates(
    rows: _HeldoutRows, activation: np.ndarray, name: str, groups: ControlledGroups, reason: str
) -> list[Estimate]:
    """The measures between a group and each of its partners; ``reason``: why the group cannot be measured, if so."""
    found, group = [], groups[name]
    for partner, (other, controls) in _partners(name, groups).items():
        theirs = why_unknown(activation, other)
        why = reason or (f"{partner}: {theirs}" if theirs else "")
        if why:
            found += _unknown(_between_names(partner), list(group.controls), rows.n, why, partner)
        else:
            found += _between_estimates(rows, group.members, controls, partner, other)
    return found


def activation_coordination(
    activation: np.ndarray,
    document: np.ndarray,
    groups: ControlledGroups,
    weights: np.ndarray,
    settings: CoordinationSettings,
    rng: np.random.Generator,
) -> tuple[list[tuple[str, Estimate]], list[tuple[str, Draws]]]:
    """Coordination of groups on activations, with document-bootstrap intervals and empirical p-values.

    Args:
        activation: (T, N) held-out activations of all last-MLP neurons.
        document: (T,) document id of each row.
        groups: the groups with their controls.
        weights: (B, documents) how often each document, by rising id, occurs in each bootstrap draw.
        settings: how much is computed.
        rng: draws the order of rows and the null of parallel analysis.

    Returns:
        (group, estimate): each of ``MEASURES`` against each kind of controls (``n`` rows) and its ``difference`` to the
        matched controls; each of ``ROW_MEASURES`` on parts of the rows (part ``rows_<n>``); each measure ``BETWEEN``
        the group and a partner (part: the partner). NaN with a reason where a group is too small, rows are too few or
        a neuron is constant. And (group, draws (B,)) of the measures within a group and of their differences.
    """
    active, n_rows = activity(activation), len(activation)
    in_parts = {
        name: group
        for name, group in groups.items()
        if len(group.members) >= SMALLEST_GROUP and not name.startswith(FINAL_PREFIX)
    }
    found, draws = [], []
    for n, moments in _nested_moments(active, n_rows, settings.row_shares, rng):
        if n < n_rows:
            found += _part_estimates(correlations(moments), n, in_parts)
    _, place = np.unique(document, return_inverse=True)
    rows = _HeldoutRows(active, similarities(moments), place, weights)
    quantiles: dict[int, np.ndarray] = {}
    for name, group in groups.items():
        n = len(group.members)
        reason = why_unknown(activation, group.members)
        if reason:
            estimates = _unknown(MEASURES, list(group.controls), n_rows, reason)
        else:
            if n not in quantiles:
                quantiles[n] = independent_quantiles(n_rows, n, rng)
            estimates, drawn = _within_estimates(rows, group, quantiles[n], settings.resampled_controls)
            draws += [(name, each) for each in drawn]
        estimates += _partner_estimates(rows, activation, name, groups, reason)
        found += [(name, estimate) for estimate in estimates]
    return found, draws


def weight_coordination(output_weight: np.ndarray, groups: ControlledGroups) -> list[tuple[str, Estimate]]:
    """Dimension and mean cosine of groups' output weights.

    They are computed like the same measures of activations, with the d entries of a weight row in place of the rows.

    Args:
        output_weight: (N, d) rows of the last MLP's output projection.
        groups: the groups with their controls.

    Returns:
        (group, estimate) of ``WEIGHT_MEASURES``, part ``w_out``, without intervals. ``n`` is d.
    """
    entries = output_weight.T
    similar = similarities(activity(entries).moments(np.arange(len(entries))))

    def measured(drawn: np.ndarray) -> dict[str, np.ndarray]:
        within = similar.within(drawn)
        return {**dimensions(within.correlation), "mean_cosine": pair_mean(within.cosine)}

    found = []
    for name, group in groups.items():
        reason = why_unknown(entries, group.members, "dimensions")
        if reason:
            kinds = list(group.controls)
            estimates = _unknown(WEIGHT_MEASURES, kinds, len(entries), reason, OUTPUT_WEIGHTS)
        else:
            mine = measured(group.members[None])
            values = {measure: float(mine[measure][0]) for measure in WEIGHT_MEASURES}
            nulls = {kind: measured(drawn) for kind, drawn in group.controls.items()}
            estimates = _compared(values, {}, nulls, len(entries), OUTPUT_WEIGHTS)
        found += [(name, estimate) for estimate in estimates]
    return found
