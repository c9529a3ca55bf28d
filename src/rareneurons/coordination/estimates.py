"""Coordination of a checkpoint's groups: every measure with its interval, its controls and its test."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import pandas as pd

from rareneurons.conventions import WITHOUT_TYPES
from rareneurons.coordination.measures import (
    BETWEEN,
    COUNTS,
    MEASURES,
    OUTSIDE,
    ROW_MEASURES,
    between_measures,
    dimensions,
    group_measures,
    independent_quantiles,
    measure_of,
    negative_correlation,
    pair_mean,
    row_measures,
)
from rareneurons.coordination.similarity import (
    Activity,
    Moments,
    Similarities,
    activity,
    correlations,
    correlations_without,
    similarities,
)
from rareneurons.evidence import Evidence, Measured
from rareneurons.groups import CONTROL_KINDS, SMALLEST_GROUP, ControlledGroup, ControlledGroups, why_no_controls
from rareneurons.stats import (
    Jackknife,
    against_controls,
    against_permuted,
    document_blocks,
    frame_of_tests,
    percentile_interval,
)
from rareneurons.tables import DIFFERENCE, FINAL_PREFIX, Draws, Estimate, beside_controls, draws_frame

ROWS = "rows_"  # begins the name of a part of the rows; their number follows
OTHER_NEURONS = "other_neurons"  # the part of measures between a group and all other neurons of the layer
OUTPUT_WEIGHTS = "w_out"  # the part of measures of weights instead of activations
WEIGHT_MEASURES = ("effective_dimension", "participation_ratio", "mean_cosine")
RANDOM, MATCHED, SHUFFLED = CONTROL_KINDS
COMPARED = (MATCHED, SHUFFLED)  # kinds of controls that differences are taken from
PERMUTED = "permuted"
UNKNOWN = float("nan"), float("nan")
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
    of control groups of a kind that are measured without each block of documents, together with the group.
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
        coordination: the measure's table over models and checkpoints. Measures of parts of the rows, and groups chosen
            without known types, are left out.
    """
    left_out = coordination["part"].str.startswith(ROWS) | coordination["group"].isin(WITHOUT_TYPES.values())
    return beside_controls(coordination[~left_out], CONTROL_KINDS)


def is_own(group: str) -> bool:
    """Whether a group was chosen at the checkpoint, among all neurons; others have the measures within a group alone.

    Others are tracked backwards, or chosen without neurons of known types.
    """
    return not group.startswith(FINAL_PREFIX) and group not in WITHOUT_TYPES.values()


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
    intervals: Mapping[str, tuple[float, float]],
    group: ControlledGroup,
    nulls: Mapping[str, Mapping[str, np.ndarray]],
    n_rows: int,
    part: str = "",
) -> list[Estimate]:
    """Every measure compared with every kind of controls, and with the permuted groups behind the p of matched ones."""
    found = []
    for name, value in values.items():
        measure, (low, high) = measure_of(name), intervals.get(name, UNKNOWN)
        for kind in group.controls:
            null = nulls[kind][name]
            reason = "" if len(null) else why_no_controls(kind)
            estimate = Estimate(name, value, measure.unit, n_rows, reason=reason, part=part, against=kind)
            tested = against_controls(estimate, [], null, measure.alternative)
            if kind == MATCHED and PERMUTED in nulls:
                tested = against_permuted(tested, nulls[PERMUTED][name], group.share_permuted, measure.alternative)
            found.append(replace(tested, ci_low=low, ci_high=high))
    return found


def _null_groups(group: ControlledGroup) -> dict[str, np.ndarray]:
    """Every group that a group is compared with, by kind."""
    return {**group.controls, **({PERMUTED: group.permuted} if len(group.permuted) else {})}


def _unknown(names: Iterable[str], kinds: Sequence[str], n: int, reason: str, part: str = "") -> list[Estimate]:
    return [
        Estimate(name, float("nan"), measure_of(name).unit, n, reason=reason, part=part, against=kind)
        for name in names
        for kind in kinds
    ]


@dataclass(frozen=True)
class _HeldoutRows:
    """The held-out rows of a condition, and what is computed once for all groups."""

    activity: Activity
    moments: Moments
    similar: Similarities
    document: np.ndarray  # (T,) 0, 1, ...
    weights: np.ndarray  # (B, documents) of the bootstrap draws

    @property
    def n(self) -> int:
        return len(self.document)

    def resampled(self, neurons: np.ndarray) -> Iterator[Similarities]:
        """Similarities of neurons (n,) in each draw."""
        mine = self.activity.of(neurons)
        for weights in self.weights:
            counted = weights[self.document]
            drawn = np.flatnonzero(counted)
            yield similarities(mine.moments(drawn, counted[drawn]))

    def jackknifed(self, groups: np.ndarray, quantiles: np.ndarray) -> dict[str, np.ndarray]:
        """Measures of groups (G, n) with each block of documents left out, (blocks, G) each."""
        mine, block = self.activity.of(groups), document_blocks(self.weights.shape[1])[self.document]
        parts = [mine.moments(np.flatnonzero(block == one)) for one in range(block.max() + 1)]
        whole = reduce(add, parts)
        left = [group_measures(similarities(whole - part), quantiles) for part in parts]
        return {name: np.array([each[name] for each in left]) for name in MEASURES if name not in COUNTS}

    def outside_jackknifed(self, groups: np.ndarray) -> np.ndarray:
        """Negative correlation of groups (G, n), the measured one first, with each block left out, (blocks, G)."""
        neurons, place = np.unique(groups, return_inverse=True)
        block = document_blocks(self.weights.shape[1])[self.document]
        left = [
            correlations_without(self.moments, self.activity, neurons, np.flatnonzero(block == one))
            for one in range(block.max() + 1)
        ]
        return np.array([negative_correlation(each, groups, groups[0], place.reshape(groups.shape)) for each in left])


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
    """The measures within a group, their differences to matched and shuffled groups, and the draws of both.

    The mean over all controls is taken to move as the mean of the ``n_resampled`` first ones does.
    """
    values = {k: float(v[0]) for k, v in group_measures(rows.similar.within(group.members[None]), quantiles).items()}
    nulls = {k: group_measures(rows.similar.within(drawn), quantiles) for k, drawn in _null_groups(group).items()}
    # Controls without a constant neuron.
    known = {kind: np.isfinite(nulls[kind]["mean_correlation"]) for kind in COMPARED if kind in group.controls}
    few = {kind: group.controls[kind][mine][:n_resampled] for kind, mine in known.items() if mine.any()}
    left_out = rows.jackknifed(np.vstack([group.members[None], *few.values()]), quantiles)
    own = {name: Jackknife.of(left[:, 0]) for name, left in left_out.items()}
    found = _compared(values, {k: one.interval(values[k]) for k, one in own.items()}, group, nulls, rows.n)
    draws = [Draws(name, one.draws(values[name], rows.weights)) for name, one in own.items()]
    first = 1
    for kind, drawn in few.items():
        here = slice(first, first := first + len(drawn))
        for name, value in values.items():
            difference = value - float(nulls[kind][name][known[kind]].mean())
            interval = UNKNOWN
            if name in left_out:
                moved = Jackknife.of(left_out[name][:, 0] - left_out[name][:, here].mean(1))
                interval = moved.interval(difference)
                draws.append(Draws(name, moved.draws(difference, rows.weights), quantity=DIFFERENCE, against=kind))
            numbers = difference, measure_of(name).unit, rows.n, *interval
            found.append(Estimate(name, *numbers, quantity=DIFFERENCE, against=kind))
    return found, draws


def _outside_estimates(rows: _HeldoutRows, group: ControlledGroup, n_resampled: int) -> list[Estimate]:
    """The measures ``OUTSIDE``, with differences and intervals as for the measures within a group."""
    (name,) = OUTSIDE
    own, matrix = group.members, rows.similar.correlation
    value = float(negative_correlation(matrix, own[None], own)[0])
    nulls = {kind: negative_correlation(matrix, drawn, own) for kind, drawn in _null_groups(group).items()}
    known = {kind: np.isfinite(nulls[kind]) for kind in COMPARED if kind in group.controls}
    few = {kind: group.controls[kind][mine][:n_resampled] for kind, mine in known.items() if mine.any()}
    left_out = rows.outside_jackknifed(np.vstack([group.members[None], *few.values()]))
    interval = Jackknife.of(left_out[:, 0]).interval(value)
    by_kind = {kind: {name: null} for kind, null in nulls.items()}
    found = _compared({name: value}, {name: interval}, group, by_kind, rows.n, OTHER_NEURONS)
    first = 1
    for kind, drawn in few.items():
        here = slice(first, first := first + len(drawn))
        difference = value - float(nulls[kind][known[kind]].mean())
        moved = Jackknife.of(left_out[:, 0] - left_out[:, here].mean(1)).interval(difference)
        numbers = difference, measure_of(name).unit, rows.n, *moved
        found.append(Estimate(name, *numbers, part=OTHER_NEURONS, quantity=DIFFERENCE, against=kind))
    return found


def _part_estimates(correlation: np.ndarray, n_rows: int, groups: ControlledGroups) -> list[tuple[str, Estimate]]:
    """The ``ROW_MEASURES`` on a part of the rows, without interval and p: they only show the effect of the rows."""
    found = []
    for name, group in groups.items():
        members, why_not = group.members, ""
        if n_rows <= len(members):
            why_not = f"{n_rows} rows for {len(members)} neurons, more rows than neurons are needed"
        mine = row_measures(correlation[np.ix_(members, members)][None])
        for kind in (RANDOM, MATCHED):
            drawn = group.controls.get(kind, np.empty((0, len(members)), dtype=np.int64))
            null = row_measures(correlation[drawn[:, :, None], drawn[:, None, :]])
            for measure in ROW_MEASURES:
                value = float("nan") if why_not else float(mine[measure][0])
                reason = why_not or ("" if np.isfinite(value) else "a neuron is constant on these rows")
                unit, alternative = measure_of(measure).unit, measure_of(measure).alternative
                estimate = Estimate(measure, value, unit, n_rows, reason=reason, part=f"{ROWS}{n_rows}", against=kind)
                compared = against_controls(estimate, [], [] if reason else null[measure], alternative)
                found.append((name, replace(compared, p_value=float("nan"))))
    return found


def _between_estimates(rows: _HeldoutRows, group: ControlledGroup, partner: str, other: np.ndarray) -> list[Estimate]:
    """The measures between a group and its partner's neurons, with the controls in the group's place."""

    def measured(similar: Similarities, groups: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
        return between_measures(similar, groups, others, with_angle=partner != RANDOM)

    members = group.members
    values = {name: float(value[0]) for name, value in measured(rows.similar, members[None], other).items()}
    nulls = {kind: measured(rows.similar, drawn, other) for kind, drawn in _null_groups(group).items()}
    here = np.arange(len(members) + len(other))
    both = np.concatenate([members, other])
    by_draw = [measured(similar, here[None, : len(members)], here[len(members) :]) for similar in rows.resampled(both)]
    intervals = {name: percentile_interval(np.array([draw[name][0] for draw in by_draw])) for name in values}
    return _compared(values, intervals, group, nulls, rows.n, partner)


def _between_names(partner: str) -> list[str]:
    """Random controls share neurons with a random partner, so there is no angle to it."""
    return [name for name in BETWEEN if partner != RANDOM or name != "subspace_angle"]


def _partners(name: str, groups: ControlledGroups) -> dict[str, tuple[np.ndarray, ControlledGroup]]:
    """Partners of a group -> (the partner's neurons, the group with the controls that take its place).

    The partner ``random`` is the first random control group; the other ones take the group's place.
    """
    group, controls = groups[name], groups[name].controls
    found = {}
    if PARTNERS.get(name) in groups:
        found[PARTNERS[name]] = groups[PARTNERS[name]].members, group
    if len(controls.get(RANDOM, [])):
        rest = {kind: drawn[1:] if kind == RANDOM else drawn for kind, drawn in controls.items()}
        found[RANDOM] = controls[RANDOM][0], replace(group, controls=rest)
    return found


def _partner_estimates(
    rows: _HeldoutRows, activation: np.ndarray, name: str, groups: ControlledGroups, reason: str
) -> list[Estimate]:
    """The measures between a group and each of its partners; ``reason``: why the group cannot be measured, if so."""
    found, group = [], groups[name]
    for partner, (other, compared) in _partners(name, groups).items():
        theirs = why_unknown(activation, other)
        why = reason or (f"{partner}: {theirs}" if theirs else "")
        if why:
            found += _unknown(_between_names(partner), list(group.controls), rows.n, why, partner)
        else:
            found += _between_estimates(rows, compared, partner, other)
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
        (group, estimate): each of ``MEASURES`` with each kind of controls (``n`` rows) and its ``difference`` from the
        matched controls; each of ``ROW_MEASURES`` on parts of the rows (part ``rows_<n>``); each measure ``BETWEEN``
        the group and a partner (part: the partner); ``OUTSIDE`` the group (part ``other_neurons``). NaN
        with a reason where a group is too small, rows are too few or
        a neuron is constant. And (group, draws (B,)) of the measures within a group and of their differences.
    """
    active, n_rows = activity(activation), len(activation)
    in_parts = {name: group for name, group in groups.items() if len(group.members) >= SMALLEST_GROUP and is_own(name)}
    found, draws = [], []
    for n, moments in _nested_moments(active, n_rows, settings.row_shares, rng):
        if n < n_rows:
            found += _part_estimates(correlations(moments), n, in_parts)
    _, place = np.unique(document, return_inverse=True)
    rows = _HeldoutRows(active, moments, similarities(moments), place, weights)
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
        if is_own(name):
            estimates += _partner_estimates(rows, activation, name, groups, reason)
            estimates += (
                _unknown(OUTSIDE, list(group.controls), n_rows, reason, OTHER_NEURONS)
                if reason
                else _outside_estimates(rows, group, settings.resampled_controls)
            )
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
            nulls = {kind: measured(drawn) for kind, drawn in _null_groups(group).items()}
            estimates = _compared(values, {}, group, nulls, len(entries), OUTPUT_WEIGHTS)
        found += [(name, estimate) for estimate in estimates]
    return found
