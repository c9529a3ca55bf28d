"""The rule that declares types: planted neurons are found, random ones are not."""

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_model
from planted_types import ROWS, VOCABULARY, counts_of, planted_layer, properties_of, random_layer

from rareneurons.known_types.declared import UNITS, declared_types, neurons_of_known_types
from rareneurons.known_types.neurons import neuron_properties
from rareneurons.models.architectures import architecture_of


@pytest.mark.calibration
@pytest.mark.parametrize("strength", [8.0, 20.0])
def test_planted_neurons_of_both_types_are_found(strength):
    """At least 95 % of ten planted neurons of each type, over 20 layers of 100, each as its own type."""
    found = []
    for seed in range(20):
        rng = np.random.default_rng([seed, 41])
        counts = counts_of(rng)
        neurons = properties_of(planted_layer(rng, counts, 100, 10, strength), counts, rng)
        found.append(neurons[["entropy_neuron", "frequency_neuron"]].to_numpy())
    share = np.mean(found, axis=0)
    assert share[:10, 0].mean() >= 0.95
    assert share[10:20, 1].mean() >= 0.95
    assert share[10:, 0].mean() <= 0.01
    assert np.delete(share[:, 1], np.arange(10, 20)).mean() <= 0.01


@pytest.mark.calibration
@pytest.mark.parametrize("strength", [0.0, 20.0])
def test_random_neurons_are_of_no_type(strength):
    """A type is declared in at most 5 % of 60 layers of random neurons, even if all write along the unigram."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng([seed, 43])
        counts = counts_of(rng)
        found.append(properties_of(planted_layer(rng, counts, 60, 0, strength), counts, rng)["known_type"].sum())
    assert np.mean(np.array(found) > 0) <= 0.05


def test_a_type_takes_weights_and_a_majority_of_the_effect():
    weights = pd.DataFrame(
        {
            "output_norm": [3.0, 3.0, 0.1, 3.0, 1.0, 1.0],
            "null_space_ratio": [1.5, 1.5, 1.5, 0.9, 0.1, 0.1],
            "frequency_ratio": [0.1, 0.1, 0.1, 1.1, 1.1, 0.9],
        }
    )
    shares = pd.DataFrame({"norm_share": [0.6, 0.4, 0.9, 0.9, 0.1, 0.1], "frequency_share": [0.1] * 3 + [0.4, 0.5, 1]})
    found = declared_types(weights, shares)
    assert found["entropy_neuron"].tolist() == [1, 0, 0, 0, 0, 0]
    assert found["frequency_neuron"].tolist() == [0, 0, 0, 0, 1, 0]
    assert found["known_type"].tolist() == [1, 0, 0, 0, 1, 0]


def test_table_of_neurons_has_heldout_effects_types_and_tokens(rng):
    counts = counts_of(rng)
    neurons = properties_of(random_layer(rng, 12), counts, rng)
    assert list(neurons.columns) == ["layer", "neuron", *UNITS, "promoted", "suppressed"]
    assert neurons["neuron"].tolist() == list(range(12))
    assert set(neurons["layer"]) == {3}
    assert (neurons["norm_share"] > 0).all()
    assert len(neurons["promoted"][0]) == 8
    assert neurons_of_known_types(neurons.assign(known_type=[1.0] * 2 + [0.0] * 10)).tolist() == [0, 1]


def test_types_of_a_layer_without_a_closed_form_are_not_known(rng):
    layer = architecture_of(tiny_model("olmo2")).last_layer()
    n, width = layer.output_weight.shape
    rows = pd.DataFrame({"target": np.zeros(ROWS, dtype=int), "split": ["heldout", "discovery"] * 60, "in_rare": True})
    influence = pd.concat(
        pd.DataFrame({"layer": 1, "neuron": range(n), "condition": "rare", "split": s, "mean_abs_delta_loss": 1.0})
        for s in ("discovery", "heldout")
    )
    trace = {"residual": np.zeros((ROWS, width)), "activation": np.zeros((ROWS, n))}
    given = np.zeros(n), rows, influence, "rare", np.ones(VOCABULARY), np.arange(8), rng
    neurons = neuron_properties(layer, trace, *given)
    assert neurons["known_type"].isna().all()
    assert neurons_of_known_types(neurons) is None
