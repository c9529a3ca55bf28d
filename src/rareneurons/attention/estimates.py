"""Attention of a checkpoint: patterns, and effects of ablated heads on groups of neurons and on the loss.

There are two tables. One lists heads and whole layers. The other lists groups, with means, concentration and maxima
over the heads that can reach the last MLP. Unreachable heads appear in the table of heads as structural zeros.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.head_estimates import EVERYTHING, GroupAndHeadEstimates, HeadEstimate
from rareneurons.attention.heads import (
    KINDS,
    AblationKind,
    heads_of_layers,
    layer_evaluations,
    planned_ablations,
    reachable_layers,
)
from rareneurons.attention.layers import LayerMeasures, layer_estimates
from rareneurons.attention.on_loss import loss_estimates, mediation_estimates
from rareneurons.attention.on_neurons import (
    SD,
    concentration_estimates,
    group_effects,
    readout_weights,
    selectivity_estimates,
    size_estimates,
)
from rareneurons.attention.pattern_estimates import pattern_estimates
from rareneurons.attention.patterns import attention_patterns
from rareneurons.attention.routing import Effects, Progress, head_effects
from rareneurons.evidence import Evidence, Measured
from rareneurons.groups import SMALLEST_GROUP, ControlledGroup, ControlledGroups
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

    ``rows``: held-out rows of both conditions, in block and position order. ``architecture``: an open checkpoint.
    ``blocks``: evaluation blocks.
    """

    architecture: Architecture
    blocks: Blocks


@dataclass(frozen=True)
class AttentionSettings:
    """How much is computed: keys of ``attention`` in the configuration, which explains them."""

    batch_size: int
    ablations_a_pass: int
    head_sets: int
    window: int
    bootstrap: int
    permutations: int
    alpha: float


def attention_estimates(
    evidence: AttentionEvidence,
    groups: ControlledGroups,
    settings: AttentionSettings,
    rng: np.random.Generator,
    progress: Callable[[str], Progress] = lambda what: iter,
) -> Measured:
    """Attention patterns, and effects of all heads of one checkpoint.

    Args:
        evidence: the model, its blocks and its rows.
        groups: the groups of neurons that heads may route to.
        settings: how much is computed.
        rng: draws documents, permutations and random sets of heads.
        progress: for a description, what wraps a loop over batches.

    Returns:
        The table of groups, without draws. The product ``heads`` is the table of heads: ``MEASURE_COLUMNS``, ``layer``
        and ``head``, which is ``WHOLE_LAYER`` for effects of all heads of a layer.
    """
    architecture = evidence.architecture
    measured = {name: group for name, group in groups.items() if len(group.members) >= SMALLEST_GROUP}
    effects = _effects(evidence, measured, settings, rng, progress)
    pair = ConditionPair(
        evidence.conditions, effects.rows, document_weights(effects.rows.shape[1], settings.bootstrap, rng)
    )
    layers = range(architecture.n_layers)
    found = GroupAndHeadEstimates([(pair.difference, EVERYTHING, _cost(len(layers), effects, pair))])
    for name, group in groups.items():
        found.add([_on_group(effects, name, group, architecture, pair, settings, rng)])
    for kind in KINDS:
        found.add([loss_estimates(effects, kind, layers, pair, settings.permutations, rng)])
        found.add([layer_estimates(effects, "abs_delta_loss", EVERYTHING, ON_LOSS, kind, layers, pair)])
    patterns = attention_patterns(
        architecture, evidence.blocks, evidence.rows, settings.window, settings.batch_size, progress("patterns")
    )
    heads = heads_of_layers(architecture, layers)
    found.add([pattern_estimates(patterns, heads, effects.belongs, pair, settings.permutations, rng)])
    checkpoint = evidence.checkpoint
    products = {"heads": _heads_frame(checkpoint, found.heads)}
    return Measured(frame_of_tests(checkpoint, found.groups), draws_frame(checkpoint, []), products)


def _effects(
    evidence: AttentionEvidence,
    groups: ControlledGroups,
    settings: AttentionSettings,
    rng: np.random.Generator,
    progress: Callable[[str], Progress],
) -> Effects:
    """Effects of all planned ablations on the groups and on the loss."""
    return head_effects(
        evidence.architecture,
        evidence.blocks,
        evidence.rows,
        np.stack([in_condition(evidence.rows, name) for name in evidence.conditions]),
        planned_ablations(evidence.architecture, settings.head_sets, rng),
        partial(readout_weights, groups),
        _held(groups),
        settings.batch_size,
        settings.ablations_a_pass,
        progress("heads"),
    )


def _held(groups: ControlledGroups) -> dict[str, np.ndarray]:
    """Neurons that are held at their clean values: each group, and a few of its matched groups."""
    held = {}
    for name, group in groups.items():
        held[name] = group.members
        held |= {f"{name}.matched_{k}": drawn for k, drawn in enumerate(group.controls["matched"][:HELD_CONTROLS])}
    return held


def _cost(n_layers: int, effects: Effects, pair: ConditionPair) -> Estimate:
    evaluations = layer_evaluations(n_layers, effects.ablations)
    return Estimate("layer_evaluations", float(evaluations), "layers per document", pair.rows.shape[1])


def _on_group(
    effects: Effects,
    name: str,
    group: ControlledGroup,
    architecture: Architecture,
    pair: ConditionPair,
    settings: AttentionSettings,
    rng: np.random.Generator,
) -> GroupAndHeadEstimates:
    """All estimates about one group or, where there can be none, the reason."""
    reachable = reachable_layers(architecture)
    reason = _why_unknown(group.members, reachable, effects)
    if reason:
        missing = Estimate(
            "largest_routing", float("nan"), SD, int(pair.n.sum()), reason=reason, part="mean", against="matched"
        )
        return GroupAndHeadEstimates([(pair.difference, name, missing)])
    found = GroupAndHeadEstimates().add(
        _routing(effects, name, group, kind, reachable, pair, settings, rng) for kind in KINDS
    )
    found.add([mediation_estimates(effects, name, reachable, pair)])
    found.heads.extend(_structural_zeros(architecture, name, pair))
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
    effects: Effects,
    name: str,
    group: ControlledGroup,
    kind: AblationKind,
    layers: Sequence[int],
    pair: ConditionPair,
    settings: AttentionSettings,
    rng: np.random.Generator,
) -> GroupAndHeadEstimates:
    """Effects of one kind of ablation on one group."""
    on_group = group_effects(effects, name, group, kind, effects.places("head", kind, layers))
    return GroupAndHeadEstimates().add(
        [
            size_estimates(on_group, pair),
            concentration_estimates(on_group, pair, settings.permutations, rng),
            selectivity_estimates(on_group, pair, settings.alpha),
            layer_estimates(effects, name, name, ON_NEURONS, kind, layers, pair),
        ]
    )


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
