"""The decision bounds of the configuration."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """What verdicts depend on.

    ``flatness``: largest exponent of a flat top, as a share of the power law's. ``excess``: smallest factor by which a
    plateau lies above the power law, if not flat. ``plateau_alpha``: largest p of a
    plateau at one checkpoint. ``permutations``: number of permutations behind the p of a trend. ``power``: a negative
    result counts only if the test finds at least this share of planted plateaus. ``alpha``: largest adjusted p that
    counts as a difference. ``dimension_reduction``: smallest relevant reduction of the effective dimension, as a share
    of the control groups' mean. ``cluster_margin``: smallest excess of a division's separation over that of rotated
    neurons that counts as clusters. ``routing_margin``: smallest routing by one head that counts as dedicated, as a
    share of a mean head's effect. ``specialization_margin``: smallest growth of the top neurons' selectivity, in nats,
    that counts as specialization. ``abrupt_width``: a rise is abrupt if its middle half takes less than this in ln
    step. ``hill_reduction``: smallest relevant reduction of the Hill exponent, as a share of the control groups' mean.
    ``selectivity_margin``: smallest excess of the joint effect on rare targets that matters, nats.
    ``match_difference``: matched groups count as controls only if they differ from the group by at most this many
    standard deviations in every matched quantity.
    """

    flatness: float
    excess: float
    plateau_alpha: float
    permutations: int
    power: float
    alpha: float
    dimension_reduction: float
    cluster_margin: float
    routing_margin: float
    specialization_margin: float
    abrupt_width: float
    hill_reduction: float
    selectivity_margin: float
    match_difference: float
