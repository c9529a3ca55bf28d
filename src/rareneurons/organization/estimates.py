"""Organization of a checkpoint's groups: communities, mutual information and places, with intervals and tests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from rareneurons.evidence import Evidence, Measured
from rareneurons.groups import CONTROL_KINDS, SMALLEST_GROUP, ControlledGroup, ControlledGroups
from rareneurons.organization.activations import LayerActivations, subgraphs, too_small
from rareneurons.organization.divisions import (
    division_test,
    planted_correlation,
    power_of_division,
    separations,
)
from rareneurons.organization.measures import (
    AGREEMENT,
    DRAWS,
    GROUP,
    LINEAR,
    OUTPUT_WEIGHTS,
    SHIFT,
    SHUFFLED,
    Measure,
    Values,
    activation_values,
    weight_values,
)
from rareneurons.organization.pictures import community_pictures
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.stats import against_controls, frame_of_tests, moved_to, percentile_interval
from rareneurons.tables import DIFFERENCE, Estimate, beside_controls, draws_frame

# Measure and part -> unit.
ACTIVATION_UNITS: dict[Measure, str] = {
    ("signed_modularity", ""): "modularity",
    ("silhouette", ""): "silhouette",
    ("communities", ""): "communities",
    ("mutual_information", ""): "nats",
    ("mutual_information", LINEAR): "nats",
}
STATIC_UNITS: dict[Measure, str] = {
    ("signed_modularity", OUTPUT_WEIGHTS): "modularity",
    ("silhouette", OUTPUT_WEIGHTS): "silhouette",
    ("communities", OUTPUT_WEIGHTS): "communities",
    ("index_distance", ""): "neurons",
    ("index_gap", ""): "neurons",
}
ROTATION = "rotation"  # the null of divisions: random mixtures of the group's neurons
SEPARATION = "separation"
# Of a group's division: share of planted divisions that are found, the correlation within their blocks, and the share
# of the variance that the common factor had.
DIVISION_POWER, PLANTED_CORRELATION, COMMON_FACTOR = "division_power", "planted_correlation", "common_factor"
# A bootstrap draw holds some documents several times, which raises these measures for noise too.
RAISED_BY_REPEATS = {"signed_modularity", "silhouette", "mutual_information"}


def organization_estimates(
    evidence: Evidence, groups: ControlledGroups, settings: OrganizationSettings, rng: np.random.Generator
) -> Measured:
    """Organization of groups on the held-out rows of both conditions, in their output weights and their indices.

    Args:
        evidence: ``rows``, ``activation``, and ``last_layer`` (``output_weight``). Measures that do not depend on rows
            are listed at the condition that neurons were chosen on.
        groups: the groups with their controls.
        settings: how much is computed.
        rng: draws offsets, documents, node orders and pairs.

    Returns:
        The table as :func:`group_organization` and :func:`group_places` describe it, with adjusted p-values; no draws;
        and the product ``pictures``, as :func:`community_pictures` returns it for the condition that neurons were
        chosen on.
    """
    found: list[tuple[str, str, Estimate]] = []
    pictures: dict[str, np.ndarray] = {}
    # In the order of the groups' table, which has suppressing neurons last; it decides which draws a group gets.
    ordered = sorted(groups, key=lambda name: name.startswith("suppress_"))
    for condition in evidence.conditions:
        heldout, document = evidence.at(condition, "heldout")
        layer = LayerActivations(heldout, document, evidence.at(condition, "discovery")[0])
        for name in ordered:
            found += [(condition, name, each) for each in group_organization(layer, groups[name], settings, rng)]
        if condition == evidence.chosen_on:
            pictures = community_pictures(layer, groups, settings, rng)
    for name in ordered:
        places = group_places(evidence.last_layer["output_weight"], groups[name], settings, rng)
        found += [(evidence.chosen_on, name, each) for each in places]
    checkpoint = evidence.checkpoint
    return Measured(frame_of_tests(checkpoint, found), draws_frame(checkpoint, []), {"pictures": pictures})


def paper_table(organization: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 3: groups by measures, as :func:`beside_controls` lays them out.

    Args:
        organization: the measure's table over models and checkpoints.
    """
    return beside_controls(organization, (*CONTROL_KINDS, SHIFT, ROTATION))


def group_organization(
    layer: LayerActivations, group: ControlledGroup, settings: OrganizationSettings, rng: np.random.Generator
) -> list[Estimate]:
    """Division, communities and mutual information of a group's activations, against controls and shifts.

    Args:
        layer: activations of the whole layer.
        group: the group with its controls.
        settings: how much is computed.
        rng: draws offsets, documents, node orders and pairs.

    Returns:
        Each of ``ACTIVATION_UNITS`` with each kind of controls and with ``shift``, with a document-bootstrap
        interval and a two-sided empirical p; ``partition_agreement`` of the communities of discovery and held-out rows;
        ``mutual_information`` of the part ``shuffled_rows``, the estimate for
        neurons whose rows were shuffled; and the numbers of :func:`group_division`. ``n`` counts rows. NaN with a
        reason if the group cannot be measured.
    """
    nulls = [*group.controls, SHIFT]
    reason = layer.why_unknown(group.members)
    if reason:
        unknown = _unknown(ACTIVATION_UNITS, nulls, len(layer.heldout), reason)
        return unknown + group_division(layer, group, settings, rng)
    resampled = layer.resampled(group.members, settings.bootstrap, rng)
    values = activation_values(layer, group, resampled, settings, rng)
    n_rows = dict.fromkeys(ACTIVATION_UNITS, len(layer.heldout)) | {("mutual_information", ""): len(layer.binned_rows)}
    shuffled = float(values["mutual_information", SHUFFLED][GROUP][0])
    agreement = values[AGREEMENT]
    return [
        *_compared(ACTIVATION_UNITS, values, n_rows, nulls),
        Estimate("mutual_information", shuffled, "nats", len(layer.binned_rows), part=SHUFFLED),
        Estimate(
            *(AGREEMENT[0], float(agreement[GROUP][0]), "adjusted Rand index", len(layer.heldout)),
            *percentile_interval(agreement.get(DRAWS, np.empty(0))),
        ),
        *group_division(layer, group, settings, rng, resampled[1]),
    ]


def group_division(
    layer: LayerActivations,
    group: ControlledGroup,
    settings: OrganizationSettings,
    rng: np.random.Generator,
    draws: np.ndarray | None = None,
) -> list[Estimate]:
    """Does the group divide into discrete clusters, once a common factor is taken out? See ``divisions``.

    Args:
        layer: activations of the whole layer.
        group: the group with its controls.
        settings: how much is computed.
        rng: draws rotations, plants, node orders and, if they are not given, documents.
        draws: (B, n, n) correlations of the group in each bootstrap draw of held-out documents.

    Returns:
        ``SEPARATION`` against ``ROTATION`` (p of "greater") and compared with each kind of controls (two-sided); its
        ``difference`` from the mean of the rotations; ``DIVISION_POWER`` with ``PLANTED_CORRELATION``; and
        ``COMMON_FACTOR``. NaN with a reason if the group cannot be measured.
    """
    members, n_rows, seeds = group.members, len(layer.heldout), settings.seeds
    if reason := layer.why_unknown(members):
        return _unknown({(SEPARATION, ""): "correlation"}, [*group.controls, ROTATION], n_rows, reason)
    if draws is None:
        _, draws = layer.resampled(members, settings.bootstrap, rng)
    here, n_documents = np.ix_(members, members), int(layer.document.max()) + 1
    test = division_test(
        layer.discovery_correlation[here], layer.correlation[here], draws, settings.rotations, seeds, rng
    )
    measured = Estimate(SEPARATION, test.separation, "correlation", n_rows)
    found = [
        against_controls(replace(measured, against=ROTATION), test.draws, test.null, "greater"),
        Estimate(
            *(SEPARATION, test.excess, "correlation", n_rows, *test.excess_interval(n_documents)),
            quantity=DIFFERENCE,
            against=ROTATION,
        ),
    ]
    for kind, drawn in group.controls.items():
        scores = np.empty(0)
        if len(drawn):
            both = subgraphs(layer.discovery_correlation, drawn), subgraphs(layer.correlation, drawn)
            scores = separations(*both, seeds, rng)
        reason = "" if np.isfinite(scores).any() else f"no {kind} group of this size to compare it with"
        compared = replace(measured, against=kind, reason=reason)
        found.append(against_controls(compared, test.draws, scores, "two-sided"))
    within = planted_correlation(test.separation)
    rows = layer.discovery[:, members], layer.heldout[:, members]
    power = power_of_division(*rows, within, settings.plants, seeds, rng)
    return [
        *found,
        Estimate(DIVISION_POWER, power, "share of plants", settings.plants),
        Estimate(PLANTED_CORRELATION, within, "correlation", settings.plants),
        Estimate(COMMON_FACTOR, test.factor, "share of the variance", len(layer.discovery)),
    ]


def group_places(
    output_weight: np.ndarray, group: ControlledGroup, settings: OrganizationSettings, rng: np.random.Generator
) -> list[Estimate]:
    """What does not depend on rows: communities of output weights' cosines, and distances between neuron indices.

    Args:
        output_weight: (N, d) output weights of all neurons.
        group: the group with its controls.
        settings: searches.
        rng: draws node orders.

    Returns:
        Each of ``STATIC_UNITS`` compared with each kind of controls, with a two-sided empirical p and without interval.
        ``index_distance`` is the mean distance of two members' indices, ``index_gap`` the mean distance of a member to
        the nearest other one. ``n`` counts neurons. NaN with a reason if the group is too small.
    """
    nulls, n = list(group.controls), len(group.members)
    if n < SMALLEST_GROUP:
        return _unknown(STATIC_UNITS, nulls, n, too_small(group.members))
    values = weight_values(output_weight, group, settings, rng)
    return _compared(STATIC_UNITS, values, dict.fromkeys(STATIC_UNITS, n), nulls)


def _compared(
    units: Mapping[Measure, str], values: Values, n: Mapping[Measure, int], nulls: Sequence[str]
) -> list[Estimate]:
    """Each measure compared with each null.

    Bootstrap draws of a measure that repeated documents raise are moved so that their mean is the value. The nulls do
    not have that bias, so neither may the interval that is compared with them.
    """
    found = []
    for (measure, part), unit in units.items():
        mine = values[measure, part]
        value, draws = float(mine[GROUP][0]), mine.get(DRAWS, np.empty(0))
        if measure in RAISED_BY_REPEATS:
            draws = moved_to(value, draws)
        for null in nulls:
            controls = mine.get(null, np.empty(0))
            reason = ""
            if not np.isfinite(value):
                one = measure == "silhouette"
                reason = "all neurons share one community" if one else "not defined for these neurons"
            elif not np.isfinite(controls).any():
                reason = f"no {null} group of this size to compare it with"
            estimate = Estimate(measure, value, unit, n[measure, part], reason=reason, part=part, against=null)
            found.append(against_controls(estimate, draws, controls, "two-sided"))
    return found


def _unknown(units: Mapping[Measure, str], nulls: Sequence[str], n: int, reason: str) -> list[Estimate]:
    return [
        Estimate(measure, float("nan"), unit, n, reason=reason, part=part, against=null)
        for (measure, part), unit in units.items()
        for null in nulls
    ]
