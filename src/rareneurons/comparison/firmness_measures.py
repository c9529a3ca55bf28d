"""The measures that verdicts use, computed again at a model's last checkpoint under choices that ought not to matter.

Everything follows from the traces, without a model run: effects of single neurons in closed form, neurons and controls
chosen from these by the run's rules, and the run's estimators on them. C8 compares with the untrained model, whose
neurons are chosen again, too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from rareneurons.claims.below_controls import null_kinds
from rareneurons.claims.view import View
from rareneurons.comparison.choice_measures import Named, measured_coordination, measured_organization
from rareneurons.comparison.choices import Choice, read_by_verdicts
from rareneurons.conventions import SELECTIVE, TOP
from rareneurons.coordination.estimates import CoordinationSettings
from rareneurons.dynamics.untrained import beyond_untrained
from rareneurons.evidence import Measured
from rareneurons.groups import (
    TOP_GROUPS,
    ControlledGroups,
    chosen_by_shuffled_labels,
    controlled_groups,
    groups_of_influence,
    match_quality,
    neuron_features,
)
from rareneurons.influence.estimates import InfluenceSettings
from rareneurons.influence.label_shuffles import EffectsAtRows, LabelShuffles, label_shuffles
from rareneurons.influence.last_mlp import influence_by_document, reference_values
from rareneurons.influence.sums import InfluenceSums, blocked_arrays, influence_frame, sums_of_arrays
from rareneurons.influence.tiles import DeltaLoss, PairCounts, sum_by_document, tiles_of
from rareneurons.joint.estimates import ALL_ROWS, JointEvidence, JointSettings, joint_estimates
from rareneurons.joint.measures import MATCHED_ROWS
from rareneurons.models.last_layer import LastLayer
from rareneurons.organization.estimates import ROTATION
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.regimes.curve import Statistic
from rareneurons.regimes.estimates import RegimeSettings, plateau_estimates
from rareneurons.rows import (
    LEAST_DOCUMENTS,
    SPLITS,
    draw_splits,
    in_condition,
    labels_of,
)
from rareneurons.stats import document_weights
from rareneurons.tables import CheckpointName, measure_frame

OF_C8 = (TOP, SELECTIVE)  # the groups that C8 looks at
NEURONS_AT_A_TIME = 512


@dataclass(frozen=True)
class TracedCheckpoint:
    """A checkpoint's trace at T rows: ``name``; arrays ``trace`` (:class:`Trace`); arrays of the ``last_layer``."""

    name: CheckpointName
    trace: Mapping[str, np.ndarray]
    last_layer: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class FirmnessSettings:
    """How much is computed.

    ``document_blocks``: documents are merged into at most so many blocks; ``joint_bootstrap`` and ``bootstrap``: draws
    of held-out documents for joint ablation and for coordination;
    ``controls``: of each kind; ``discovery_share``: of the documents, where they are divided into splits again.
    """

    influence: InfluenceSettings
    document_blocks: int
    regimes: RegimeSettings
    controls: int
    joint: JointSettings
    joint_bootstrap: int
    coordination: CoordinationSettings
    bootstrap: int
    organization: OrganizationSettings
    discovery_share: float


def firmness_measures(
    rows: pd.DataFrame,
    last: TracedCheckpoint,
    untrained: TracedCheckpoint | None,
    pair: tuple[str, str],
    choices: Sequence[Choice],
    settings: FirmnessSettings,
    rng: np.random.Generator,
    advance: Callable[[int], object] = lambda choices: None,
) -> pd.DataFrame:
    """What C1, C2, C3, C4 and C8 read, under each choice.

    Args:
        rows: T rows as the rows stage wrote them.
        last: the model's last checkpoint.
        untrained: the model before training, at the same rows; None where there is no such checkpoint.
        pair: the run's own two conditions.
        choices: those of the kind ``firmness``. One that leaves fewer than ``LEAST_DOCUMENTS`` documents to a condition
            in a split is left out.
        settings: how much is computed.
        rng: draws splits, documents, controls, labels, null curves and searches.
        advance: called after each choice that can be made, with 1.

    Returns:
        ``choice``, ``table``, ``split`` and ``MEASURE_COLUMNS``, as ``choice_measures`` returns them. The table
        ``dynamics`` has the effects of joint ablation beyond those of the untrained model.
    """
    checkpoints = [last, *([untrained] if untrained is not None else [])]
    frames = [measure_frame(last.name, []).assign(choice="", table="", split="")]
    possible = [choice for choice in choices if not choice.why_not]
    own = settings.influence.reference
    for reference in dict.fromkeys(choice.reference or own for choice in possible):
        mine = [choice for choice in possible if (choice.reference or own) == reference]
        needed = list(dict.fromkeys([*pair, *(choice.band for choice in mine if choice.band is not None)]))
        here = np.any([in_condition(rows, name) for name in needed], axis=0)
        ablated = [_ablated(each, rows, here, reference, settings, rng) for each in checkpoints]
        for choice in mine:
            frames += _measured(choice, View(*pair), rows[here], ablated, settings, rng)
            advance(1)
    return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class AblatedCheckpoint:
    """A checkpoint at some rows, with the effects (T, N) of its neurons there (float32, nats) and their reference."""

    name: CheckpointName
    last_layer: Mapping[str, np.ndarray]
    activation: np.ndarray
    residual: np.ndarray
    reference: np.ndarray
    effects: np.ndarray

    def at(self, here: np.ndarray) -> "AblatedCheckpoint":
        """The same at the rows of a boolean mask (T,)."""
        reference = self.reference[here] if self.reference.ndim == 2 else self.reference
        found = (self.activation[here], self.residual[here], reference, self.effects[here])
        return AblatedCheckpoint(self.name, self.last_layer, *found)


def _ablated(
    checkpoint: TracedCheckpoint,
    rows: pd.DataFrame,
    here: np.ndarray,
    reference: str,
    settings: FirmnessSettings,
    rng: np.random.Generator,
) -> AblatedCheckpoint:
    """The effects of all neurons at the rows of a mask, whose references are those of all rows."""
    given, computed = settings.influence, settings.joint
    values = reference_values(checkpoint.trace, reference, rows["document"].to_numpy(), rng)
    values = values[here] if values.ndim == 2 else values
    trace = {name: checkpoint.trace[name][here] for name in ("activation", "residual")}
    everywhere = EffectsAtRows(np.ones(int(here.sum()), dtype=bool), trace["activation"].shape[1])
    influence_by_document(
        LastLayer.from_arrays(checkpoint.last_layer).to(computed.device, torch.float32),
        trace,
        values,
        rows["target"].to_numpy()[here],
        rows["document"].to_numpy()[here],
        {},
        everywhere.add,
        given.effect,
        given.tolerance,
        computed.memory_bytes,
    )
    found = trace["activation"], trace["residual"], values, everywhere.values
    return AblatedCheckpoint(checkpoint.name, checkpoint.last_layer, *found)


def chosen_rows(
    choice: Choice, rows: pd.DataFrame, conditions: tuple[str, str], discovery_share: float, rng: np.random.Generator
) -> tuple[np.ndarray, pd.DataFrame]:
    """The rows of two conditions under a choice: which of the given ones (T,), and their table with its splits.

    Args:
        choice: documents may be dealt to the splits again or halved, or the splits be exchanged.
        rows: T rows.
        conditions: two conditions.
        discovery_share: share of the documents that are dealt to discovery.
        rng: draws documents.
    """
    split = rows["split"]
    if choice.split == "swapped":
        split = split.map(dict(zip(SPLITS, reversed(SPLITS), strict=True)))
    elif choice.split == "other":
        split = rows["document"].map(draw_splits(rows["document"].to_numpy(), discovery_share, rng))
    here = np.any([in_condition(rows, name) for name in conditions], axis=0)
    if choice.half_documents:
        documents = [rows.loc[split == name, "document"].unique() for name in SPLITS]
        kept = np.concatenate([rng.permutation(each)[: (len(each) + 1) // 2] for each in documents])
        here &= rows["document"].isin(kept).to_numpy()
    return here, rows.assign(split=split)[here].reset_index(drop=True)


def _measured(
    choice: Choice,
    own: View,
    rows: pd.DataFrame,
    ablated: Sequence[AblatedCheckpoint],
    settings: FirmnessSettings,
    rng: np.random.Generator,
) -> list[pd.DataFrame]:
    """All tables of a choice; nothing where it leaves too few documents."""
    view = choice.view(own)
    here, mine = chosen_rows(choice, rows, (view.condition, view.contrast), settings.discovery_share, rng)
    if _fewest_documents(mine, view) < LEAST_DOCUMENTS:
        return []
    last = _chosen(ablated[0].at(here), mine, view, choice.statistic, settings, rng)
    named: dict[str, list[Named]] = {
        "regimes": last.regimes(settings, rng),
        "group_match": last.match(),
        "coordination": measured_coordination(
            view, last.groups, last.evidence, settings.bootstrap, settings.coordination, rng
        ),
        "organization": measured_organization(view, last.groups, last.evidence, settings.organization, rng),
    }
    tables = {name: measure_frame(last.evidence.checkpoint, found) for name, found in named.items()}
    n_heldout = mine.loc[mine["split"] == "heldout", "document"].nunique()
    # The same documents are drawn at both checkpoints.
    weights = document_weights(n_heldout, settings.joint_bootstrap, rng)
    joint = last.joint(weights, settings, rng)
    tables["joint"] = joint.table
    for untrained in ablated[1:]:
        few = replace(settings, controls=1, influence=replace(settings.influence, shuffles=1))
        first = _chosen(untrained.at(here), mine, view, choice.statistic, few, rng).without_controls()
        both = zip(_on_matched_rows(first.joint(weights, settings, rng)), _on_matched_rows(joint), strict=True)
        tables["dynamics"] = beyond_untrained(*(pd.concat(parts, ignore_index=True) for parts in both))
    return [_read(name, table, view).assign(choice=choice.name, table=name) for name, table in tables.items()]


def _on_matched_rows(measured: Measured) -> list[pd.DataFrame]:
    """The table and the draws."""
    return [frame[frame["part"] == MATCHED_ROWS] for frame in (measured.table, measured.draws)]


def _read(name: str, table: pd.DataFrame, view: View) -> pd.DataFrame:
    """What verdicts read of a table; of joint ablation, the difference on matched rows."""
    read = read_by_verdicts(name, table)
    if name in ("joint", "dynamics"):
        read &= (table["part"] == MATCHED_ROWS) & (table["condition"] == view.difference)
    elif name in ("coordination", "organization"):
        read &= table["against"].isin(["", *null_kinds(view), ROTATION])
    return table[read].assign(split=view.split)


def _fewest_documents(rows: pd.DataFrame, view: View) -> int:
    parts = [in_condition(rows, name, split) for name in (view.condition, view.contrast) for split in SPLITS]
    return min(rows.loc[part, "document"].nunique() for part in parts)


@dataclass(frozen=True)
class ChosenNeurons:
    """The ``groups`` of a checkpoint that effects at the rows of its ``evidence`` choose, and how they were chosen.

    ``quality``: how well controls match; ``statistic``: of the curves.
    """

    evidence: JointEvidence
    groups: ControlledGroups
    quality: Sequence[Named]
    statistic: Statistic

    def regimes(self, settings: FirmnessSettings, rng: np.random.Generator) -> list[Named]:
        """The boost curves of both conditions; with the power that decides, and no other."""
        given = replace(settings.regimes, tops=(settings.regimes.deciding_size,))
        return list(plateau_estimates(self.evidence.sums, self.evidence.conditions, given, rng, self.statistic))

    def match(self) -> list[Named]:
        """How well controls match, and which neurons shuffled labels choose as well."""
        return [*self.quality, *chosen_by_shuffled_labels(self.evidence.chosen_on, self.groups)]

    def without_controls(self) -> "ChosenNeurons":
        """The same neurons, compared with nothing."""
        return replace(self, groups={name: replace(group, controls={}) for name, group in self.groups.items()})

    def joint(self, weights: np.ndarray, settings: FirmnessSettings, rng: np.random.Generator) -> Measured:
        """Joint ablation of the groups that C8 looks at, on matched rows; of all others as few as possible."""
        evidence = replace(self.evidence, weights={f"{ALL_ROWS}/heldout": weights})
        groups = {name: group for name, group in self.groups.items() if name in OF_C8}
        return joint_estimates(evidence, groups, replace(settings.joint, rows=1, doses=()), rng)


def _chosen(
    given: AblatedCheckpoint,
    rows: pd.DataFrame,
    view: View,
    statistic: Statistic,
    settings: FirmnessSettings,
    rng: np.random.Generator,
) -> ChosenNeurons:
    """Neurons and their controls, chosen by the run's rules from effects at some rows."""
    pair, document = (view.condition, view.contrast), rows["document"].to_numpy()
    sums = sums_of_effects(given.effects, rows, pair)
    discovery = (rows["split"] == "discovery").to_numpy()
    labels = labels_of(rows, pair)[discovery]
    shuffles = label_shuffles(given.effects[discovery], document[discovery], labels, settings.influence.shuffles, rng)
    influence = influence_frame(given.name, 0, sums)  # nothing here reads the layer's index
    if statistic == "abs_mean":
        influence["mean_abs_delta_loss"] = influence["mean_delta_loss"].abs()
        shuffles = with_abs_mean(shuffles)
    here = in_condition(rows, view.condition, "discovery")
    features = neuron_features(given.activation[here], given.last_layer["output_weight"])
    cuts, controls = settings.regimes.cuts, settings.controls
    chosen = groups_of_influence(influence, view.condition, cuts, features, controls, rng, shuffles)
    kinds = null_kinds(view)
    groups = {
        name: replace(group, controls={kind: group.controls[kind] for kind in kinds})
        for name, group in controlled_groups(*chosen).items()
        if name in TOP_GROUPS
    }
    evidence = JointEvidence(
        given.name,
        pair,
        rows,
        given.activation,
        given.last_layer,
        sums_of_arrays(blocked_arrays(sums, settings.document_blocks)),
        residual=given.residual,
        reference=given.reference,
        rank_fraction=np.full(len(rows), np.nan),
        orders={},
    )
    return ChosenNeurons(evidence, groups, match_quality(view.condition, *chosen, features), statistic)


def with_abs_mean(shuffles: LabelShuffles) -> LabelShuffles:
    """The same with the abs mean effect in the place of the mean abs effect."""
    exchanged = shuffles.exchanged
    return replace(shuffles, exchanged=replace(exchanged, mean_abs=np.abs(exchanged.mean)))


def sums_of_effects(effects: np.ndarray, rows: pd.DataFrame, conditions: tuple[str, str]) -> dict[str, InfluenceSums]:
    """``<condition>/<split>`` -> sums by document of the effects (T, N) at T rows."""
    masks = {f"{name}/{split}": in_condition(rows, name, split) for name in conditions for split in SPLITS}
    parts = tiles_of(effects.shape[1], NEURONS_AT_A_TIME)
    everywhere = slice(0, len(effects))
    tiles = (
        DeltaLoss(everywhere, part, torch.from_numpy(effects[:, part].astype(np.float64)), PairCounts())
        for part in parts
    )
    return sum_by_document(tiles, effects.shape[1], rows["document"].to_numpy(), masks)
