"""Tokens that neurons promote and suppress, against the change of a model's logits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import VOCABULARY, tiny_model

from rareneurons import logit_lens
from rareneurons.models.architectures import architecture_of

STEP = 1e-6


def changes_of_logits(layer, rng, n):
    """Central difference of the logits when neuron ``n`` grows, where the norms' scales stay as they are."""

    def orthogonal_to(direction):
        vector = torch.from_numpy(rng.normal(size=len(direction)))
        return vector - direction * (vector @ direction) / (direction @ direction)

    weight = layer.output_weight[n]
    mlp_output = orthogonal_to(weight) if layer.mlp_norm is None else orthogonal_to(layer.mlp_norm.centred(weight))
    written = layer.added_to_residual(mlp_output + STEP * weight) - layer.added_to_residual(mlp_output - STEP * weight)
    residual = orthogonal_to(layer.centred(written))
    return ((layer.logits(residual + written / 2) - layer.logits(residual - written / 2)) / (2 * STEP)).numpy()


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["gpt_neox", "gpt2", "llama", "olmo2", "gemma2"])
def test_order_is_that_of_the_logits_change(name, rng):
    """Every token in order of the change, to 1e-6 of its range."""
    layer = architecture_of(tiny_model(name).double()).last_layer()
    promoted, suppressed = logit_lens.top_tokens(layer, np.arange(VOCABULARY), VOCABULARY)
    for n in range(0, len(layer.output_weight), 5):
        change = changes_of_logits(replace(layer, logit_cap=None), rng, n)
        tolerance = 1e-6 * np.ptp(change)
        assert sorted(promoted[n]) == list(range(VOCABULARY))
        assert (np.diff(change[promoted[n]]) < tolerance).all()
        assert (np.diff(change[suppressed[n]]) > -tolerance).all()


def test_planted_tokens_are_found_whatever_the_blocks(rng, monkeypatch):
    layer = architecture_of(tiny_model("gpt_neox").double()).last_layer()
    words = torch.from_numpy(rng.normal(size=layer.unembedding.shape))
    layer.unembedding[:] = words / words.norm(dim=1, keepdim=True)
    layer.norm.gain[:] = 1
    layer.output_weight[::2] = layer.unembedding[7]
    layer.output_weight[1::2] = -layer.unembedding[9]
    whole = logit_lens.top_tokens(layer, np.arange(VOCABULARY))
    assert set(whole[0][::2, 0]) == {7}
    assert set(whole[1][1::2, 0]) == {9}
    assert whole[0].shape == (len(layer.output_weight), logit_lens.TOKENS_SHOWN)
    monkeypatch.setattr(logit_lens, "ENTRIES_AT_ONCE", 5 * VOCABULARY)
    for one, other in zip(whole, logit_lens.top_tokens(layer, np.arange(VOCABULARY)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_the_given_types_are_named():
    layer = architecture_of(tiny_model("gpt2").double()).last_layer()
    for tokens in logit_lens.top_tokens(layer, np.array([15, 4, 8, VOCABULARY + 2])):
        assert tokens.shape == (len(layer.output_weight), 3)
        assert set(tokens.ravel()) == {4, 8, 15}
