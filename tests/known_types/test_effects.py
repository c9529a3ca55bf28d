"""Effects through one mechanism alone, against losses of logits changed in that way alone."""

import numpy as np
import pytest
from conftest import VOCABULARY, tiny_model
from planted_types import random_layer

from rareneurons.known_types.declared import FREQUENCY_EFFECT, NORM_EFFECT
from rareneurons.known_types.effects import mediated_effects
from rareneurons.known_types.weights import unigram_direction
from rareneurons.models.architectures import architecture_of


def loss(z: np.ndarray, t: int) -> float:
    return np.log(np.exp(z).sum()) - z[t]


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("per_row", [False, True])
def test_effects_equal_losses_with_that_part_alone(rng, kind, per_row):
    layer = random_layer(rng, kind=kind)
    residual, activation = 2 * rng.normal(size=(7, 64)), rng.normal(size=(7, 30))
    reference, target = rng.normal(size=(7, 30) if per_row else 30), rng.integers(0, 200, 7)
    direction = unigram_direction(rng.integers(0, 1000, 200), 200)
    fast = mediated_effects(layer, residual, activation, reference, target, direction)
    gain, u = layer.norm.gain.numpy(), layer.unembedding.numpy()

    def centred(x: np.ndarray) -> np.ndarray:
        return x - x.mean(-1, keepdims=True) if kind == "layer_norm" else x

    def scale(x: np.ndarray) -> float:
        return np.sqrt((centred(x) ** 2).mean() + 1e-5)

    w, bias = layer.output_weight.numpy(), layer.logit_bias.numpy()
    b = (centred(w) * gain) @ u.T
    slow = np.zeros((2, 30))
    for n in range(30):
        for row, x in enumerate(residual):
            delta = (reference[row, n] if per_row else reference[n]) - activation[row, n]
            s, after, t = scale(x), scale(x + delta * w[n]), target[row]
            z = (centred(x) * gain) @ u.T
            clean = loss(z / s + bias, t)
            along = delta / s * (b[n] @ direction) * direction
            slow[0, n] += abs(loss(z / s + bias + along, t) - clean) / 7
            slow[1, n] += abs(loss(z / after + bias, t) - clean) / 7
    np.testing.assert_allclose(fast[FREQUENCY_EFFECT], slow[0], rtol=2e-4)
    np.testing.assert_allclose(fast[NORM_EFFECT], slow[1], rtol=5e-3)


def test_a_layer_without_a_closed_form_has_no_such_effects():
    layer = architecture_of(tiny_model("olmo2")).last_layer()
    rows = np.zeros((2, 16)), np.zeros((2, 24)), np.zeros(24), np.zeros(2, dtype=int)
    assert all(np.isnan(each).all() for each in mediated_effects(layer, *rows, np.ones(VOCABULARY)).values())
