"""Similarity of patterns, entropy and first-token mass, by hand on made-up patterns."""

import numpy as np
import pytest

from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.pattern_estimates import pattern_estimates
from rareneurons.attention.patterns import Patterns, cosine, divergence
from rareneurons.stats import document_weights

HEADS = [(0, 0), (0, 1), (1, 0)]


def made_up(rng, by_document):
    """Rows of 12 documents; head (0, 1) attends otherwise from rare rows. Labels by row or by document."""
    document = np.sort(rng.integers(0, 12, size=240))
    rare = document % 2 == 0 if by_document else rng.random(240) < 0.5
    profile = rng.dirichlet(np.ones(5), size=(240, 3))
    profile[rare, 1, 0] += 0.3
    profile /= profile.sum(-1, keepdims=True)
    belongs = np.stack([rare, ~rare])[:, None] & (document == np.arange(12)[:, None])
    return Patterns(profile, rng.random((240, 3))), belongs, rare


def estimates(patterns, belongs, rng):
    pair = ConditionPair(("rare", "common"), belongs.sum(-1), document_weights(12, 300, rng))
    found = pattern_estimates(patterns, HEADS, belongs, pair, 99, rng)
    heads = {(each.estimate.measure, each.condition, each.layer, each.head): each.estimate for each in found.heads}
    return heads, {(each.measure, condition): each for condition, _, each in found.groups}


def test_numbers_are_those_of_the_mean_profiles(rng):
    patterns, belongs, rare = made_up(rng, by_document=False)
    heads, groups = estimates(patterns, belongs, rng)
    means = patterns.profile[rare].mean(0), patterns.profile[~rare].mean(0)
    for h, place in enumerate(HEADS):
        alike = heads["pattern_cosine", "rare-common", *place]
        apart = heads["pattern_divergence", "rare-common", *place]
        assert alike.value == pytest.approx(cosine(*means)[h])
        assert apart.value == pytest.approx(divergence(*means)[h])
        for each in (alike, apart):
            assert each.ci_low <= each.value <= each.ci_high
            assert each.n == 240
        assert (apart.p_value <= 0.01) == (h == 1)
        for measure, values in (("pattern_entropy", patterns.entropy), ("first_token", patterns.profile[..., -1])):
            assert heads[measure, "rare", *place].value == pytest.approx(values[rare, h].mean())
            gap = values[rare, h].mean() - values[~rare, h].mean()
            assert heads[measure, "rare-common", *place].value == pytest.approx(gap)
    assert groups["pattern_cosine", "rare-common"].value == pytest.approx(cosine(*means).mean())
    assert groups["pattern_divergence", "rare-common"].p_value <= 0.01
    assert groups["first_token", "common"].value == pytest.approx(patterns.profile[~rare, :, -1].mean())


def test_labels_are_shuffled_within_documents(rng):
    """One label per document: there is nothing to shuffle, the null is the value itself."""
    heads, _ = estimates(*made_up(rng, by_document=True)[:2], rng)
    for place in HEADS:
        apart = heads["pattern_divergence", "rare-common", *place]
        assert apart.against == "shuffled"
        assert apart.null_mean == pytest.approx(apart.value)
        assert apart.null_high - apart.null_low == pytest.approx(0, abs=1e-12)


def test_intervals_lie_about_the_value_though_repeated_documents_are_less_alike(rng):
    _, belongs, _ = made_up(rng, by_document=False)
    pair = ConditionPair(("rare", "common"), belongs.sum(-1), document_weights(12, 300, rng))
    many = Patterns(rng.dirichlet(np.ones(5), size=(240, 20)), rng.random((240, 20)))
    found = pattern_estimates(many, [(0, head) for head in range(20)], belongs, pair, 99, rng)
    apart = next(each for _, _, each in found.groups if each.measure == "pattern_divergence")
    assert apart.ci_low < apart.value < apart.ci_high
