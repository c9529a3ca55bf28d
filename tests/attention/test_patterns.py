"""Profiles and entropies against loops over the model's own patterns; divergences and shuffled labels."""

import numpy as np
import pytest
import torch
from conftest import TINY, random_blocks, tiny_model

from rareneurons.attention.patterns import (
    attention_patterns,
    cosine,
    divergence,
    entropies,
    profiles,
    shuffled_divergences,
    visible_patterns,
)
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.stats import empirical_p


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
def test_patterns_equal_loops_over_the_model_s_own(kind):
    architecture, blocks, window = architecture_of(tiny_model(kind)), random_blocks(5), 4
    rows = candidate_rows(blocks).iloc[::3].reset_index(drop=True)
    found = attention_patterns(architecture, blocks, rows, window, batch_size=2)
    architecture.model.set_attn_implementation("eager")
    tokens = torch.from_numpy(blocks.tokens.astype(np.int64))
    with torch.inference_mode():
        attentions = architecture.model(input_ids=tokens, output_attentions=True, use_cache=False).attentions
    n_heads = architecture.n_heads
    assert found.profile.shape == (len(rows), 2 * n_heads, window + 2)
    for t, (block, position) in enumerate(rows[["block", "position"]].itertuples(index=False)):
        for layer in range(2):
            for head in range(n_heads):
                pattern = attentions[layer][block, head, position].double().numpy()
                assert pattern.sum() == pytest.approx(1, abs=1e-6)
                near = [pattern[position - k] if position - k > 0 else 0 for k in range(window)]
                expected = [*near, pattern[1 : max(1, position - window + 1)].sum(), pattern[0]]
                mine = found.profile[t, layer * n_heads + head]
                np.testing.assert_allclose(mine, expected, atol=1e-6)
                nats = -sum(p * np.log(p) for p in pattern if p > 0)
                assert found.entropy[t, layer * n_heads + head] == pytest.approx(nats / np.log(position + 1), abs=1e-5)
                assert found.first_token[t, layer * n_heads + head] == pytest.approx(pattern[0], abs=1e-6)


def test_attention_that_hides_its_pattern_is_switched_and_switched_back():
    architecture = architecture_of(tiny_model("gpt2"))
    assert architecture.model.config._attn_implementation == "sdpa"
    with visible_patterns(architecture):
        assert architecture.model.config._attn_implementation == "eager"
    assert architecture.model.config._attn_implementation == "sdpa"
    with pytest.raises(ZeroDivisionError), visible_patterns(architecture):
        _ = 1 / 0
    assert architecture.model.config._attn_implementation == "sdpa"


def test_profiles_and_entropies_by_hand():
    pattern = torch.tensor([[[0.1, 0.2, 0.3, 0.4, 0.0]], [[0.25, 0.75, 0.0, 0.0, 0.0]]])  # queries at 3 and 1
    position = torch.tensor([3, 1])
    found = profiles(pattern, position, 2)
    torch.testing.assert_close(found, torch.tensor([[[0.4, 0.3, 0.2, 0.1]], [[0.75, 0.0, 0.0, 0.25]]]))
    uniform, certain = torch.tensor([[[0.25] * 4 + [0.0]]]), torch.tensor([[[0.0, 1.0, 0, 0, 0]]])
    assert entropies(uniform, torch.tensor([3])).item() == pytest.approx(1)
    assert entropies(certain, torch.tensor([3])).item() == 0


def test_divergence_and_cosine_of_known_distributions():
    first, second = np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    np.testing.assert_allclose(divergence(first, second), [1, 0, 0.311278], atol=1e-6)
    np.testing.assert_allclose(cosine(first, second), [0, 1, 1 / np.sqrt(2)])


def test_shuffled_labels_stay_in_their_documents(rng):
    """With one label per document there is nothing to shuffle."""
    document = np.repeat(np.arange(6), 4)
    masks = np.stack([document % 2 == 0, document % 2 == 1])
    profile = rng.dirichlet(np.ones(5), size=(24, 3))
    found = shuffled_divergences(profile, masks, document, 5, rng)
    expected = divergence(profile[masks[0]].mean(0), profile[masks[1]].mean(0))
    np.testing.assert_allclose(found, np.tile(expected, (5, 1)))


@pytest.mark.calibration
def test_different_patterns_are_found_and_equal_ones_are_not(rng):
    false = found = 0
    for _ in range(200):
        document = rng.permutation(np.repeat(np.arange(15), 8))
        masks = np.stack([rare := rng.random(120) < 0.5, ~rare])
        style = rng.dirichlet(np.ones(6), size=15)[document][:, None]  # documents differ, labels do not
        alike = (style + rng.dirichlet(np.ones(6), size=(120, 1))) / 2
        other = alike.copy()
        other[masks[0], :, 0] += 0.15
        other /= other.sum(-1, keepdims=True)
        for profile, is_other in ((alike, False), (other, True)):
            value = divergence(*(profile[mask].mean(0) for mask in masks))[0]
            p = empirical_p(float(value), shuffled_divergences(profile, masks, document, 99, rng)[:, 0], "greater")
            false += p <= 0.05 and not is_other
            found += p <= 0.05 and is_other
    assert false <= 18
    assert found >= 190
