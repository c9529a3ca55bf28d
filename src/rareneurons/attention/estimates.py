"""Attention of a checkpoint: patterns, and effects of ablated heads on groups of neurons and on the loss.

Two tables come of it: one of heads and whole layers, and one of groups, with means, concentration and maxima over the
heads that can reach the last MLP. Heads that cannot stand in the first as structural zeros.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from rareneurons.attention.heads import (
    KINDS,
    AblationKind,
    heads_of_layers,
    layer_evaluations,
    planned_ablations,
    reachable_layers,
)
from rareneurons.attention.layers import layer_estimates
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
from rareneurons.attention.routing import Effects, head_effects
from rareneurons.attention.sample import EVERYTHING, Found, HeadEstimate, Sample
from rareneurons.groups import SMALLEST_GROUP, Controlled
from rareneurons.models.architectures import Architecture
from rareneurons.rows import in_condition
from rareneurons.stats import document_weights, frame_of_tests
from rareneurons.tables import CheckpointName, Estimate, measure_frame
from rareneurons.tokens import Blocks

HELD_CONTROLS = 3  # matched groups that are held at their clean values beside a group
LAYER_NAMES = ("layer_effect", "largest_head_share", SD)
LOSS_LAYER_NAMES = ("loss_layer_effect", "loss_largest_head_share", "nats")


@dataclass(frozen=True)
class Effort:
    """How much is computed: keys of ``attention`` in the configuration, which explains them."""

    batch_size: int
    ablations_a_pass: int
    head_sets: int
    window: int
    bootstrap: int
    permutations: int
    alpha: float


def attention_estimates(
    architecture: Architecture,
    checkpoint: CheckpointName,
    blocks: Blocks,
    rows: pd.DataFrame,
    conditions: tuple[str, str],
    groups: Controlled,
    effort: Effort,
    rng: np.random.Generator,
    progress: Callable[[str], Callable[[Iterable], Iterable]] = lambda what: iter,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Everything about the attention of one checkpoint.

    Args:
        architecture: an open checkpoint.
        checkpoint: its name.
        blocks: evaluation blocks.
        rows: T held-out rows of either condition, in block and position order.
        conditions: what is called rare, and what it is held against.
        groups: name -> (neurons (n,), kind of controls -> neurons of each control group (m, n)).
        effort: how much is computed.
        rng: draws documents, permutations and random sets of heads.
        progress: for a description, what wraps a loop over batches.

    Returns:
        The measure table (``MEASURE_COLUMNS``, ``q_value``, ``reason``), and the table of heads: the same columns
        with ``layer`` and ``head``, which is ``WHOLE_LAYER`` for effects of all heads of a layer.
    """
    masks = np.stack([in_condition(rows, name) for name in conditions])
    measured = {name: value for name, value in groups.items() if len(value[0]) >= SMALLEST_GROUP}
    effects = head_effects(
        architecture,
        blocks,
        rows,
        masks,
        planned_ablations(architecture, effort.head_sets, rng),
        partial(readout_weights, measured),
        _held(measured),
        effort.batch_size,
        effort.ablations_a_pass,
        progress("heads"),
    )
    sample = Sample(conditions, effects.rows, document_weights(effects.rows.shape[1], effort.bootstrap, rng))
    layers = range(architecture.n_layers)
    reachable = reachable_layers(architecture)
    found = Found([(sample.difference, EVERYTHING, _cost(len(layers), effects, sample))])
    for name, (members, _) in groups.items():
        reason = _why_unknown(members, reachable, effects)
        if reason:
            missing = Estimate("largest_routing.mean.matched", float("nan"), SD, int(sample.n.sum()), reason=reason)
            found.groups.append((sample.difference, name, missing))
            continue
        found.add(_routing(effects, name, measured, kind, reachable, sample, effort, rng) for kind in KINDS)
        found.add([mediation_estimates(effects, name, reachable, sample)])
        found.heads.extend(_structural_zeros(architecture, name, sample))
    for kind in KINDS:
        found.add([loss_estimates(effects, kind, layers, sample, effort.permutations, rng)])
        found.add([layer_estimates(effects, "abs_delta_loss", EVERYTHING, LOSS_LAYER_NAMES, kind, layers, sample)])
    patterns = attention_patterns(architecture, blocks, rows, effort.window, effort.batch_size, progress("patterns"))
    heads, belongs = heads_of_layers(architecture, layers), effects.belongs
    found.add([pattern_estimates(patterns, heads, belongs, sample, effort.permutations, rng)])
    return frame_of_tests(checkpoint, found.groups), _heads_frame(checkpoint, found.heads)


def _held(groups: Controlled) -> dict[str, np.ndarray]:
    """Neurons that are held at their clean values: each group, and a few of its matched controls."""
    held = {}
    for name, (members, controls) in groups.items():
        held[name] = members
        held |= {f"{name}.matched_{k}": control for k, control in enumerate(controls["matched"][:HELD_CONTROLS])}
    return held


def _cost(n_layers: int, effects: Effects, sample: Sample) -> Estimate:
    evaluations = layer_evaluations(n_layers, effects.ablations)
    return Estimate("layer_evaluations", float(evaluations), "layers a document", sample.rows.shape[1])


def _why_unknown(members: np.ndarray, reachable: Sequence[int], effects: Effects) -> str:
    """Why routing to a group cannot be told; empty where it can."""
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
    groups: Controlled,
    kind: AblationKind,
    layers: Sequence[int],
    sample: Sample,
    effort: Effort,
    rng: np.random.Generator,
) -> Found:
    """All about one group and kind of ablation."""
    group = group_effects(effects, name, groups, kind, effects.places("head", kind, layers))
    return Found().add(
        [
            size_estimates(group, sample),
            concentration_estimates(group, sample, effort.permutations, rng),
            selectivity_estimates(group, sample, effort.alpha),
            layer_estimates(effects, name, name, LAYER_NAMES, kind, layers, sample),
        ]
    )


def _structural_zeros(architecture: Architecture, group: str, sample: Sample) -> list[HeadEstimate]:
    """Heads that cannot reach the last MLP: a zero that was not measured, so ``n`` is 0."""
    layers = sorted(set(range(architecture.n_layers)) - set(reachable_layers(architecture)))
    reason = "attention and MLP of this layer run in parallel"
    zero = Estimate("structurally_zero", 0.0, SD, 0, reason=reason)
    conditions = (*sample.names, sample.difference)
    return [HeadEstimate(c, group, *where, zero) for c in conditions for where in heads_of_layers(architecture, layers)]


def _heads_frame(checkpoint: CheckpointName, found: Sequence[HeadEstimate]) -> pd.DataFrame:
    frame = measure_frame(checkpoint, [(each.condition, each.group, each.estimate) for each in found])
    return frame.assign(
        layer=[each.layer for each in found],
        head=[each.head for each in found],
        q_value=[each.q_value for each in found],
        reason=[each.estimate.reason for each in found],
    )
