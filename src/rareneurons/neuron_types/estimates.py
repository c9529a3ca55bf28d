"""Properties of every neuron of a checkpoint, and their means over groups against controls."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from rareneurons.evidence import Evidence, Measured
from rareneurons.groups import SMALLEST_GROUP, ControlledGroup, ControlledGroups
from rareneurons.logit_lens import top_tokens
from rareneurons.models.last_layer import LastLayer
from rareneurons.neuron_types.properties import UNITS, frequency_effects, unigram_direction, weight_properties
from rareneurons.rows import in_condition
from rareneurons.stats import against_controls, frame_of_tests
from rareneurons.tables import Estimate, draws_frame


@dataclass(frozen=True, kw_only=True)
class NeuronEvidence(Evidence):
    """The evidence, and what else the properties of single neurons are computed from.

    ``residual`` (T, d): residual that enters the final norm at each row; ``reference`` (N,): values that ablation puts
    in place of the activations; ``influence``: the checkpoint's influence table; ``counts`` (C,): unigram counts by
    token id; ``vocabulary`` (K,): ids of the tokens that a neuron may be said to promote or suppress.
    """

    residual: np.ndarray
    reference: np.ndarray
    influence: pd.DataFrame
    counts: np.ndarray
    vocabulary: np.ndarray


@dataclass(frozen=True)
class NeuronTypeSettings:
    """``device``: torch device of the computation; ``progress``: wraps the loop over batches of rows."""

    device: str = "cpu"
    progress: Callable[[Iterable[int]], Iterable[int]] = field(default=iter)


def neuron_type_estimates(
    evidence: NeuronEvidence, groups: ControlledGroups, settings: NeuronTypeSettings, rng: np.random.Generator
) -> Measured:
    """Token-frequency and entropy properties of groups, on held-out rows of the condition that they were chosen on.

    Args:
        evidence: ``rows``, ``activation``, ``last_layer``, and the fields of :class:`NeuronEvidence`.
        groups: the groups with their controls. Those of fewer than ``SMALLEST_GROUP`` neurons are left out.
        settings: device and progress.
        rng: not used, since nothing is drawn.

    Returns:
        The table as :func:`group_types` describes it, with adjusted p-values; no draws; and the product ``neurons``:
        identity, ``layer`` and ``neuron``, the properties ``UNITS`` of each neuron, and the ids of the tokens that it
        ``promoted`` and ``suppressed`` most, (k,) each.
    """
    condition, name = evidence.chosen_on, evidence.checkpoint
    layer = LastLayer.from_arrays(evidence.last_layer)
    neurons = _neurons(layer, evidence, settings)
    found = [
        (condition, group, estimate)
        for group, controlled in groups.items()
        if len(controlled.members) >= SMALLEST_GROUP
        for estimate in group_types(neurons, controlled, layer.no_closed_form or "")
    ]
    return Measured(frame_of_tests(name, found), draws_frame(name, []), {"neurons": name.labelled(neurons)})


def _neurons(layer: LastLayer, evidence: NeuronEvidence, settings: NeuronTypeSettings) -> pd.DataFrame:
    """The product ``neurons`` without the identity."""
    condition, influence = evidence.chosen_on, evidence.influence
    heldout = in_condition(evidence.rows, condition, "heldout")
    direction = unigram_direction(evidence.counts, len(layer.unembedding))
    properties = weight_properties(layer, direction)
    layer = layer.to(settings.device, torch.float32)
    properties["frequency_effect"] = frequency_effects(
        layer,
        evidence.residual[heldout],
        evidence.activation[heldout],
        evidence.reference,
        evidence.rows["target"].to_numpy()[heldout],
        direction,
        settings.progress,
    )
    mine = influence[(influence["condition"] == condition) & (influence["split"] == "heldout")].sort_values("neuron")
    properties["frequency_share"] = properties["frequency_effect"] / mine["mean_abs_delta_loss"].to_numpy()
    for side, tokens in zip(("promoted", "suppressed"), top_tokens(layer, evidence.vocabulary), strict=True):
        properties[side] = list(tokens)
    properties.insert(0, "layer", mine["layer"].to_numpy())
    properties.insert(1, "neuron", mine["neuron"].to_numpy())
    return properties


def group_types(properties: pd.DataFrame, group: ControlledGroup, why_unknown: str = "") -> list[Estimate]:
    """Mean of each property over a group, against each kind of controls.

    Args:
        properties: one row per neuron, with the columns ``UNITS``.
        group: the group with its controls.
        why_unknown: why the layer has no properties, if so.

    Returns:
        Each of ``UNITS`` against each kind of controls, with a two-sided empirical p and without interval. ``n`` counts
        neurons. NaN with a reason where a neuron of the group lacks the property.
    """
    found = []
    for name, unit in UNITS.items():
        values = properties[name].to_numpy()
        mean = float(values[group.members].mean())
        for kind, drawn in group.controls.items():
            reason = "" if len(drawn) else f"no {kind} controls: too few other neurons"
            if not np.isfinite(mean):
                reason = why_unknown or "not defined for a neuron of the group"
            estimate = Estimate(name, mean, unit, len(group.members), reason=reason, against=kind)
            found.append(against_controls(estimate, [], values[drawn].mean(1), "two-sided"))
    return found
