"""How alike rare and common rows attend: each head, and the mean over heads."""

from collections.abc import Sequence

import numpy as np

from rareneurons.attention.patterns import Patterns, cosine, divergence, shuffled_divergences
from rareneurons.attention.sample import EVERYTHING, Found, HeadEstimate, Sample, heads_and_mean, with_interval
from rareneurons.stats import against_controls, moved_to
from rareneurons.tables import Estimate


def pattern_estimates(
    patterns: Patterns,
    heads: Sequence[tuple[int, int]],
    belongs: np.ndarray,
    sample: Sample,
    n_permutations: int,
    rng: np.random.Generator,
) -> Found:
    """Similarity of the two conditions' mean profiles, entropy, and mass on the first token.

    Args:
        patterns: of T rows.
        heads: (layer, head) of the H heads.
        belongs: boolean (2, D, T), which rows belong to a condition and document.
        sample: conditions and draws.
        n_permutations: how often labels are dealt out anew within documents.
        rng: deals them.

    Returns:
        ``pattern_cosine``, ``pattern_divergence.shuffled`` (bits, p against shuffled labels), ``pattern_entropy``
        (share of ln tokens) and ``first_token`` (share of attention).
    """

    def summed(values: np.ndarray) -> np.ndarray:
        """(..., 2, D) from (T, ...)."""
        by_document = np.tensordot(belongs.astype(float), values.astype(float), axes=1)
        return np.moveaxis(by_document, (0, 1), (-2, -1))

    masks, document = np.any(belongs, axis=1), np.any(belongs, axis=0).argmax(0)
    null = shuffled_divergences(patterns.profile, masks, document, n_permutations, rng)
    return Found().add(
        [
            _similarity(summed(patterns.profile), null, heads, sample),
            heads_and_mean(
                sample, EVERYTHING, heads, "pattern_entropy", "share of ln tokens", summed(patterns.entropy)
            ),
            heads_and_mean(
                sample, EVERYTHING, heads, "first_token", "share of attention", summed(patterns.first_token)
            ),
        ]
    )


def _centred(draws: np.ndarray, value: float) -> np.ndarray:
    """Draws moved so that their mean is the value: repeated documents make any two means less alike."""
    return np.clip(moved_to(value, draws), 0, 1)


def _similarity(sums: np.ndarray, null: np.ndarray, heads: Sequence[tuple[int, int]], sample: Sample) -> Found:
    """From sums (H, n, 2, D) of profiles and divergences (permutations, H) with shuffled labels."""
    means = np.moveaxis(sample.means(sums), -1, 0)  # (2, H, n)
    draws = np.moveaxis(sample.draws(sums), (-2, 1), (0, -1))  # (2, H, B, n)
    value = {"cosine": cosine(*means), "divergence": divergence(*means)}  # (H,)
    drawn = {"cosine": cosine(*draws), "divergence": divergence(*draws)}  # (H, B)
    n = int(sample.n.sum())

    def of(mine: list[int]) -> list[Estimate]:
        """Mean over some heads."""
        alike = Estimate("pattern_cosine", float(value["cosine"][mine].mean()), "cosine", n)
        apart = Estimate("pattern_divergence.shuffled", float(value["divergence"][mine].mean()), "bits", n)
        return [
            with_interval(alike, _centred(drawn["cosine"][mine].mean(0), alike.value)),
            *against_controls(
                apart, _centred(drawn["divergence"][mine].mean(0), apart.value), null[:, mine].mean(1), "greater"
            ),
        ]

    by_head = [
        HeadEstimate(sample.difference, EVERYTHING, *where, each) for h, where in enumerate(heads) for each in of([h])
    ]
    return Found([(sample.difference, EVERYTHING, each) for each in of(list(range(len(heads))))], by_head)
