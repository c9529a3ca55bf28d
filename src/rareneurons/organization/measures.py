"""Every measure of a group's organization, of its control groups, its circular shifts and its bootstrap draws."""

from collections.abc import Callable, Mapping

import numpy as np

from rareneurons.groups import ControlledGroup
from rareneurons.organization.activations import LayerActivations, Shifts, rotations, subgraphs
from rareneurons.organization.communities import (
    consensus_partitions,
    partition_agreement,
    signed_modularity,
    silhouettes,
)
from rareneurons.organization.information import bin_masks, chosen_pairs, linear_information, mutual_information
from rareneurons.organization.settings import OrganizationSettings

SHIFT = "shift"  # the null that keeps each neuron's activations and breaks their relations
GROUP, DRAWS = "group", "draws"  # the other kinds of values: of the group itself, and of its bootstrap draws
LINEAR, SHUFFLED, OUTPUT_WEIGHTS = "linear", "shuffled_rows", "w_out"  # parts
Measure = tuple[str, str]  # measure and part
AGREEMENT: Measure = ("partition_agreement", "")
# Measure -> kind (group, a kind of controls, shift, draws) -> values of all groups of that kind.
Values = dict[Measure, dict[str, np.ndarray]]


def partitions(
    graphs: np.ndarray, settings: OrganizationSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Consensus partitions of graphs (G, n, n), some of which may hold NaN.

    Returns:
        Community labels (G, n), which graphs are finite (G,), and the graphs with zeros in place of those that are not.
    """
    known = np.isfinite(graphs).all((1, 2))
    graphs = np.where(known[:, None, None], graphs, 0.0)
    return consensus_partitions(graphs, settings.seeds, settings.resolutions, rng), known, graphs


def activation_values(
    layer: LayerActivations,
    group: ControlledGroup,
    resampled: tuple[np.ndarray, np.ndarray],
    settings: OrganizationSettings,
    rng: np.random.Generator,
) -> Values:
    """Communities and mutual information of a group's activations.

    The group, its controls, its shifts and its bootstrap draws go through one search with the same node orders.

    Args:
        layer: activations of the whole layer.
        group: the group with its controls; kinds without control groups are left out.
        resampled: bootstrap draws, as :meth:`LayerActivations.resampled` returns them.
        settings: how much is computed.
        rng: draws offsets, node orders and pairs.
    """
    members, controls = group.members, _drawn(group)
    shifts = Shifts(layer, members, settings.shifts, rng)
    weights, draws = resampled
    graphs = {
        GROUP: subgraphs(layer.correlation, [members]),
        **{kind: subgraphs(layer.correlation, drawn) for kind, drawn in controls.items()},
        SHIFT: shifts.correlations,
        DRAWS: draws,
    }
    found = _community_values(graphs, subgraphs(layer.discovery_correlation, [members]), settings, rng)
    pairs = chosen_pairs(len(members), settings.pairs, rng)
    linear = {kind: linear_information(stack[:, pairs[:, 0], pairs[:, 1]]).mean(1) for kind, stack in graphs.items()}
    return (
        found
        | _information_values(layer, group, shifts, weights, pairs, rng)
        | {("mutual_information", LINEAR): linear}
    )


def _drawn(group: ControlledGroup) -> dict[str, np.ndarray]:
    """The kinds of controls that the group has at least one of."""
    return {kind: drawn for kind, drawn in group.controls.items() if len(drawn)}


def _community_values(
    heldout: Mapping[str, np.ndarray],
    discovery: np.ndarray,
    settings: OrganizationSettings,
    rng: np.random.Generator,
) -> Values:
    """Quality of the held-out partitions, and how far the group's agree with its own of discovery rows (1, n, n)."""
    labels, known, graphs = partitions(np.concatenate(list(heldout.values())), settings, rng)
    split = _splitter({kind: len(stack) for kind, stack in heldout.items()})
    measured = {(name, ""): split(values) for name, values in _partition_quality(graphs, labels, known).items()}
    before, _, _ = partitions(discovery, settings, rng)
    by_kind = split(labels)
    agreement = {
        kind: partition_agreement(np.repeat(before, len(by_kind[kind]), axis=0), by_kind[kind])
        for kind in (GROUP, DRAWS)
        if len(by_kind[kind])
    }
    return measured | {AGREEMENT: agreement}


def _partition_quality(graphs: np.ndarray, labels: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    """Modularity, silhouette and number of communities of partitions (G, n); NaN for graphs that are not ``known``."""
    return {
        "signed_modularity": np.where(known, signed_modularity(graphs, labels), np.nan),
        "silhouette": np.where(known, silhouettes(1 - np.abs(graphs), labels), np.nan),
        "communities": np.where(known, labels.max(1) + 1.0, np.nan),
    }


def _splitter(sizes: Mapping[str, int]) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Function that cuts the values of stacked groups into those of each kind."""
    ends = np.cumsum(list(sizes.values()))[:-1]
    return lambda values: dict(zip(sizes, np.split(values, ends), strict=True))


def _information_values(
    layer: LayerActivations,
    group: ControlledGroup,
    shifts: Shifts,
    weights: np.ndarray,
    pairs: np.ndarray,
    rng: np.random.Generator,
) -> Values:
    """Mean mutual information over pairs of places (P, 2) in the group; the places are the same in every control."""

    def mean_of(groups: np.ndarray) -> np.ndarray:
        wanted = groups[:, pairs].reshape(-1, 2)
        return mutual_information(layer.masks, wanted).reshape(len(groups), -1).mean(1)

    def mean_of_rows(bins: np.ndarray) -> float:
        return float(mutual_information(bin_masks(bins), pairs).mean())

    mine, document = layer.bins[:, group.members], layer.document[layer.binned_rows]
    rotated = rotations(mine)
    found = {GROUP: mean_of(group.members[None])}
    found |= {kind: mean_of(drawn) for kind, drawn in _drawn(group).items()}
    found[SHIFT] = np.array([mean_of_rows(rotated(offset).T) for offset in shifts.bin_offsets])
    found[DRAWS] = np.array([mean_of_rows(np.repeat(mine, draw[document], axis=0)) for draw in weights])
    shuffled = {GROUP: np.array([mean_of_rows(rng.permuted(mine, axis=0))])}
    return {("mutual_information", ""): found, ("mutual_information", SHUFFLED): shuffled}


def weight_values(
    output_weight: np.ndarray, group: ControlledGroup, settings: OrganizationSettings, rng: np.random.Generator
) -> Values:
    """Communities of the cosines of a group's output weights, and distances between its neuron indices.

    Args:
        output_weight: (N, d) output weights of all neurons.
        group: the group with its controls; kinds without control groups are left out.
        settings: searches.
        rng: draws node orders.
    """
    groups = {GROUP: group.members[None], **_drawn(group)}
    everything = np.concatenate(list(groups.values()))
    graphs = np.stack([_cosines(output_weight[members]) for members in everything])
    labels, known, graphs = partitions(graphs, settings, rng)
    split = _splitter({kind: len(drawn) for kind, drawn in groups.items()})
    quality = _partition_quality(graphs, labels, known)
    places = {"index_distance": mean_index_distance(everything), "index_gap": mean_index_gap(everything)}
    return {(name, OUTPUT_WEIGHTS): split(values) for name, values in quality.items()} | {
        (name, ""): split(values) for name, values in places.items()
    }


def _cosines(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def mean_index_distance(groups: np.ndarray) -> np.ndarray:
    """Mean absolute difference of two members' indices (G,), for groups (G, n)."""
    n = groups.shape[1]
    # In sorted order, the k-th of n values (k from 0) enters the sum of pairwise differences 2k - n + 1 times.
    return np.sort(groups, axis=1) @ (2.0 * np.arange(n) - n + 1) / (n * (n - 1) / 2)


def mean_index_gap(groups: np.ndarray) -> np.ndarray:
    """Mean distance from a member's index to the nearest other member's (G,), for groups (G, n)."""
    gaps = np.diff(np.sort(groups, axis=1), axis=1).astype(float)
    edge = np.full((len(groups), 1), np.inf)
    return np.minimum(np.hstack([edge, gaps]), np.hstack([gaps, edge])).mean(1)
