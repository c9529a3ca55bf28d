"""Properties of neurons, averaged over groups and compared with controls."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.evidence import Evidence, Measured
from rareneurons.groups import SMALLEST_GROUP, ControlledGroup, ControlledGroups
from rareneurons.known_types.declared import UNITS
from rareneurons.stats import against_controls, frame_of_tests
from rareneurons.tables import Estimate, draws_frame

NOT_DEFINED = "not defined where a norm follows the last MLP or logits are soft-capped"


@dataclass(frozen=True, kw_only=True)
class NeuronEvidence(Evidence):
    """The evidence, and ``neurons``: every neuron's properties, as ``known_types.declared`` describes them."""

    neurons: pd.DataFrame


@dataclass(frozen=True)
class NeuronTypeSettings:
    """Nothing to set."""


def neuron_type_estimates(
    evidence: NeuronEvidence, groups: ControlledGroups, settings: NeuronTypeSettings, rng: np.random.Generator
) -> Measured:
    """Token-frequency and entropy properties of groups, on held-out rows of the condition that they were chosen on.

    Args:
        evidence: ``neurons``.
        groups: the groups with their controls. Those of fewer than ``SMALLEST_GROUP`` neurons are left out.
        settings: none.
        rng: not used, since nothing is drawn.

    Returns:
        The table as :func:`group_types` describes it, with adjusted p-values; no draws.
    """
    neurons = evidence.neurons.sort_values("neuron")
    found = [
        (evidence.chosen_on, group, estimate)
        for group, controlled in groups.items()
        if len(controlled.members) >= SMALLEST_GROUP
        for estimate in group_types(neurons, controlled)
    ]
    return Measured(frame_of_tests(evidence.checkpoint, found), draws_frame(evidence.checkpoint, []))


def group_types(properties: pd.DataFrame, group: ControlledGroup) -> list[Estimate]:
    """Mean of each property over a group, compared with each kind of controls; of a type, the share of its neurons.

    Args:
        properties: one row per neuron, in order, with the columns ``UNITS``.
        group: the group with its controls.

    Returns:
        Each of ``UNITS`` with each kind of controls, with a two-sided empirical p and without interval. ``n`` counts
        neurons. NaN with a reason where a neuron of the group lacks the property.
    """
    found = []
    for name, unit in UNITS.items():
        values = properties[name].to_numpy()
        mean = float(values[group.members].mean())
        for kind, drawn in group.controls.items():
            reason = "" if len(drawn) else f"no {kind} controls: too few other neurons"
            if not np.isfinite(mean):
                reason = NOT_DEFINED if np.isnan(values).all() else "not defined for a neuron of the group"
            estimate = Estimate(name, mean, unit, len(group.members), reason=reason, against=kind)
            found.append(against_controls(estimate, [], values[drawn].mean(1), "two-sided"))
    return found
