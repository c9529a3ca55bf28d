"""Correlation matrices of groups with their communities, for drawing."""

import numpy as np

from rareneurons.groups import ControlledGroups
from rareneurons.organization.activations import LayerActivations, subgraphs
from rareneurons.organization.divisions import divide
from rareneurons.organization.settings import OrganizationSettings

CANDIDATES = 21  # matched controls among which the one to draw is chosen


def community_pictures(
    layer: LayerActivations, groups: ControlledGroups, settings: OrganizationSettings, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """What the common factor leaves of correlations, and the communities, of groups and of one matched control each.

    Communities are those of discovery rows, correlations those of held-out rows. The control is the one of median
    separation among the first ``CANDIDATES``.

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
        together = np.stack([group.members, *group.controls["matched"][:CANDIDATES]])
        discovery, heldout = (subgraphs(each, together) for each in (layer.discovery_correlation, layer.correlation))
        usable = np.isfinite(discovery).all((1, 2)) & np.isfinite(heldout).all((1, 2))
        discovery, heldout = discovery[usable], heldout[usable]
        divisions = divide(discovery, settings.seeds, rng)
        residual = divisions.residual(heldout)
        arrays |= {f"{name}.correlation": residual[0], f"{name}.community": divisions.labels[0]}
        if len(heldout) > 1:
            by_clarity = np.argsort(divisions.separation(heldout)[1:]) + 1
            typical = by_clarity[len(by_clarity) // 2]
            arrays |= {
                f"{name}.matched_correlation": residual[typical],
                f"{name}.matched_community": divisions.labels[typical],
            }
    return arrays
