"""The claims, and what verdicts on them depend on."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["supported", "contradicted", "undecided"]


@dataclass(frozen=True)
class Bounds:
    """What verdicts depend on.

    ``condition`` and ``contrast``: what the claims call rare and common; ``flatness``: largest exponent of a plateau,
    as a share of the power law's; ``plateau_alpha``: largest p of a plateau at one checkpoint; ``permutations``: behind
    a trend's p; ``power``: least share of planted plateaus a test must find before its "no" counts; ``alpha``: largest
    adjusted p that counts as a difference; ``dimension_reduction``: reduction of the effective dimension, as a share of
    the matched groups' mean, that a "no" must exclude; ``modularity_margin``: smallest excess of modularity over
    matched controls that would be clusters; ``routing_margin``: smallest routing by one head, as a share of a mean
    head's effect, that would be dedicated; ``specialization_margin``: smallest growth of the head's share of the
    influence that would be specialization; ``abrupt_share``: largest share of a gradual change that lies between two
    neighbouring checkpoints; ``abrupt_factor``: how far apart, as a ratio of steps, these may lie for a larger share to
    be called abrupt; ``hill_reduction``: reduction of the Hill exponent, as a share of the matched groups' mean, that
    its "no" excludes.
    """

    condition: str
    contrast: str
    flatness: float
    plateau_alpha: float
    permutations: int
    power: float
    alpha: float
    dimension_reduction: float
    modularity_margin: float
    routing_margin: float
    specialization_margin: float
    abrupt_share: float
    abrupt_factor: float
    hill_reduction: float


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    ``table`` and ``measure``: where the number that speaks to it stands; ``effect``: that number in words, where it is
    one that models can be averaged over.
    """

    name: str
    text: str
    table: str
    measure: str
    effect: str = ""
