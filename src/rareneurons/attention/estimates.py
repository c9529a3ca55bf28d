"""Attention of a checkpoint: patterns, and effects of ablated heads on groups of neurons and on the loss.

There are two tables. One lists heads and whole layers. The other lists groups, with means, concentration and maxima
over the heads that can reach the last MLP. Unreachable heads appear in the table of heads as structural zeros.

All heads are screened on discovery documents. Those that the screen names and a sample of the others are ablated on
held-out documents. In numbers over all heads, the sampled ones represent those that were not ablated. Verdicts rest on
mean ablation of single heads; everything else may be measured on fewer documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from rareneurons.attention.choice import Choice, choose_heads, stand_ins
from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.head_estimates import EVERYTHING, GroupAndHeadEstimates, HeadEstimate
from rareneurons.attention.heads import (
    KINDS,
    Ablation,
    AblationKind,
    ChosenHeads,
    Head,
    every_head,
    heads_of_layers,
    layer_evaluations,
    planned_ablations,
    reachable_layers,
)
from rareneurons.attention.layers import LayerMeasures, layer_estimates
from rareneurons.attention.on_loss import loss_estimates, mediation_estimates
from rareneurons.attention.on_neurons import (
    SD,
    SHARE,
    concentration_estimates,
    group_effects,
    head_sizes,
    mean_selectivity,
    mean_size,
    readout_weights,
    routing_of_heads,
    routing_summary,
)
from rareneurons.attention.pattern_estimates import pattern_estimates
from rareneurons.attention.patterns import attention_patterns
from rareneurons.attention.routing import Effects, head_effects
from rareneurons.attention.row_reader import Progress, RowReader, mean_head_outputs, silent
from rareneurons.attention.screening import screen_heads, screening_evaluations
from rareneurons.attention.screening_estimates import (
    power_estimate,
    screen_estimates,
    screening_quality,
)
from rareneurons.evidence import Evidence, Measured, no_rows
from rareneurons.groups import SMALLEST_GROUP, TOP_GROUPS, ControlledGroup, ControlledGroups
from rareneurons.models.architectures import Architecture
from rareneurons.rows import in_condition
from rareneurons.stats import document_weights, frame_of_tests
from rareneurons.tables import CheckpointName, Estimate, draws_frame, measure_frame
from rareneurons.tokens import Blocks

HELD_CONTROLS = 3  # number of matched groups that are held at their clean values, beside the group itself
ON_NEURONS = LayerMeasures("layer_effect", "largest_head_share", SD)
ON_LOSS = LayerMeasures("loss_layer_effect", "loss_largest_head_share", "nats")


@dataclass(frozen=True, kw_only=True)
class AttentionEvidence(Evidence):
    """Evidence with the model itself, since attention is measured by running it.

    ``rows``: held-out rows of both conditions, in block and position order. ``discovery``: discovery rows likewise, on
    which heads are screened. ``architecture``: an open checkpoint. ``blocks``: evaluation blocks.
    """

    discovery: pd.DataFrame = field(default_factory=no_rows)
    architecture: Architecture
    blocks: Blocks


@dataclass(frozen=True)
class AttentionSettings:
    """How much is computed: keys of ``attention`` in the configuration, which explains them.

    Without ``documents_beside`` all documents serve every ablation.
    """

    batch_size: int
    ablations_per_pass: int
    head_sets: int
    window: int
    bootstrap: int
    permutations: int
    alpha: float
    candidates: int | Literal["all"] = "all"
    sample: int = 0
    sign_draws: int = 0
    documents_beside: int | None = None


@dataclass(frozen=True)
class _Measurement:
    """All that estimates are made from: effects, which heads they are of, and the two conditions.

    ``effects`` and ``pair``: mean ablation of single heads, on all documents. ``beside``, ``fewer_heads`` and
    ``fewer``: all other ablations, on some of the documents; mean ablation of single heads there; and the conditions
    there.
    """

    architecture: Architecture
    heads: ChosenHeads
    choice: Choice | None
    effects: Effects
    pair: ConditionPair
    beside: Effects
    fewer_heads: Effects
    fewer: ConditionPair

    def of_heads(self, kind: AblationKind) -> tuple[Effects, ConditionPair]:
        """Effects of single heads in one kind of ablation, and the conditions on the documents that they are of."""
        return (self.effects, self.pair) if kind == "mean" else (self.beside, self.fewer)

    def of_layers(
        self, effect: str, group: str, names: LayerMeasures, kind: AblationKind, layers: Sequence[int]
    ) -> GroupAndHeadEstimates:
        """Estimates of whole layers beside their strongest heads, on the same documents."""
        heads = self.fewer_heads if kind == "mean" else self.beside
        return layer_estimates(self.beside, heads, effect, group, names, kind, layers, self.fewer)

    @property
    def reachable(self) -> list[Head]:
        """Heads that can reach the last MLP."""
        return heads_of_layers(self.architecture, reachable_layers(self.architecture))

    def everyone(self, kind: AblationKind, layers: Sequence[int]) -> np.ndarray | None:
        """The ablated head that represents each head of some layers; None where ablated heads cannot."""
        if not self.heads.covers(kind):
            return None
        measured = [head for head in self.heads.measured(kind) if head[0] in layers]
        return stand_ins(heads_of_layers(self.architecture, layers), measured, self.heads.sample)


def attention_estimates(
    evidence: AttentionEvidence,
    groups: ControlledGroups,
    settings: AttentionSettings,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> Measured:
    """Attention patterns, and effects of the heads of one checkpoint.

    Args:
        evidence: the model, its blocks and its rows.
        groups: the groups of neurons that heads may route to.
        settings: how much is computed.
        rng: draws documents, permutations, signs, sampled heads and random sets of heads.
        progress: reports the layer evaluations of each stage.

    Returns:
        The table of groups, without draws. The product ``heads`` is the table of heads: ``MEASURE_COLUMNS``, ``layer``
        and ``head``, which is ``WHOLE_LAYER`` for effects of all heads of a layer.
    """
    architecture = evidence.architecture
    measured = {name: group for name, group in groups.items() if len(group.members) >= SMALLEST_GROUP}
    screened = [name for name in TOP_GROUPS if name in measured]
    choice = _choice(evidence, {name: measured[name] for name in screened}, settings, rng, progress)
    heads = every_head(architecture) if choice is None else choice.heads
    found_in = _measurement(evidence, measured, heads, choice, settings, rng, progress)
    found = GroupAndHeadEstimates([(found_in.pair.difference, EVERYTHING, _cost(found_in, settings))])
    for name, group in groups.items():
        found.add([_on_group(found_in, name, group, settings, rng)])
    found.add(_on_loss(found_in, settings, rng))
    if choice is not None:
        found.add([screen_estimates(choice, found_in.pair, _condition_sizes(evidence))])
    patterns = attention_patterns(
        architecture, evidence.blocks, evidence.rows, settings.window, settings.batch_size, progress
    )
    everywhere = heads_of_layers(architecture, range(architecture.n_layers))
    found.add(
        [pattern_estimates(patterns, everywhere, found_in.effects.belongs, found_in.pair, settings.permutations, rng)]
    )
    checkpoint = evidence.checkpoint
    products = {"heads": _heads_frame(checkpoint, found.heads)}
    return Measured(frame_of_tests(checkpoint, found.groups), draws_frame(checkpoint, []), products)


def _masks(evidence: AttentionEvidence, rows: pd.DataFrame) -> np.ndarray:
    """Boolean (2, T): rows of each condition."""
    return np.stack([in_condition(rows, name) for name in evidence.conditions])


def _condition_sizes(evidence: AttentionEvidence) -> list[int]:
    """Numbers of discovery rows of both conditions."""
    return [int(each) for each in _masks(evidence, evidence.discovery).sum(1)]


def _readouts(groups: ControlledGroups, varies: np.ndarray) -> dict[str, np.ndarray]:
    """Weights of what is screened: each group, its matched groups, and all neurons."""
    return readout_weights(groups, varies) | {EVERYTHING: varies / max(1, varies.sum())}


def _choice(
    evidence: AttentionEvidence,
    groups: ControlledGroups,
    settings: AttentionSettings,
    rng: np.random.Generator,
    progress: Progress,
) -> Choice | None:
    """The heads that a screen chooses; None where every head is ablated."""
    architecture = evidence.architecture
    n_heads = architecture.n_layers * architecture.n_heads
    if settings.candidates == "all" or n_heads <= settings.candidates + settings.sample:
        return None
    reader = RowReader(architecture, evidence.blocks, evidence.discovery, settings.batch_size)
    total = reader.n_blocks * _screening_evaluations(architecture.n_layers, len(groups), settings)
    with progress("screening", total) as advance:
        masks, readouts = _masks(evidence, evidence.discovery), partial(_readouts, groups)
        screen = screen_heads(reader, masks, readouts, settings.sign_draws, rng, advance)
    reachable = heads_of_layers(architecture, reachable_layers(architecture))
    return choose_heads(screen, list(groups), reachable, settings.candidates, settings.sample, rng)


def _screening_evaluations(n_layers: int, n_groups: int, settings: AttentionSettings) -> int:
    """Per document, for each group, its matched groups, all neurons and the loss, on both conditions."""
    return screening_evaluations(n_layers, 2 * n_groups + 1, 2, settings.sign_draws)


def _measurement(
    evidence: AttentionEvidence,
    groups: ControlledGroups,
    heads: ChosenHeads,
    choice: Choice | None,
    settings: AttentionSettings,
    rng: np.random.Generator,
    progress: Progress,
) -> _Measurement:
    """Run all planned ablations: single heads in mean ablation on all documents, the others on some of them."""
    architecture, names = evidence.architecture, evidence.conditions
    planned = planned_ablations(architecture, settings.head_sets, rng, heads)
    deciding = [each for each in planned if _decides(each)]
    reader = RowReader(architecture, evidence.blocks, evidence.rows, settings.batch_size)
    with progress("means of heads", reader.n_blocks * architecture.n_layers) as advance:
        references = mean_head_outputs(reader, advance)

    def effects(what: str, of: Sequence[Ablation], rows: pd.DataFrame) -> Effects:
        return head_effects(
            architecture,
            evidence.blocks,
            rows,
            _masks(evidence, rows),
            of,
            partial(readout_weights, groups),
            _held(groups),
            settings.batch_size,
            settings.ablations_per_pass,
            lambda _, total: progress(what, total),
            references,
        )

    documents = np.unique(evidence.rows["document"])
    few = np.isin(documents, rng.permutation(documents)[: settings.documents_beside])
    on_few = evidence.rows[evidence.rows["document"].isin(documents[few])].reset_index(drop=True)
    every = effects("ablated heads", deciding, evidence.rows)
    beside = effects("other ablations", [each for each in planned if not _decides(each)], on_few)
    pair, fewer = (
        ConditionPair(names, each.rows, document_weights(each.rows.shape[1], settings.bootstrap, rng))
        for each in (every, beside)
    )
    return _Measurement(architecture, heads, choice, every, pair, beside, every.on_documents(few), fewer)


def _decides(ablation: Ablation) -> bool:
    """Whether verdicts rest on an ablation: a single head in mean ablation."""
    return (ablation.unit, ablation.kind) == ("head", "mean")


def _held(groups: ControlledGroups) -> dict[str, np.ndarray]:
    """Neurons that are held at their clean values: each group, and a few of its matched groups."""
    held = {}
    for name, group in groups.items():
        held[name] = group.members
        held |= {f"{name}.matched_{k}": drawn for k, drawn in enumerate(group.controls["matched"][:HELD_CONTROLS])}
    return held


def _cost(measured: _Measurement, settings: AttentionSettings) -> Estimate:
    """Layer evaluations per document, of the screen and of the ablations."""
    n_layers = measured.architecture.n_layers
    beside = layer_evaluations(n_layers, measured.beside.ablations) - n_layers
    share = measured.fewer.n_documents / measured.pair.n_documents
    evaluations = layer_evaluations(n_layers, measured.effects.ablations) + share * beside
    if measured.choice is not None:
        evaluations += _screening_evaluations(n_layers, len(measured.choice.effects), settings)
    return Estimate("layer_evaluations", float(evaluations), "layers per document", measured.pair.n_documents)


def _on_loss(
    measured: _Measurement, settings: AttentionSettings, rng: np.random.Generator
) -> list[GroupAndHeadEstimates]:
    """Effects of heads and whole layers on the loss."""
    layers = range(measured.architecture.n_layers)
    found = []
    for kind in KINDS:
        everyone, (effects, pair) = measured.everyone(kind, layers), measured.of_heads(kind)
        found.append(loss_estimates(effects, kind, layers, pair, everyone, settings.permutations, rng))
        if everyone is not None:
            found.append(measured.of_layers("abs_delta_loss", EVERYTHING, ON_LOSS, kind, layers))
    return found


def _on_group(
    measured: _Measurement,
    name: str,
    group: ControlledGroup,
    settings: AttentionSettings,
    rng: np.random.Generator,
) -> GroupAndHeadEstimates:
    """All estimates about one group or, where there can be none, the reason."""
    pair, reachable = measured.pair, reachable_layers(measured.architecture)
    reason = _why_unknown(group.members, reachable, measured.effects)
    if reason:
        missing = Estimate(
            "largest_routing_share",
            float("nan"),
            SHARE,
            int(pair.n.sum()),
            reason=reason,
            part="mean",
            against="matched",
        )
        return GroupAndHeadEstimates([(pair.difference, name, missing)])
    found = GroupAndHeadEstimates().add(_routing(measured, name, group, kind, settings, rng) for kind in KINDS)
    everyone = measured.everyone("mean", reachable)
    assert everyone is not None
    found.add([mediation_estimates(measured.effects, name, reachable, pair, everyone)])
    found.add([mediation_estimates(measured.beside, name, reachable, measured.fewer, None)])
    found.heads.extend(_structural_zeros(measured.architecture, name, pair))
    return found


def _why_unknown(members: np.ndarray, reachable: Sequence[int], effects: Effects) -> str:
    """Why routing to a group cannot be measured; empty where it can."""
    if len(members) < SMALLEST_GROUP:
        return f"{len(members)} neurons, at least {SMALLEST_GROUP} are needed"
    if not len(reachable):
        return "no head can reach the last MLP: attention and MLP of the only layer run in parallel"
    if not effects.varies[members].any():
        return f"all {len(members)} neurons are constant on these rows"
    return ""


def _routing(
    measured: _Measurement,
    name: str,
    group: ControlledGroup,
    kind: AblationKind,
    settings: AttentionSettings,
    rng: np.random.Generator,
) -> GroupAndHeadEstimates:
    """Effects of one kind of ablation on one group."""
    layers, (effects, pair) = reachable_layers(measured.architecture), measured.of_heads(kind)
    everyone, places = measured.everyone(kind, layers), effects.places("head", kind, layers)
    if not len(places):
        return GroupAndHeadEstimates()
    on_group = group_effects(effects, name, group, kind, places, everyone)
    routing = routing_of_heads(on_group, pair)
    summary = routing_summary(kind, routing, settings.alpha)
    found = GroupAndHeadEstimates().add([head_sizes(on_group, pair)])
    if everyone is not None:
        found.add(
            [
                mean_size(on_group, pair),
                concentration_estimates(on_group, pair, settings.permutations, rng),
                mean_selectivity(on_group, pair),
                measured.of_layers(name, name, ON_NEURONS, kind, layers),
            ]
        )
    if kind == "mean":
        summary.append(
            power_estimate(on_group, pair, routing.bounds, settings.alpha, measured.choice, measured.reachable)
        )
        if measured.choice is not None and name in measured.choice.effects:
            summary += screening_quality(on_group, pair, routing, measured.choice, settings.alpha)
    found.heads.extend(routing.heads)
    found.groups.extend((pair.difference, name, each) for each in summary)
    return found


def _structural_zeros(architecture: Architecture, group: str, pair: ConditionPair) -> list[HeadEstimate]:
    """Unreachable heads: they cannot affect the last MLP, so the zero was not measured and ``n`` is 0."""
    layers = sorted(set(range(architecture.n_layers)) - set(reachable_layers(architecture)))
    reason = "attention and MLP of this layer run in parallel"
    zero = Estimate("structurally_zero", 0.0, SD, 0, reason=reason)
    conditions = (*pair.names, pair.difference)
    return [HeadEstimate(c, group, *where, zero) for c in conditions for where in heads_of_layers(architecture, layers)]


def _heads_frame(checkpoint: CheckpointName, found: Sequence[HeadEstimate]) -> pd.DataFrame:
    frame = measure_frame(checkpoint, [(each.condition, each.group, each.estimate) for each in found])
    return frame.assign(layer=[each.layer for each in found], head=[each.head for each in found])
