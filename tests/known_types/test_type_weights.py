"""Properties of weights against brute force, and how far random directions get."""

import numpy as np
import pytest
from conftest import VOCABULARY, tiny_model
from planted_types import random_layer

from rareneurons.known_types.weights import unigram_direction, weight_properties
from rareneurons.models.architectures import architecture_of


def test_unigram_direction_is_centred_and_of_unit_length():
    direction = unigram_direction(np.array([100, 10, 0]), 5)
    assert np.linalg.norm(direction) == pytest.approx(1)
    assert direction.sum() == pytest.approx(0, abs=1e-12)
    assert direction[0] > direction[1] > direction[2] == direction[4]
    assert len(unigram_direction(np.arange(9), 5)) == 5


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
def test_weight_properties_equal_brute_force(rng, kind):
    layer = random_layer(rng, kind=kind)
    direction = unigram_direction(rng.integers(0, 1000, 200), 200)
    found = weight_properties(layer, direction, np.random.default_rng(7))
    u = layer.unembedding.numpy()
    null = np.linalg.svd(u)[2][-1:]  # 64 / 64 = one direction

    def slow(w: np.ndarray) -> tuple[float, float, float]:
        gained = (w - w.mean() if kind == "layer_norm" else w) * layer.norm.gain.numpy()
        logits = u @ gained
        centred = logits - logits.mean()
        share = ((null @ gained) ** 2).sum() / (gained @ gained)
        return share, logits.var() / (gained @ gained), centred @ direction / np.linalg.norm(centred)

    drawn = np.random.default_rng(7)
    random = [slow(w) for _ in range(20) for w in drawn.normal(size=(30, 64))]
    largest = np.abs(random).max(0)
    for n, w in enumerate(layer.output_weight.numpy()):
        share, variance, cosine = slow(w)
        row = found.iloc[n]
        assert row["output_norm"] == pytest.approx(np.linalg.norm(w))
        assert row["null_space_share"] == pytest.approx(share)
        assert row["logit_variance"] == pytest.approx(variance)
        assert row["frequency_cosine"] == pytest.approx(cosine)
        assert row["null_space_ratio"] == pytest.approx(share / largest[0])
        assert row["frequency_ratio"] == pytest.approx(abs(cosine) / largest[2])


def test_layers_without_a_closed_form_have_no_such_properties(rng):
    layer = architecture_of(tiny_model("olmo2")).last_layer()
    found = weight_properties(layer, np.ones(VOCABULARY), rng)
    assert len(found) == 24
    assert found.isna().all(axis=None)


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "llama"])
def test_properties_exist_for_every_kind_of_model(kind, rng):
    layer = architecture_of(tiny_model(kind)).last_layer()
    direction = unigram_direction(np.arange(VOCABULARY), VOCABULARY)
    found = weight_properties(layer, direction, rng)
    assert len(found) == 24
    assert np.isfinite(found.to_numpy()).all()
    assert found["null_space_share"].between(0, 1).all()
