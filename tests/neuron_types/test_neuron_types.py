"""Token-frequency and entropy properties against brute force and planted neurons."""

import numpy as np
import pytest
import torch
from conftest import VOCABULARY, tiny_model

from rareneurons import neuron_types
from rareneurons.models.architectures import architecture_of
from rareneurons.models.last_layer import LastLayer, Norm


def random_layer(rng: np.random.Generator, n=30, d=64, v=200, kind="layer_norm") -> LastLayer:
    def tensor(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    norm = Norm(kind, 1 + 0.1 * tensor(d), torch.zeros(d, dtype=torch.float64), 1e-5)
    return LastLayer(tensor(n, d) * 0.1, tensor(v, d) * 0.3, 0.1 * tensor(v), norm, {})


def test_unigram_direction_is_centred_and_of_unit_length():
    direction = neuron_types.unigram_direction(np.array([100, 10, 0]), 5)
    assert np.linalg.norm(direction) == pytest.approx(1)
    assert direction.sum() == pytest.approx(0, abs=1e-12)
    assert direction[0] > direction[1] > direction[2] == direction[4]
    assert len(neuron_types.unigram_direction(np.arange(9), 5)) == 5


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
def test_weight_properties_equal_brute_force(rng, kind):
    layer = random_layer(rng, kind=kind)
    direction = neuron_types.unigram_direction(rng.integers(0, 1000, 200), 200)
    found = neuron_types.weight_properties(layer, direction)
    w = layer.output_weight.numpy()
    gained = (w - w.mean(1, keepdims=True) if kind == "layer_norm" else w) * layer.norm.gain.numpy()
    u = layer.unembedding.numpy()
    null = np.linalg.svd(u)[2][-1:]  # 64 / 64 = one direction
    for n in range(len(w)):
        logits = u @ gained[n]
        centred = logits - logits.mean()
        row = found.iloc[n]
        assert row["frequency_cosine"] == pytest.approx(centred @ direction / np.linalg.norm(centred))
        assert row["logit_variance"] == pytest.approx(logits.var() / (gained[n] @ gained[n]))
        assert row["null_space_share"] == pytest.approx(((null @ gained[n]) ** 2).sum() / (gained[n] @ gained[n]))
        assert row["output_norm"] == pytest.approx(np.linalg.norm(w[n]))


@pytest.mark.oracle
def test_frequency_effects_equal_losses_with_that_part_alone(rng):
    layer = random_layer(rng)
    residual, activation = rng.normal(size=(7, 64)), rng.normal(size=(7, 30))
    reference, target = rng.normal(size=30), rng.integers(0, 200, 7)
    direction = neuron_types.unigram_direction(rng.integers(0, 1000, 200), 200)
    fast = neuron_types.frequency_effects(layer, residual, activation, reference, target, direction)
    gain, u = layer.norm.gain.numpy(), layer.unembedding.numpy()
    x = residual - residual.mean(1, keepdims=True)
    scale = np.sqrt((x**2).mean(1) + 1e-5)
    w = layer.output_weight.numpy()
    b = ((w - w.mean(1, keepdims=True)) * gain) @ u.T
    logits = (x / scale[:, None] * gain) @ u.T + layer.logit_bias.numpy()

    def loss(z: np.ndarray, t: int) -> float:
        return np.log(np.exp(z).sum()) - z[t]

    slow = np.zeros(30)
    for n in range(30):
        for row in range(7):
            c = (reference[n] - activation[row, n]) / scale[row] * (b[n] @ direction)
            slow[n] += abs(loss(logits[row] + c * direction, target[row]) - loss(logits[row], target[row])) / 7
    np.testing.assert_allclose(fast, slow, rtol=2e-4)


@pytest.mark.calibration
def test_planted_neurons_of_both_types_are_found_and_others_are_not(rng):
    layer = random_layer(rng, n=300)
    u = layer.unembedding
    direction = neuron_types.unigram_direction(rng.integers(0, 1000, 200), 200)
    entropy = torch.linalg.svd(u - u.mean(0))[2][-1]
    weight = layer.output_weight.clone()
    plain = LastLayer(
        weight, u, layer.logit_bias, Norm("rms_norm", torch.ones(64).double(), torch.zeros(64).double(), 1e-5), {}
    )
    plain.output_weight[:10] = entropy * 2 + 0.05 * torch.from_numpy(rng.normal(size=(10, 64)))
    toward = torch.linalg.lstsq(u, torch.from_numpy(direction)[:, None]).solution[:, 0]
    plain.output_weight[10:20] = toward / toward.norm() + 0.02 * torch.from_numpy(rng.normal(size=(10, 64)))
    found = neuron_types.weight_properties(plain, direction).assign(frequency_effect=0.0, frequency_share=0.0)
    controls = {"random": [rng.choice(np.arange(20, 300), 10, replace=False) for _ in range(400)]}

    def p_values(members: np.ndarray) -> dict[str, float]:
        return {e.measure: e.p_value for e in neuron_types.group_types(found, members, controls)}

    assert p_values(np.arange(10))["null_space_share.random"] < 0.01
    assert p_values(np.arange(10, 20))["frequency_cosine.random"] < 0.01
    rejected = [
        p_values(rng.choice(np.arange(20, 300), 10, replace=False))["null_space_share.random"] <= 0.05
        for _ in range(200)
    ]
    assert np.mean(rejected) <= 0.09


def test_layers_without_a_closed_form_have_no_such_properties():
    layer = architecture_of(tiny_model("olmo2")).last_layer()
    found = neuron_types.weight_properties(layer, np.ones(VOCABULARY))
    assert len(found) == 24
    assert found.isna().all(axis=None)
    rows = np.zeros((2, 16)), np.zeros((2, 24)), np.zeros(24), np.zeros(2, dtype=int)
    assert np.isnan(neuron_types.frequency_effects(layer, *rows, np.ones(VOCABULARY))).all()


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "llama"])
def test_properties_exist_for_every_kind_of_model(kind):
    layer = architecture_of(tiny_model(kind)).last_layer()
    direction = neuron_types.unigram_direction(np.arange(VOCABULARY), VOCABULARY)
    found = neuron_types.weight_properties(layer, direction)
    assert len(found) == 24
    assert np.isfinite(found.to_numpy()).all()
    assert found["null_space_share"].between(0, 1).all()
