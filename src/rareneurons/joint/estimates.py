"""Joint ablation of a checkpoint's groups on held-out rows: effects with intervals, controls and tests."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch

from rareneurons.bands import rank_fraction_of
from rareneurons.conventions import MEASURED, SELECTIVE, TOP, WITHOUT_TYPES
from rareneurons.evidence import Evidence, Measured
from rareneurons.groups import SMALLEST_GROUP, ControlledGroups
from rareneurons.influence.at_rows import effects_at_rows
from rareneurons.joint.ablation import AblatedRows, JointEffects, joint_effects
from rareneurons.joint.excess import excess_over_controls
from rareneurons.joint.loss_by_frequency import DocumentMeans, loss_by_frequency, rows_of_tenths
from rareneurons.joint.matched_rows import matched_rows
from rareneurons.joint.measures import (
    CLEAN_LOSS,
    COMPARED,
    DELTA_LOSS,
    DIVERGENCE,
    HALF,
    INTERACTION,
    LESS_TYPES,
    MATCHED_ROWS,
    RANK_CHANGE,
    STANDARDISED,
    UNITS,
    WHOLE,
)
from rareneurons.models.last_layer import LastLayer
from rareneurons.regimes.curve import rank_curve
from rareneurons.rows import condition_names, in_condition
from rareneurons.stats import against_controls, bootstrap_p, document_weights, frame_of_tests, percentile_interval
from rareneurons.tables import DIFFERENCE, EXCESS, FINAL_PREFIX, RATIO, VALUE, Draws, Estimate, draws_frame

MATCHED = "matched"  # the kind of controls that doses have
PLATEAUS = tuple(name for name in MEASURED if name not in (TOP, SELECTIVE))
ALL_ROWS = "all"  # is the condition or the group where a number is about all held-out rows, or about no group

Row = tuple[str, str, Estimate]  # condition, group, estimate


def dose_part(size: int) -> str:
    """Part for the first ``size`` neurons of a group's order."""
    return f"dose_{size}"


@dataclass(frozen=True, kw_only=True)
class JointEvidence(Evidence):
    """The evidence, and what else joint ablation needs.

    ``residual`` (T, d): input of the final norm at each row; ``reference`` (N,) or (T, N): what ablation puts in place
    of the activations; ``rank_fraction`` (T,): of each row's target, NaN for a type without a count; ``orders``: name
    of a group -> neurons (n,) that begin with the group's own and go on beyond it, for the dose curve. ``weights`` has
    the key ``all/heldout``: of all documents with a held-out row.
    """

    residual: np.ndarray
    reference: np.ndarray
    rank_fraction: np.ndarray
    orders: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class JointSettings:
    """How much is computed.

    ``rows``: held-out rows of each condition, at most; ``pairs``: pairs of matched rows, at most; ``controls``: control
    groups of each kind, at most the first so many; ``doses``: numbers of neurons; ``caliper`` and ``position_bins``: of
    :func:`matched_rows`; ``tolerance``: largest certified error of a single neuron's effect, nats; ``device``,
    ``memory_bytes`` and ``progress``: of the computation.
    """

    rows: int = 2000
    pairs: int = 2000
    controls: int = 100
    doses: Sequence[int] = (1, 3, 10, 33, 100, 300)
    caliper: float = 0.1
    position_bins: int = 4
    tolerance: float = 1e-5
    device: str = "cpu"
    memory_bytes: int = 2 * 1024**3
    progress: Callable[[Iterable[Any]], Iterable[Any]] = field(default=iter)


def joint_evidence(
    evidence: Evidence,
    trace: Mapping[str, np.ndarray],
    reference: np.ndarray,
    frequencies: pd.DataFrame,
    orders: Mapping[str, np.ndarray],
    n_draws: int,
    rng: np.random.Generator,
) -> JointEvidence:
    """The evidence with what joint ablation needs.

    Args:
        evidence: with ``rows``, ``activation`` and ``last_layer``.
        trace: the arrays of :class:`Trace` by name.
        reference: (N,) or (T, N), what ablation puts in place of the activations.
        frequencies: as :func:`frequency_table` returns it.
        orders: as :func:`curve_of_doses` returns it.
        n_draws: bootstrap draws of held-out documents.
        rng: draws them.
    """
    rows = evidence.rows
    n_documents = rows.loc[rows["split"] == "heldout", "document"].nunique()
    return JointEvidence(
        **vars(evidence) | {"weights": {f"{ALL_ROWS}/heldout": document_weights(n_documents, n_draws, rng)}},
        residual=trace["residual"],
        reference=reference,
        rank_fraction=rank_fraction_of(rows["target"].to_numpy(), frequencies),
        orders=orders,
    )


def curve_of_doses(groups: ControlledGroups, influence: pd.DataFrame, condition: str) -> dict[str, np.ndarray]:
    """The order of a dose curve: boost neurons by falling influence on discovery rows.

    Args:
        groups: the groups.
        influence: the checkpoint's influence table.
        condition: what neurons are chosen on.

    Returns:
        Name of the largest group that is the top of this curve -> neurons (n,) of the curve; none without such a group.
    """
    chosen = influence[(influence["condition"] == condition) & (influence["split"] == "discovery")]
    chosen = chosen.sort_values("neuron")
    mean, mean_abs = chosen["mean_delta_loss"].to_numpy(), chosen["mean_abs_delta_loss"].to_numpy()
    order = rank_curve(mean, mean_abs, "boost").neuron
    tops = [
        name
        for name, group in groups.items()
        if not name.startswith(FINAL_PREFIX) and np.array_equal(group.members, order[: len(group.members)])
    ]
    return {max(tops, key=lambda name: len(groups[name].members)): order} if tops else {}


def evenly(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the row indices, evenly spaced, so that every checkpoint has the same."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]


@dataclass(frozen=True)
class _HeldoutRows:
    """Held-out rows, numbered from 0, and their parts by index."""

    rows: AblatedRows
    means: DocumentMeans
    pair: tuple[np.ndarray, np.ndarray]  # rows of each condition on which groups are measured
    matched: tuple[np.ndarray, np.ndarray]  # pairs of rows of both conditions that are alike in clean loss and position
    tenths: Mapping[str, np.ndarray]

    @property
    def measured(self) -> np.ndarray:
        """Rows that are in any of these, rising."""
        return np.unique(np.concatenate([*self.pair, *self.matched]))


@dataclass(frozen=True)
class _Set:
    """Neurons whose joint effect is wanted, and the controls that take their place: kind -> neurons (m, n)."""

    group: str
    part: str
    members: np.ndarray
    controls: Mapping[str, np.ndarray]


def _sets(evidence: JointEvidence, groups: ControlledGroups, settings: JointSettings) -> Iterator[_Set]:
    """Every group, the part of it that is of no known type, and the doses of those that have an order.

    Groups tracked backwards go without controls. Plateaus, which C8 does not look at, and doses have matched ones
    alone: others would cost as much again.
    """
    for name, group in groups.items():
        kept = {} if name.startswith(FINAL_PREFIX) else group.controls
        if name in PLATEAUS:
            kept = {kind: found for kind, found in kept.items() if kind == MATCHED}
        drawn = {kind: found[: settings.controls] for kind, found in kept.items()}
        yield _Set(name, WHOLE, group.members, drawn)
        if WITHOUT_TYPES.get(name) in groups:
            others = np.isin(group.members, groups[WITHOUT_TYPES[name]].members)
            yield _Set(name, LESS_TYPES, group.members[others], {})
        order = evidence.orders.get(name, ())
        for size in (size for size in settings.doses if size <= len(order)):
            # A control's neurons are in the order of the group's.
            within = size <= len(group.members)
            part = {kind: found[:, :size] for kind, found in drawn.items() if within and kind == MATCHED}
            yield _Set(name, dose_part(size), np.asarray(order[:size]), part)


def joint_estimates(
    evidence: JointEvidence, groups: ControlledGroups, settings: JointSettings, rng: np.random.Generator
) -> Measured:
    """Effect of holding all neurons of a group at their references at once, on held-out rows.

    Conditions are those of the evidence, ``<one>-<other>`` for their difference (quantity ``difference``), and ``all``
    for all held-out rows. Intervals are over documents, with the same documents drawn for both conditions.

    Args:
        evidence: ``rows``, ``activation``, ``last_layer``, ``weights`` of ``all/heldout``, and the fields of
            :class:`JointEvidence`.
        groups: the groups with their controls. Those of fewer than ``SMALLEST_GROUP`` neurons are left out.
        settings: how much is computed.
        rng: draws the order in which rows are matched, and the control groups' share of the draws of the excess.

    Returns:
        For each group: ``delta_loss`` and ``kl_divergence`` (nats) and ``ln_rank_change`` of the target, in both
        conditions and as their difference, always on the same rows; part ``dose_<k>`` of the first k neurons of the
        group's order; part ``matched_rows`` of the difference on rows alike in clean loss and position (``n`` counts
        pairs); part ``tenth_<k>`` of each tenth of the frequency scale, at condition ``all``; ``interaction``, the
        change of loss less the sum of the single neurons'. Groups chosen without known types go without the last three;
        part ``less_known_types`` of the groups that they stand for is what is left of these without such neurons, and
        its quantity ``ratio`` of ``delta_loss`` the share of the group's effect, with the two-sided p of one half. The
        first two are compared with each kind of controls:
        empirical p of "greater", and the quantity ``excess`` over the controls' mean, whose interval and p are those of
        :func:`excess_over_controls`. At group ``all``: ``clean_loss`` as a difference between the conditions, before
        and after matching, and its ``standardised_difference``. The draws are those of ``delta_loss`` of whole groups.
        The product ``loss_by_frequency`` is the table of the same name, with the identity.
    """
    layer = LastLayer.from_arrays(evidence.last_layer).to(settings.device, torch.float32)
    name, here = evidence.checkpoint, _is_heldout(evidence)
    groups = {key: group for key, group in groups.items() if len(group.members) >= SMALLEST_GROUP}
    rows = _ablated_rows(evidence).at(here)
    own = {key: group for key, group in groups.items() if key not in WITHOUT_TYPES.values()}
    everywhere = _effects(layer, rows, [group.members for group in own.values()], settings, with_rank=True)
    heldout = _heldout_rows(evidence, rows, everywhere.clean_loss, settings, rng)
    contrasts = _contrasts(evidence.conditions, heldout)
    found, draws = _set_estimates(layer, heldout, contrasts, list(_sets(evidence, groups, settings)), settings, rng)
    found += _interactions(layer, heldout, contrasts, own, everywhere, settings)
    found += _by_tenth(heldout, list(own), everywhere)
    found += _match_quality(heldout, contrasts, everywhere.clean_loss)
    conditions = {
        each: np.flatnonzero(in_condition(evidence.rows[here], each)) for each in condition_names(evidence.rows)
    }
    bands = loss_by_frequency(everywhere.clean_loss, evidence.rank_fraction[here], conditions, heldout.means)
    return Measured(frame_of_tests(name, found), draws_frame(name, draws), {"loss_by_frequency": name.labelled(bands)})


def _is_heldout(evidence: Evidence) -> np.ndarray:
    return (evidence.rows["split"] == "heldout").to_numpy()


def _ablated_rows(evidence: JointEvidence) -> AblatedRows:
    target = evidence.rows["target"].to_numpy()
    return AblatedRows(evidence.residual, evidence.activation, evidence.reference, target)


def _heldout_rows(
    evidence: JointEvidence, rows: AblatedRows, loss: np.ndarray, settings: JointSettings, rng: np.random.Generator
) -> _HeldoutRows:
    """The held-out rows with their clean loss (T,); pairs are matched among all rows of the two conditions."""
    here = _is_heldout(evidence)
    table = evidence.rows[here]
    _, document = np.unique(table["document"], return_inverse=True)
    means = DocumentMeans(document, evidence.weights[f"{ALL_ROWS}/heldout"])
    first, second = (in_condition(table, name) for name in evidence.conditions)
    matching = settings.caliper, settings.position_bins, rng
    one, other = matched_rows(loss, table["position"].to_numpy(), first, second, *matching)
    return _HeldoutRows(
        rows,
        means,
        (evenly(np.flatnonzero(first), settings.rows), evenly(np.flatnonzero(second), settings.rows)),
        (evenly(one, settings.pairs), evenly(other, settings.pairs)),
        rows_of_tenths(evidence.rank_fraction[here]),
    )


def _effects(
    layer: LastLayer, rows: AblatedRows, groups: Sequence[np.ndarray], settings: JointSettings, with_rank: bool
) -> JointEffects:
    return joint_effects(layer, rows, groups, with_rank, settings.memory_bytes, settings.progress)


@dataclass(frozen=True)
class _Contrast:
    """Rows whose mean is wanted, less those of ``less`` if there are any; both by held-out index."""

    condition: str
    part: str
    rows: np.ndarray
    less: np.ndarray | None = None

    @property
    def quantity(self) -> str:
        return VALUE if self.less is None else DIFFERENCE

    @property
    def n(self) -> int:
        return len(self.rows) if self.less is None else min(len(self.rows), len(self.less))

    def of(self, values: np.ndarray, heldout: _HeldoutRows) -> tuple[np.ndarray, np.ndarray]:
        """The number (G,) of values (measured rows, G), and its draws (B, G)."""
        means = heldout.means.at(heldout.measured)
        found = [
            means.of(values, np.searchsorted(heldout.measured, rows))
            for rows in (self.rows, self.less)
            if rows is not None
        ]
        if len(found) == 1:
            return found[0]
        (value, draws), (other, others) = found
        return value - other, draws - others


def _contrasts(conditions: tuple[str, str], heldout: _HeldoutRows) -> list[_Contrast]:
    """Either condition, their difference, and the difference on matched rows."""
    both = "-".join(conditions)
    single = [_Contrast(name, WHOLE, rows) for name, rows in zip(conditions, heldout.pair, strict=True)]
    return [
        *single,
        _Contrast(both, WHOLE, *heldout.pair),
        _Contrast(both, MATCHED_ROWS, *heldout.matched),
    ]


def _set_estimates(
    layer: LastLayer,
    heldout: _HeldoutRows,
    contrasts: Sequence[_Contrast],
    sets: Sequence[_Set],
    settings: JointSettings,
    rng: np.random.Generator,
) -> tuple[list[Row], list[tuple[str, str, Draws]]]:
    """Effects of groups and doses in every contrast, with their controls; and the draws of whole groups."""
    rows = heldout.rows.at(heldout.measured)
    own, column = _once(layer, rows, [each.members for each in sets], settings, with_rank=True)
    drawn = [one for each in sets for controls in each.controls.values() for one in controls]
    controls, column_of_control = _once(layer, rows, drawn, settings, with_rank=False)
    found: list[Row] = []
    draws: list[tuple[str, str, Draws]] = []
    n_documents = heldout.means.n_documents
    whole = {each.group: column[tuple(each.members)] for each in sets if each.part == WHOLE}
    for contrast, (measure, values) in product(contrasts, _by_measure(own).items()):
        value, by_draw = contrast.of(values, heldout)
        null = contrast.of(_by_measure(controls)[measure], heldout) if measure in COMPARED else None
        for each in sets:
            if contrast.part != WHOLE and each.part != WHOLE:
                continue
            mine, part = column[tuple(each.members)], contrast.part or each.part
            number = _Number(
                measure, part, contrast.quantity, contrast.n, float(value[mine]), by_draw[:, mine], n_documents
            )
            columns = {kind: [column_of_control[tuple(one)] for one in those] for kind, those in each.controls.items()}
            nulls = {kind: (null[0][those], null[1][:, those]) for kind, those in columns.items()} if null else {}
            estimates, excesses = number.compared(nulls, rng)
            if measure == DELTA_LOSS and each.part == LESS_TYPES and contrast.less is None:
                estimates.append(number.share_of(float(value[whole[each.group]]), by_draw[:, whole[each.group]]))
            found += [(contrast.condition, each.group, estimate) for estimate in estimates]
            if measure == DELTA_LOSS and each.part == WHOLE:
                kept = [Draws(measure, number.draws, part=part, quantity=contrast.quantity), *excesses]
                draws += [(contrast.condition, each.group, one) for one in kept]
    return found, draws


def _once(
    layer: LastLayer, rows: AblatedRows, groups: Sequence[np.ndarray], settings: JointSettings, with_rank: bool
) -> tuple[JointEffects, dict[tuple[int, ...], int]]:
    """Effects of the distinct groups among some, and the column of each: a dose may be a whole group."""
    place: dict[tuple[int, ...], int] = {}
    for members in groups:
        place.setdefault(tuple(members), len(place))
    return _effects(layer, rows, [np.array(one) for one in place], settings, with_rank), place


def _by_measure(effects: JointEffects) -> dict[str, np.ndarray]:
    return {
        DELTA_LOSS: effects.delta_loss,
        DIVERGENCE: effects.divergence,
        RANK_CHANGE: effects.rank_change,
    }


@dataclass(frozen=True)
class _Number:
    """One number of a group, with its draws (B,) of so many documents."""

    measure: str
    part: str
    quantity: str
    n: int
    value: float
    draws: np.ndarray
    n_documents: int

    def _estimate(self, value: float, quantity: str, against: str = "", reason: str = "") -> Estimate:
        unit = UNITS[self.measure]
        return Estimate(
            self.measure, value, unit, self.n, part=self.part, quantity=quantity, against=against, reason=reason
        )

    def _reason(self) -> str:
        return "" if np.isfinite(self.value) else "this part of the rows is empty"

    def alone(self) -> Estimate:
        """The number with its interval, compared with nothing."""
        estimate = self._estimate(self.value, self.quantity, reason=self._reason())
        low, high = percentile_interval(self.draws)
        return replace(estimate, ci_low=low, ci_high=high)

    def share_of(self, value: float, draws: np.ndarray) -> Estimate:
        """The number as a share of a larger one, which has draws (B,), with the two-sided p of ``HALF``."""
        unit = "share of the effect"
        empty = Estimate(self.measure, float("nan"), unit, self.n, part=self.part, quantity=RATIO)
        if not value > 0:
            return replace(empty, reason=self._reason() or "ablating the group does not raise the loss")
        with np.errstate(invalid="ignore", divide="ignore"):
            low, high = percentile_interval(np.where(draws > 0, self.draws / draws, np.nan))
        p_value = bootstrap_p(self.draws - HALF * draws)
        return replace(empty, value=self.value / value, ci_low=low, ci_high=high, p_value=p_value)

    def compared(
        self, controls: Mapping[str, tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
    ) -> tuple[list[Estimate], list[Draws]]:
        """The number with each kind of controls (their numbers (m,) and draws (B, m)), and its excess over them.

        Returns:
            The estimates, and the draws of the excesses. Without any kind of controls, the number with its interval.
        """
        if not controls:
            return [self.alone()], []
        found, draws, reason = [], [], self._reason()
        for kind, (null, null_draws) in controls.items():
            why = reason or ("" if len(null) else f"no {kind} controls: too few other neurons")
            estimate = self._estimate(self.value, self.quantity, kind, why)
            found.append(against_controls(estimate, self.draws, null, "greater"))
            if len(null):
                excess = excess_over_controls(self.value, self.draws, null, null_draws, self.n_documents, rng)
                estimate = self._estimate(excess.value, EXCESS, kind, reason)
                low, high, p_value = excess.ci_low, excess.ci_high, excess.p_value
                found.append(replace(estimate, ci_low=low, ci_high=high, p_value=p_value))
                draws.append(Draws(self.measure, excess.draws, part=self.part, quantity=EXCESS, against=kind))
        return found, draws


def _interactions(
    layer: LastLayer,
    heldout: _HeldoutRows,
    contrasts: Sequence[_Contrast],
    groups: ControlledGroups,
    everywhere: JointEffects,
    settings: JointSettings,
) -> list[Row]:
    """Change of loss less the sum of the single neurons' changes, of each of the checkpoint's own groups."""
    place = {name: number for number, name in enumerate(groups) if not name.startswith(FINAL_PREFIX)}
    if not place:
        return []
    members = np.unique(np.concatenate([groups[name].members for name in place]))
    rows = heldout.rows.at(heldout.measured)
    arrays = rows.residual, rows.activation, rows.reference, rows.target
    single = effects_at_rows(layer, *arrays, members, settings.tolerance, settings.memory_bytes)
    sums = [single[:, np.searchsorted(members, groups[name].members)].sum(1) for name in place]
    beyond = everywhere.delta_loss[heldout.measured][:, list(place.values())] - np.column_stack(sums)
    found: list[Row] = []
    for contrast in contrasts:
        value, draws = contrast.of(beyond, heldout)
        for number, group in enumerate(place):
            mine = float(value[number]), draws[:, number]
            one = _Number(INTERACTION, contrast.part, contrast.quantity, contrast.n, *mine, heldout.means.n_documents)
            found.append((contrast.condition, group, one.alone()))
    return found


def _by_tenth(heldout: _HeldoutRows, groups: Sequence[str], everywhere: JointEffects) -> list[Row]:
    """Effects on the rows of each tenth of the frequency scale."""
    found: list[Row] = []
    n_documents = heldout.means.n_documents
    for measure, values in _by_measure(everywhere).items():
        for tenth, rows in heldout.tenths.items():
            value, draws = heldout.means.of(values, rows)
            for number, group in enumerate(groups):
                one = _Number(measure, tenth, VALUE, len(rows), float(value[number]), draws[:, number], n_documents)
                found.append((ALL_ROWS, group, one.alone()))
    return found


def _match_quality(heldout: _HeldoutRows, contrasts: Sequence[_Contrast], loss: np.ndarray) -> list[Row]:
    """Difference of the clean loss between the conditions, in nats and standard deviations, matched and not."""
    spread = loss[heldout.measured].std()
    found: list[Row] = []
    for contrast in contrasts:
        if contrast.less is None:
            continue
        value, draws = contrast.of(loss[heldout.measured][:, None], heldout)
        for measure, scale in ((CLEAN_LOSS, 1.0), (STANDARDISED, spread)):
            mine = float(value[0]) / scale, draws[:, 0] / scale
            one = _Number(measure, contrast.part, contrast.quantity, contrast.n, *mine, heldout.means.n_documents)
            found.append((contrast.condition, ALL_ROWS, one.alone()))
    return found
