"""Do the neurons of a group form communities? Signed modularity of their correlation graph, against random groups."""

from collections.abc import Mapping, Sequence

import networkx as nx
import numpy as np

from rareneurons.stats import against_controls, correlation_matrix
from rareneurons.tables import Estimate


def signed_modularity(weights: np.ndarray, communities: Sequence[set[int]]) -> float:
    """Modularity of a signed graph (Gomez, Jensen & Arenas 2009, PRE 80, 016114, eq. 14).

    Positive links inside communities raise it and negative ones lower it, each against what the nodes' strengths
    of that sign let expect, the two parts weighted by their total strength.

    Args:
        weights: symmetric (n, n), the diagonal is ignored.
        communities: sets of node indices that cover all nodes.
    """
    label = np.empty(len(weights), dtype=int)
    for number, community in enumerate(communities):
        label[list(community)] = number
    same = label[:, None] == label[None, :]
    off = weights - np.diag(np.diag(weights))
    total, quality = 0.0, 0.0
    for sign in (1, -1):
        part = np.clip(sign * off, 0, None)
        strength = part.sum(1)
        doubled = strength.sum()
        if doubled > 0:
            quality += sign * float(((part - np.outer(strength, strength) / doubled) * same).sum())
            total += float(doubled)
    return quality / total if total > 0 else 0.0


def positive_communities(weights: np.ndarray, seed: int) -> list[set[int]]:
    """Louvain communities of the positive part of a correlation graph (Blondel et al. 2008), resolution 1."""
    positive = np.clip(weights, 0, None)
    np.fill_diagonal(positive, 0)
    return nx.community.louvain_communities(nx.from_numpy_array(positive), weight="weight", seed=seed)


def organization_measures(correlation: np.ndarray, seed: int) -> dict[str, float]:
    """Signed modularity and number of communities of one group, from its correlation matrix (n, n).

    NaN where a neuron is constant.
    """
    if not np.isfinite(correlation).all():
        return {"signed_modularity": float("nan"), "n_communities": float("nan")}
    communities = positive_communities(correlation, seed)
    return {
        "signed_modularity": signed_modularity(correlation, communities),
        "n_communities": float(len(communities)),
    }


def group_organization(
    activation: np.ndarray,
    groups: Mapping[str, tuple[np.ndarray, Sequence[np.ndarray]]],
    rng: np.random.Generator,
) -> list[tuple[str, Estimate]]:
    """Modularity of groups, each with an empirical p against control groups of its size.

    Args:
        activation: (T, N) held-out activations of all last-MLP neurons.
        groups: name -> (neuron indices, neuron indices of each control group). Groups of one size share their
            controls, whose communities are then searched once.
        rng: seeds the community search.

    Returns:
        (group, estimate): one estimate a measure (``n`` rows) and one ``<measure>.null_mean``; no interval, the search
        is not resampled.
    """
    seed = int(rng.integers(2**31))
    correlation = correlation_matrix(activation)
    null_by_size: dict[int, list[dict[str, float]]] = {}
    estimates = []
    for group, (members, controls) in groups.items():
        if len(members) not in null_by_size:
            null_by_size[len(members)] = [organization_measures(correlation[np.ix_(c, c)], seed) for c in controls]
        null = null_by_size[len(members)]
        mine = organization_measures(correlation[np.ix_(members, members)], seed)
        for name, unit in (("signed_modularity", "modularity"), ("n_communities", "communities")):
            estimate = Estimate(name, mine[name], unit, len(activation))
            completed = against_controls(estimate, [], [m[name] for m in null], "two-sided")
            estimates += [(group, each) for each in completed]
    return estimates
