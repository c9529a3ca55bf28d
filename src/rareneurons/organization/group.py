"""Communities, mutual information and places of a group of neurons, each against controls of its size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.groups import SMALLEST_GROUP
from rareneurons.organization.communities import (
    consensus_partitions,
    partition_agreement,
    signed_modularity,
    silhouettes,
)
from rareneurons.organization.information import (
    bin_masks,
    binned,
    chosen_pairs,
    chosen_rows,
    linear_information,
    mutual_information,
)
from rareneurons.stats import against_controls, benjamini_hochberg, correlation_matrix, document_weights, moved_to
from rareneurons.tables import CheckpointName, Estimate, measure_frame

DRAWN_AT_MOST = 21  # controls among which the one to draw is picked
# Drawing documents again repeats some of them, which raises these measures for noise too.
RAISED_BY_REPEATS = {
    "signed_modularity",
    "silhouette",
    "mutual_information",
    "mutual_information_linear",
}
SHIFT = "shift"  # the null that keeps each neuron's activations and breaks their relations
COMMUNITY_UNITS = {
    "signed_modularity": "modularity",
    "silhouette": "silhouette",
    "communities": "communities",
    "partition_agreement": "adjusted Rand index",
}
INFORMATION_UNITS = {"mutual_information": "nats", "mutual_information_linear": "nats"}
ACTIVATION_UNITS = COMMUNITY_UNITS | INFORMATION_UNITS
WEIGHT_UNITS = {
    "weight_modularity": "modularity",
    "weight_silhouette": "silhouette",
    "weight_communities": "communities",
}
INDEX_UNITS = {"index_distance": "neurons", "index_gap": "neurons"}
STATIC_UNITS = WEIGHT_UNITS | INDEX_UNITS


@dataclass(frozen=True)
class Effort:
    """How much is computed.

    ``bootstrap``: draws of documents; ``shifts``: circular shifts; ``seeds`` and ``resolutions``: searches whose
    consensus is taken; ``pairs``: most pairs of a group whose mutual information is estimated.
    """

    bootstrap: int
    shifts: int
    seeds: int
    resolutions: Sequence[float]
    pairs: int


@dataclass(frozen=True)
class Finding:
    """An estimate, and why it has no value where it has none."""

    estimate: Estimate
    reason: str = ""


class LayerActivations:
    """Activations of all neurons on one condition's rows, and what all groups share: correlations and bins.

    Args:
        heldout: (T, N) activations on held-out rows, in the documents' order.
        document: (T,) document id of each held-out row.
        discovery: (T', N) activations on discovery rows.
    """

    def __init__(self, heldout: np.ndarray, document: np.ndarray, discovery: np.ndarray) -> None:
        self.heldout, self.discovery = heldout, discovery
        self.document = np.unique(document, return_inverse=True)[1]
        self.correlation = correlation_matrix(heldout)
        self.discovery_correlation = correlation_matrix(discovery)
        self.binned_rows = chosen_rows(len(heldout))
        self.bins = binned(heldout[self.binned_rows])
        self.masks = bin_masks(self.bins)


def group_organization(
    layer: LayerActivations,
    members: np.ndarray,
    controls: Mapping[str, Sequence[np.ndarray]],
    effort: Effort,
    rng: np.random.Generator,
) -> list[Finding]:
    """Communities and mutual information of a group's activations, with intervals, against controls and shifts.

    Group, controls, shifts and bootstrap draws go through one search with the same node orders.

    Args:
        layer: activations of the whole layer.
        members: (n,) neuron indices of the group.
        controls: kind -> control groups of the group's size.
        effort: draws, shifts, searches.
        rng: draws documents, offsets, node orders and pairs.

    Returns:
        For each measure and null (the controls' kinds and ``shift``) ``<measure>.<null>`` with a two-sided empirical p
        and ``<measure>.<null>.null_mean``; ``mutual_information_shuffled``, the estimate for shuffled rows. ``n``
        counts rows. A group that cannot be measured has NaN for each measure and null, and the reason.
    """
    nulls = [*controls, SHIFT]
    reason = _why_not(layer, members)
    if reason:
        return [Finding(e, reason) for e in _unknown(ACTIVATION_UNITS, nulls, len(layer.heldout))]
    shifts = _Shifts(layer, members, effort.shifts, rng)
    weights = document_weights(int(layer.document.max()) + 1, effort.bootstrap, rng)
    drawn = [correlation_matrix(layer.heldout[:, members], draw[layer.document]) for draw in weights]
    graphs = {
        "group": _subgraphs(layer.correlation, [members]),
        **{kind: _subgraphs(layer.correlation, groups) for kind, groups in controls.items() if len(groups)},
        SHIFT: shifts.correlations,
        "draws": np.stack(drawn) if drawn else np.empty((0, len(members), len(members))),
    }
    discovery = {
        "group": _subgraphs(layer.discovery_correlation, [members]),
        **{kind: _subgraphs(layer.discovery_correlation, groups) for kind, groups in controls.items() if len(groups)},
        SHIFT: shifts.discovery_correlations,
    }
    found = _communities(graphs, discovery, effort, rng)
    information = _information(layer, members, controls, shifts, weights, graphs, effort.pairs, rng)
    shuffled = information.pop("mutual_information_shuffled")
    found |= information
    rows = dict.fromkeys(ACTIVATION_UNITS, len(layer.heldout)) | {"mutual_information": len(layer.binned_rows)}
    findings = [
        finding
        for name, unit in ACTIVATION_UNITS.items()
        for finding in _against_nulls(name, unit, rows[name], found[name], nulls)
    ]
    baseline = Estimate("mutual_information_shuffled", float(shuffled["group"][0]), "nats", rows["mutual_information"])
    return [*findings, Finding(baseline)]


def group_places(
    output_weight: np.ndarray,
    members: np.ndarray,
    controls: Mapping[str, Sequence[np.ndarray]],
    effort: Effort,
    rng: np.random.Generator,
) -> list[Finding]:
    """What does not depend on rows: communities of output weights' cosines, and distances between neuron indices.

    Args:
        output_weight: (N, d) output weights of all neurons.
        members: (n,) neuron indices of the group.
        controls: kind -> control groups of the group's size.
        effort: searches.
        rng: draws node orders.

    Returns:
        Like :func:`group_organization`, without intervals. ``index_distance`` is the mean distance of two members'
        indices, ``index_gap`` the mean distance of a member to the nearest other one. ``n`` counts neurons.
    """
    if len(members) < SMALLEST_GROUP:
        return [Finding(e, _too_small(members)) for e in _unknown(STATIC_UNITS, list(controls), len(members))]
    groups = {"group": [members]} | {kind: drawn for kind, drawn in controls.items() if len(drawn)}
    everything = np.concatenate([np.stack(drawn) for drawn in groups.values()])
    labels, known, graphs = _partitions(np.stack([_cosines(output_weight[group]) for group in everything]), effort, rng)
    measured = {
        "weight_modularity": np.where(known, signed_modularity(graphs, labels), np.nan),
        "weight_silhouette": np.where(known, silhouettes(1 - np.abs(graphs), labels), np.nan),
        "weight_communities": np.where(known, labels.max(1) + 1.0, np.nan),
        "index_distance": mean_index_distance(everything),
        "index_gap": mean_index_gap(everything),
    }
    split = _splitter({kind: len(drawn) for kind, drawn in groups.items()})
    return [
        finding
        for name, unit in STATIC_UNITS.items()
        for finding in _against_nulls(name, unit, len(members), split(measured[name]), list(controls))
    ]


def mean_index_distance(groups: np.ndarray) -> np.ndarray:
    """Mean absolute difference of two members' indices (G,), for groups (G, n)."""
    n = groups.shape[1]
    # In sorted order the k-th of n values enters the sum of pairwise differences 2k - n + 1 times, k from 0.
    return np.sort(groups, axis=1) @ (2.0 * np.arange(n) - n + 1) / (n * (n - 1) / 2)


def mean_index_gap(groups: np.ndarray) -> np.ndarray:
    """Mean distance from a member's index to the nearest other member's (G,), for groups (G, n)."""
    gaps = np.diff(np.sort(groups, axis=1), axis=1).astype(float)
    edge = np.full((len(groups), 1), np.inf)
    return np.minimum(np.hstack([edge, gaps]), np.hstack([gaps, edge])).mean(1)


def community_pictures(
    layer: LayerActivations,
    groups: Mapping[str, tuple[np.ndarray, Sequence[np.ndarray]]],
    effort: Effort,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Correlation matrices and communities of groups, and of one control each, for drawing.

    The control is the one of median modularity among the first ``DRAWN_AT_MOST``.

    Args:
        layer: activations of the whole layer.
        groups: name -> (members, matched controls). Groups that cannot be measured are left out.
        effort: searches.
        rng: draws node orders.

    Returns:
        ``<name>.correlation`` (n, n), ``<name>.community`` (n,), and ``<name>.matched_correlation``,
        ``<name>.matched_community`` of the control, where there are controls.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, (members, controls) in groups.items():
        if _why_not(layer, members):
            continue
        labels, known, graphs = _partitions(
            _subgraphs(layer.correlation, [members, *controls[:DRAWN_AT_MOST]]), effort, rng
        )
        arrays |= {f"{name}.correlation": graphs[0], f"{name}.community": labels[0]}
        usable = np.flatnonzero(known[1:]) + 1
        if len(usable):
            by_quality = usable[np.argsort(signed_modularity(graphs, labels)[usable])]
            typical = by_quality[len(by_quality) // 2]
            arrays |= {f"{name}.matched_correlation": graphs[typical], f"{name}.matched_community": labels[typical]}
    return arrays


def organization_frame(checkpoint: CheckpointName, found: Sequence[tuple[str, str, Finding]]) -> pd.DataFrame:
    """Long table of (condition, group, finding): ``MEASURE_COLUMNS``, ``q_value``, ``reason``.

    ``q_value`` is the p-value adjusted for all tests of the table (Benjamini & Hochberg 1995).
    """
    table = measure_frame(checkpoint, [(condition, group, finding.estimate) for condition, group, finding in found])
    adjusted = benjamini_hochberg(table["p_value"].to_numpy(dtype=float))
    return table.assign(q_value=adjusted, reason=[finding.reason for *_, finding in found])


class _Shifts:
    """The group's activations with every neuron's rows rotated by an offset of its own."""

    def __init__(self, layer: LayerActivations, members: np.ndarray, number: int, rng: np.random.Generator) -> None:
        shape = number, len(members)
        self.offsets = rng.integers(len(layer.heldout), size=shape)
        self.correlations = shifted_correlations(layer.heldout[:, members], self.offsets)
        there = rng.integers(len(layer.discovery), size=shape)
        self.discovery_correlations = shifted_correlations(layer.discovery[:, members], there)
        # The bins are cut on fewer rows: offsets in their own number of rows.
        self.bin_offsets = self.offsets % len(layer.bins)


def rotations(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Function of offsets (n,) that rotates each column of (T, n) down by its own, as ``numpy.roll`` would; (n, T)."""
    n_rows, n = values.shape
    doubled = np.concatenate([values.T, values.T], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(doubled, n_rows, axis=1)
    return lambda offset: windows[np.arange(n), n_rows - offset]


def shifted_correlations(activation: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Correlations (S, n, n) of activations (T, n) after each of S circular shifts (S, n)."""
    values = activation.astype(np.float64)
    centred = values - values.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rotated = rotations(centred / np.linalg.norm(centred, axis=0))
    shifted = (rotated(offset) for offset in offsets)
    return np.stack([each @ each.T for each in shifted])


def _subgraphs(correlation: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    index = np.stack(groups)
    return correlation[index[:, :, None], index[:, None, :]]


def _cosines(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def _partitions(
    graphs: np.ndarray, effort: Effort, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (G, n), which graphs are finite (G,), and the graphs with the others emptied."""
    known = np.isfinite(graphs).all((1, 2))
    graphs = np.where(known[:, None, None], graphs, 0.0)
    return consensus_partitions(graphs, effort.seeds, effort.resolutions, rng), known, graphs


def _communities(
    heldout: Mapping[str, np.ndarray], discovery: Mapping[str, np.ndarray], effort: Effort, rng: np.random.Generator
) -> dict[str, dict[str, np.ndarray]]:
    """Measure -> kind (group, controls, shift, draws) -> values; draws keep the group's discovery partition."""
    labels, known, graphs = _partitions(np.concatenate(list(heldout.values())), effort, rng)
    before, known_before, _ = _partitions(np.concatenate(list(discovery.values())), effort, rng)
    n_draws = len(labels) - len(before)
    before = np.concatenate([before, np.repeat(before[:1], n_draws, axis=0)])
    known_before = np.concatenate([known_before, np.repeat(known_before[:1], n_draws)])
    measured = {
        "signed_modularity": np.where(known, signed_modularity(graphs, labels), np.nan),
        "silhouette": np.where(known, silhouettes(1 - np.abs(graphs), labels), np.nan),
        "communities": np.where(known, labels.max(1) + 1.0, np.nan),
        "partition_agreement": np.where(known & known_before, partition_agreement(before, labels), np.nan),
    }
    split = _splitter({kind: len(stack) for kind, stack in heldout.items()})
    return {name: split(values) for name, values in measured.items()}


def _splitter(sizes: Mapping[str, int]) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Cuts the values of stacked groups into those of each kind."""
    ends = np.cumsum(list(sizes.values()))[:-1]
    return lambda values: dict(zip(sizes, np.split(values, ends), strict=True))


def _information(
    layer: LayerActivations,
    members: np.ndarray,
    controls: Mapping[str, Sequence[np.ndarray]],
    shifts: _Shifts,
    weights: np.ndarray,
    graphs: Mapping[str, np.ndarray],
    most_pairs: int,
    rng: np.random.Generator,
) -> dict[str, dict[str, np.ndarray]]:
    """Mean over pairs of places in the group, the same for every control; like :func:`_communities`."""
    pairs = chosen_pairs(len(members), most_pairs, rng)
    of_pairs = {kind: linear_information(stack[:, pairs[:, 0], pairs[:, 1]]).mean(1) for kind, stack in graphs.items()}

    def mean_of(groups: Sequence[np.ndarray]) -> np.ndarray:
        wanted = np.stack(groups)[:, pairs].reshape(-1, 2)
        return mutual_information(layer.masks, wanted).reshape(len(groups), -1).mean(1)

    def mean_of_rows(bins: np.ndarray) -> float:
        return float(mutual_information(bin_masks(bins), pairs).mean())

    mine, document = layer.bins[:, members], layer.document[layer.binned_rows]
    rotated = rotations(mine)
    estimated = {"group": mean_of([members])}
    estimated |= {kind: mean_of(groups) for kind, groups in controls.items() if len(groups)}
    estimated[SHIFT] = np.array([mean_of_rows(rotated(offset).T) for offset in shifts.bin_offsets])
    estimated["draws"] = np.array([mean_of_rows(np.repeat(mine, draw[document], axis=0)) for draw in weights])
    shuffled = {"group": np.array([mean_of_rows(rng.permuted(mine, axis=0))])}
    return {
        "mutual_information": estimated,
        "mutual_information_linear": of_pairs,
        "mutual_information_shuffled": shuffled,
    }


def _against_nulls(
    name: str, unit: str, n: int, found: Mapping[str, np.ndarray], nulls: Sequence[str]
) -> list[Finding]:
    """One measure against each null.

    Bootstrap draws of a measure that repeated documents raise are moved so that their mean is the value: the nulls do
    not have that bias, and neither may the interval that is held against them.
    """
    value = float(found["group"][0])
    draws = found.get("draws", np.empty(0))
    if name in RAISED_BY_REPEATS:
        draws = moved_to(value, draws)
    findings = []
    for null in nulls:
        estimate = Estimate(f"{name}.{null}", value, unit, n)
        controls = found.get(null, np.empty(0))
        reason = ""
        if not np.isfinite(value):
            reason = "all neurons share one community" if "silhouette" in name else "not defined for these neurons"
        elif not np.isfinite(controls).any():
            reason = f"no {null} group of this size to hold it against"
        mine, mean = against_controls(estimate, list(draws), list(controls), "two-sided")
        findings += [Finding(mine, reason), Finding(mean, reason)]
    return findings


def _unknown(units: Mapping[str, str], nulls: Sequence[str], n: int) -> list[Estimate]:
    return [Estimate(f"{name}.{null}", float("nan"), unit, n) for name, unit in units.items() for null in nulls]


def _too_small(members: np.ndarray) -> str:
    return f"{len(members)} neurons, at least {SMALLEST_GROUP} are needed"


def _why_not(layer: LayerActivations, members: np.ndarray) -> str:
    """Why a group cannot be measured; empty where it can."""
    if len(members) < SMALLEST_GROUP:
        return _too_small(members)
    for split, values in (("held-out", layer.heldout), ("discovery", layer.discovery)):
        if len(values) < len(members):
            return f"{len(values)} {split} rows for {len(members)} neurons; at least as many are needed"
        constant = members[np.ptp(values[:, members], axis=0) == 0]
        if len(constant):
            return f"constant on {split} rows: neuron {', '.join(map(str, constant))}"
    return ""
