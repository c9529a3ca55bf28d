"""How much of a group's organization is computed."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OrganizationSettings:
    """How much is computed.

    ``bootstrap``: draws of documents; ``shifts``: circular shifts; ``seeds`` and ``resolutions``: searches per
    graph, whose consensus is taken; ``pairs``: the most pairs of a group whose mutual information is estimated;
    ``rotations``: random mixtures of a group's neurons, with which its division is compared; ``plants``: planted
    divisions behind the power of that comparison.
    """

    bootstrap: int
    shifts: int
    seeds: int
    resolutions: Sequence[float]
    pairs: int
    rotations: int
    plants: int
