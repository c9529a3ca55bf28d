"""Correlation matrices of groups with their communities, for drawing."""

import numpy as np

from rareneurons.groups import ControlledGroups
from rareneurons.organization.activations import LayerActivations, subgraphs
from rareneurons.organization.communities import signed_modularity
from rareneurons.organization.measures import partitions
from rareneurons.organization.settings import OrganizationSettings

CANDIDATES = 21  # matched controls among which the one to draw is chosen


def community_pictures(
    layer: LayerActivations, groups: ControlledGroups, settings: OrganizationSettings, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Correlation matrices and communities of groups, and of one matched control each.

    The control is the one of median modularity among the first ``CANDIDATES``.

    Args:
        layer: activations of the whole layer.
        groups: the groups with their controls. Groups that cannot be measured are left out.
        settings: searches.
        rng: draws node orders.

    Returns:
        ``<group>.correlation`` (n, n), ``<group>.community`` (n,), and ``<group>.matched_correlation``,
        ``<group>.matched_community`` of the control, if the group has matched controls.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, group in groups.items():
        if layer.why_unknown(group.members):
            continue
        together = [group.members, *group.controls["matched"][:CANDIDATES]]
        labels, known, graphs = partitions(subgraphs(layer.correlation, together), settings, rng)
        arrays |= {f"{name}.correlation": graphs[0], f"{name}.community": labels[0]}
        usable = np.flatnonzero(known[1:]) + 1
        if len(usable):
            by_quality = usable[np.argsort(signed_modularity(graphs, labels)[usable])]
            typical = by_quality[len(by_quality) // 2]
            arrays |= {f"{name}.matched_correlation": graphs[typical], f"{name}.matched_community": labels[typical]}
    return arrays
