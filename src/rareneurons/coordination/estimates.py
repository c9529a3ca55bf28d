"""Coordination of a checkpoint's groups: every measure with its interval and its controls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from rareneurons.coordination.measures import (
    MEASURES,
    RANDOM,
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
from rareneurons.groups import SMALLEST_GROUP, Controlled
from rareneurons.stats import against_controls, percentile_interval
from rareneurons.tables import FINAL_PREFIX, Estimate, beside_controls

ROW_SHARES = (8, 4, 2)  # an eighth, a quarter, half of the rows
WEIGHT_MEASURES = ("effective_dimension", "participation_ratio", "mean_cosine")
RESAMPLED_CONTROLS = 8  # controls that are bootstrapped together with the group
# Whom a group is compared with besides random neurons; neurons of the other sign have no neuron in common with it.
PARTNERS = {"plateau": "suppress_plateau", "fixed_plateau": "suppress_plateau", "suppress_plateau": "plateau"}


def why_unknown(activation: np.ndarray, members: np.ndarray) -> str:
    """Why a group's coordination cannot be told from these activations (T, N); empty where it can."""
    n_rows, n = len(activation), len(members)
    if n < SMALLEST_GROUP:
        return f"{n} neurons, at least {SMALLEST_GROUP} are needed"
    if n_rows <= n:
        return f"{n_rows} rows for {n} neurons, more rows than neurons are needed"
    mine = activation[:, members]
    n_constant = int((mine.max(0) == mine.min(0)).sum())
    return f"{n_constant} of {n} neurons are constant on these rows" if n_constant else ""


def _held_against(
    values: Mapping[str, float],
    draws: Mapping[str, np.ndarray],
    nulls: Mapping[str, Mapping[str, np.ndarray]],
    n_rows: int,
) -> list[Estimate]:
    """``<measure>.<kind>`` and its ``.null_mean`` for every measure and kind of controls."""
    found = []
    for name, value in values.items():
        measure = measure_of(name)
        for kind, null in nulls.items():
            reason = "" if len(null[name]) else f"no {kind} controls: too few other neurons"
            estimate = Estimate(f"{name}.{kind}", value, measure.unit, n_rows, reason=reason)
            found += against_controls(estimate, draws.get(name, []), null[name], measure.alternative)
    return found


def _unknown(names: Sequence[str], kinds: Sequence[str], n: int, reason: str) -> list[Estimate]:
    return [
        Estimate(f"{name}.{kind}", float("nan"), measure_of(name).unit, n, reason=reason)
        for name in names
        for kind in kinds
    ]


def _differences(
    values: Mapping[str, float], null: Mapping[str, np.ndarray], draws: Mapping[str, np.ndarray], n_rows: int
) -> tuple[list[Estimate], dict[str, np.ndarray]]:
    """``<measure>.matched.difference``: the group less the mean of its controls, the same documents drawn for both.

    Fewer distinct rows lower a dimension, in the group and in its controls, so that the difference has a fair interval
    and the group's own has not. The mean over all controls (``null``, (m,)) moves as the first few do (``draws``,
    (B, 1 + few), the group in front). Estimates, and their draws by measure.
    """
    found, gaps = [], {}
    for name, value in values.items():
        few = null[name][: draws[name].shape[1] - 1]
        difference = value - float(null[name].mean())
        moved = draws[name][:, 0] - value - (draws[name][:, 1:] - few).mean(1)
        gaps[f"{name}.matched.difference"] = difference + moved
        low, high = percentile_interval(difference + moved)
        found.append(Estimate(f"{name}.matched.difference", difference, measure_of(name).unit, n_rows, low, high))
    return found, gaps


@dataclass(frozen=True)
class _Rows:
    """The held-out rows of a condition: what is computed once, for all groups."""

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


def _nested_moments(active: Activity, n_rows: int, rng: np.random.Generator) -> Iterator[tuple[int, Moments]]:
    """Moments of random parts of the rows, each within the next, and last of all rows; every row is read once."""
    order = rng.permutation(n_rows)
    edges = [*sorted({n_rows // share for share in ROW_SHARES} - {0}), n_rows]
    moments = active.moments(order[: edges[0]])
    yield edges[0], moments
    for first, last in pairwise(edges):
        moments += active.moments(order[first:last])
        yield last, moments


def _within_estimates(
    rows: _Rows, members: np.ndarray, controls: Mapping[str, np.ndarray], quantiles: np.ndarray
) -> tuple[list[Estimate], dict[str, np.ndarray]]:
    """Estimates within a group, and bootstrap draws by measure."""
    values = {k: float(v[0]) for k, v in group_measures(rows.similar.within(members[None]), quantiles).items()}
    nulls = {kind: group_measures(rows.similar.within(drawn), quantiles) for kind, drawn in controls.items()}
    known = np.isfinite(nulls["matched"]["mean_correlation"])  # without a constant neuron
    together = np.vstack([members[None], controls["matched"][known][:RESAMPLED_CONTROLS]])
    by_draw = [group_measures(similar, quantiles) for similar in rows.resampled(together)]
    draws = {name: np.array([draw[name] for draw in by_draw]) for name in values}
    found = _held_against(values, {name: draw[:, 0] for name, draw in draws.items()}, nulls, rows.n)
    matched = {name: null[known] for name, null in nulls["matched"].items()}
    by_measure = {f"{name}.matched": draw[:, 0] for name, draw in draws.items()}
    if not known.any():
        return found, by_measure
    differences, gaps = _differences(values, matched, draws, rows.n)
    return found + differences, by_measure | gaps


def _row_estimates(correlation: np.ndarray, n_rows: int, groups: Controlled) -> list[tuple[str, Estimate]]:
    """``<measure>.rows_<n>.<kind>`` on a part of the rows: without interval and p, they only show what rows do."""
    found = []
    for group, (members, controls) in groups.items():
        reason = ""
        if n_rows <= len(members):
            reason = f"{n_rows} rows for {len(members)} neurons, more rows than neurons are needed"
        mine = row_measures(correlation[np.ix_(members, members)][None])
        for kind, drawn in controls.items():
            null = row_measures(correlation[drawn[:, :, None], drawn[:, None, :]])
            for name in ROW_MEASURES:
                value = float("nan") if reason else float(mine[name][0])
                why = reason or ("" if np.isfinite(value) else "a neuron is constant on these rows")
                estimate = Estimate(f"{name}.rows_{n_rows}.{kind}", value, measure_of(name).unit, n_rows, reason=why)
                completed, null_mean = against_controls(estimate, [], null[name], measure_of(name).alternative)
                found += [(group, replace(completed, p_value=float("nan")))]
                found += [] if why else [(group, null_mean)]
    return found


def _between_estimates(
    rows: _Rows, members: np.ndarray, controls: Mapping[str, np.ndarray], partner: str, other: np.ndarray
) -> list[Estimate]:
    def measured(similar: Similarities, groups: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
        return between_measures(similar, groups, partner, others)

    values = {name: float(value[0]) for name, value in measured(rows.similar, members[None], other).items()}
    nulls = {kind: measured(rows.similar, drawn, other) for kind, drawn in controls.items()}
    here = np.arange(len(members) + len(other))
    both = np.concatenate([members, other])
    by_draw = [measured(similar, here[None, : len(members)], here[len(members) :]) for similar in rows.resampled(both)]
    draws = {name: np.array([draw[name][0] for draw in by_draw]) for name in values}
    return _held_against(values, draws, nulls, rows.n)


def _between_names(partner: str) -> list[str]:
    names = [f"correlation_with_{partner}", f"cosine_with_{partner}"]
    return names if partner == RANDOM else [*names, f"angle_to_{partner}"]


def _partners(group: str, groups: Controlled) -> dict[str, tuple[np.ndarray, Mapping[str, np.ndarray]]]:
    """Groups that a group is compared with -> (their neurons, the controls that take the group's place).

    The first random control is the partner ``random``; the others take the group's place beside it. Groups that are
    followed back have no partner.
    """
    if group.startswith(FINAL_PREFIX):
        return {}
    _, controls = groups[group]
    found = {}
    if PARTNERS.get(group) in groups:
        found[PARTNERS[group]] = groups[PARTNERS[group]][0], controls
    if len(controls.get(RANDOM, [])):
        rest = {kind: drawn[1:] if kind == RANDOM else drawn for kind, drawn in controls.items()}
        found[RANDOM] = controls[RANDOM][0], rest
    return found


def activation_coordination(
    activation: np.ndarray, document: np.ndarray, groups: Controlled, weights: np.ndarray, rng: np.random.Generator
) -> tuple[list[tuple[str, Estimate]], list[tuple[str, str, np.ndarray]]]:
    """Coordination of groups on held-out activations, with document-bootstrap intervals and empirical p.

    Args:
        activation: (T, N) held-out activations of all last-MLP neurons.
        document: (T,) document id of each row.
        groups: name -> (neuron indices (n,), kind of controls -> neuron indices of each control group (m, n)).
        weights: (B, documents) how often each document, by rising id, occurs in each bootstrap draw. Give every
            checkpoint the same, so that a draw means the same documents at all of them.
        rng: draws the order of rows and the null of parallel analysis.

    Returns:
        (group, estimate): ``<measure>.<kind>`` (``n`` rows), ``<measure>.<kind>.null_mean`` with the central 95 % of
        the controls, ``<measure>.matched.difference``, and ``<measure>.rows_<n>.<kind>`` on parts of the rows. NaN
        with a reason where a group is too small, rows are too few or a neuron is constant. And (group, measure, draws
        (B,)) of the measures within a group.
    """
    active, n_rows = activity(activation), len(activation)
    by_rows = {
        name: value
        for name, value in groups.items()
        if len(value[0]) >= SMALLEST_GROUP and not name.startswith(FINAL_PREFIX)
    }
    found, draws = [], []
    for n, moments in _nested_moments(active, n_rows, rng):
        if n < n_rows:
            found += _row_estimates(correlations(moments), n, by_rows)
    similar = similarities(moments)
    _, place = np.unique(document, return_inverse=True)
    rows = _Rows(active, similar, place, weights)
    quantiles: dict[int, np.ndarray] = {}
    for group, (members, controls) in groups.items():
        n, kinds = len(members), list(controls)
        reason = why_unknown(activation, members)
        if reason:
            estimates = _unknown(list(MEASURES), kinds, n_rows, reason)
        else:
            if n not in quantiles:
                quantiles[n] = independent_quantiles(n_rows, n, rng)
            estimates, by_measure = _within_estimates(rows, members, controls, quantiles[n])
            draws += [(group, measure, values) for measure, values in by_measure.items()]
        for partner, (other, beside) in _partners(group, groups).items():
            theirs = why_unknown(activation, other)
            why = reason or (f"{partner}: {theirs}" if theirs else "")
            if why:
                estimates += _unknown(_between_names(partner), kinds, n_rows, why)
            else:
                estimates += _between_estimates(rows, members, beside, partner, other)
        found += [(group, estimate) for estimate in estimates]
    return found, draws


def weight_coordination(output_weight: np.ndarray, groups: Controlled) -> list[tuple[str, Estimate]]:
    """Dimension and mean cosine of groups' output weights, the twin of the same measures of activations.

    Args:
        output_weight: (N, d) rows of the last MLP's output projection; the d entries stand where rows stood.
        groups: as :func:`activation_coordination` takes them.

    Returns:
        (group, estimate): ``weight_<measure>.<kind>`` and ``.null_mean``, no interval. ``n`` is d.
    """
    entries = output_weight.T
    similar = similarities(activity(entries).moments(np.arange(len(entries))))

    def measured(drawn: np.ndarray) -> dict[str, np.ndarray]:
        within = similar.within(drawn)
        return {**dimensions(within.correlation), "mean_cosine": pair_mean(within.cosine)}

    found = []
    for group, (members, controls) in groups.items():
        reason = why_unknown(entries, members)
        if reason:
            estimates = _unknown(WEIGHT_MEASURES, list(controls), len(entries), reason.replace(" rows", " dimensions"))
        else:
            mine = measured(members[None])
            values = {name: float(mine[name][0]) for name in WEIGHT_MEASURES}
            nulls = {kind: measured(drawn) for kind, drawn in controls.items()}
            estimates = _held_against(values, {}, nulls, len(entries))
        found += [(group, replace(each, measure=f"weight_{each.measure}")) for each in estimates]
    return found


def paper_table(coordination: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 1: groups by measures, as :func:`beside_controls` lays them out.

    Args:
        coordination: the measure's table over models and checkpoints.
    """
    return beside_controls(coordination, "[a-z_]+")
