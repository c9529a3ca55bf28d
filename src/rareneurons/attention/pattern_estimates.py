"""How alike rare and common rows attend: for each head, and as a mean over heads."""

from collections.abc import Sequence

import numpy as np

from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.head_estimates import (
    EVERYTHING,
    GroupAndHeadEstimates,
    HeadEstimate,
    heads_and_mean,
    with_bootstrap_interval,
)
from rareneurons.attention.patterns import Patterns, cosine, divergence, shuffled_divergences
from rareneurons.stats import against_controls, moved_to
from rareneurons.tables import Estimate


def pattern_estimates(
    patterns: Patterns,
    heads: Sequence[tuple[int, int]],
    belongs: np.ndarray,
    pair: ConditionPair,
    n_permutations: int,
    rng: np.random.Generator,
) -> GroupAndHeadEstimates:
    """Similarity of the two conditions' mean profiles, entropy, and attention to the first token.

    Args:
        patterns: of T rows.
        heads: (layer, head) of the H heads.
        belongs: boolean (2, D, T), whether each row belongs to a condition and document.
        pair: conditions and draws.
        n_permutations: how often labels are shuffled within documents.
        rng: shuffles them.

    Returns:
        ``pattern_cosine``; ``pattern_divergence`` (bits) against ``shuffled`` labels; ``pattern_entropy`` (share of ln
        tokens) and ``first_token`` (share of attention).
    """

    def summed(values: np.ndarray) -> np.ndarray:
        """(..., 2, D) from (T, ...)."""
        by_document = np.tensordot(belongs.astype(float), values.astype(float), axes=1)
        return np.moveaxis(by_document, (0, 1), (-2, -1))

    masks, document = np.any(belongs, axis=1), np.any(belongs, axis=0).argmax(0)
    null = shuffled_divergences(patterns.profile, masks, document, n_permutations, rng)
    everyone = np.arange(len(heads))
    entropy = Estimate("pattern_entropy", float("nan"), "share of ln tokens", 0)
    first_token = Estimate("first_token", float("nan"), "share of attention", 0)
    return GroupAndHeadEstimates().add(
        [
            _similarity(summed(patterns.profile), null, heads, pair),
            heads_and_mean(pair, EVERYTHING, heads, entropy, summed(patterns.entropy), everyone),
            heads_and_mean(pair, EVERYTHING, heads, first_token, summed(patterns.first_token), everyone),
        ]
    )


def _centred(draws: np.ndarray, value: float) -> np.ndarray:
    """Draws moved so that their mean is the value, since repeated documents make any two means less alike."""
    return np.clip(moved_to(value, draws), 0, 1)


def _similarity(
    sums: np.ndarray, null: np.ndarray, heads: Sequence[tuple[int, int]], pair: ConditionPair
) -> GroupAndHeadEstimates:
    """From sums (H, n, 2, D) of profiles and divergences (permutations, H) with shuffled labels."""
    means = np.moveaxis(pair.means(sums), -1, 0)  # (2, H, n)
    draws = np.moveaxis(pair.draws(sums), (-2, 1), (0, -1))  # (2, H, B, n)
    value = {"cosine": cosine(*means), "divergence": divergence(*means)}  # (H,)
    drawn = {"cosine": cosine(*draws), "divergence": divergence(*draws)}  # (H, B)
    n = int(pair.n.sum())

    def of(mine: list[int]) -> list[Estimate]:
        """Mean over some heads."""
        alike = Estimate("pattern_cosine", float(value["cosine"][mine].mean()), "cosine", n)
        apart = Estimate("pattern_divergence", float(value["divergence"][mine].mean()), "bits", n, against="shuffled")
        around = _centred(drawn["divergence"][mine].mean(0), apart.value)
        return [
            with_bootstrap_interval(alike, _centred(drawn["cosine"][mine].mean(0), alike.value)),
            against_controls(apart, around, null[:, mine].mean(1), "greater"),
        ]

    by_head = [
        HeadEstimate(pair.difference, EVERYTHING, *where, each) for h, where in enumerate(heads) for each in of([h])
    ]
    over_heads = [(pair.difference, EVERYTHING, each) for each in of(list(range(len(heads))))]
    return GroupAndHeadEstimates(over_heads, by_head)
