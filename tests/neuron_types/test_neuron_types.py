"""Token-frequency and entropy properties against brute force and planted neurons."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import VOCABULARY, tiny_model

from rareneurons.groups import ControlledGroup
from rareneurons.models.architectures import architecture_of
from rareneurons.models.last_layer import LastLayer, Norm
from rareneurons.neuron_types.estimates import (
    NeuronEvidence,
    NeuronTypeSettings,
    group_types,
    neuron_type_estimates,
)
from rareneurons.neuron_types.properties import UNITS, frequency_effects, unigram_direction, weight_properties
from rareneurons.stats import benjamini_hochberg
from rareneurons.tables import IDENTITY, MEASURE_COLUMNS, CheckpointName, rows_of


def random_layer(rng: np.random.Generator, n=30, d=64, v=200, kind="layer_norm") -> LastLayer:
    def tensor(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    norm = Norm(kind, 1 + 0.1 * tensor(d), torch.zeros(d, dtype=torch.float64), 1e-5)
    return LastLayer(tensor(n, d) * 0.1, tensor(v, d) * 0.3, 0.1 * tensor(v), norm, {})


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
    found = weight_properties(layer, direction)
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
    direction = unigram_direction(rng.integers(0, 1000, 200), 200)
    fast = frequency_effects(layer, residual, activation, reference, target, direction)
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
    direction = unigram_direction(rng.integers(0, 1000, 200), 200)
    entropy = torch.linalg.svd(u - u.mean(0))[2][-1]
    weight = layer.output_weight.clone()
    plain = LastLayer(
        weight, u, layer.logit_bias, Norm("rms_norm", torch.ones(64).double(), torch.zeros(64).double(), 1e-5), {}
    )
    plain.output_weight[:10] = entropy * 2 + 0.05 * torch.from_numpy(rng.normal(size=(10, 64)))
    toward = torch.linalg.lstsq(u, torch.from_numpy(direction)[:, None]).solution[:, 0]
    plain.output_weight[10:20] = toward / toward.norm() + 0.02 * torch.from_numpy(rng.normal(size=(10, 64)))
    found = weight_properties(plain, direction).assign(frequency_effect=0.0, frequency_share=0.0)
    controls = {"random": np.array([rng.choice(np.arange(20, 300), 10, replace=False) for _ in range(400)])}

    def p_values(members: np.ndarray) -> dict[str, float]:
        return {e.measure: e.p_value for e in group_types(found, ControlledGroup(members, controls))}

    assert p_values(np.arange(10))["null_space_share"] < 0.01
    assert p_values(np.arange(10, 20))["frequency_cosine"] < 0.01
    rejected = [
        p_values(rng.choice(np.arange(20, 300), 10, replace=False))["null_space_share"] <= 0.05 for _ in range(200)
    ]
    assert np.mean(rejected) <= 0.09


def test_layers_without_a_closed_form_have_no_such_properties():
    layer = architecture_of(tiny_model("olmo2")).last_layer()
    found = weight_properties(layer, np.ones(VOCABULARY))
    assert len(found) == 24
    assert found.isna().all(axis=None)
    rows = np.zeros((2, 16)), np.zeros((2, 24)), np.zeros(24), np.zeros(2, dtype=int)
    assert np.isnan(frequency_effects(layer, *rows, np.ones(VOCABULARY))).all()


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "llama"])
def test_properties_exist_for_every_kind_of_model(kind):
    layer = architecture_of(tiny_model(kind)).last_layer()
    direction = unigram_direction(np.arange(VOCABULARY), VOCABULARY)
    found = weight_properties(layer, direction)
    assert len(found) == 24
    assert np.isfinite(found.to_numpy()).all()
    assert found["null_space_share"].between(0, 1).all()


def evidence_of(layer: LastLayer, rng: np.random.Generator, n_neurons: int) -> NeuronEvidence:
    """Twelve rows of each condition, half of them held out."""
    in_rare, width = np.arange(24) < 12, layer.output_weight.shape[1]
    heldout = np.arange(24) % 2 == 0
    split = np.where(heldout, "heldout", "discovery")
    rows = {"document": np.arange(24), "target": rng.integers(0, 40, 24), "split": split}
    influence = pd.concat(
        pd.DataFrame(
            {
                "layer": 1,
                "neuron": rng.permutation(n_neurons),
                "condition": condition,
                "split": split,
                "mean_abs_delta_loss": rng.uniform(1, 2, n_neurons),
            }
        )
        for condition in ("rare", "common")
        for split in ("discovery", "heldout")
    )
    return NeuronEvidence(
        CheckpointName("m", "step8"),
        ("rare", "common"),
        pd.DataFrame(rows | {"in_rare": in_rare, "in_common": ~in_rare}),
        rng.normal(size=(24, n_neurons)),
        layer.arrays(),
        residual=rng.normal(size=(24, width)),
        reference=rng.normal(size=n_neurons),
        influence=influence,
        counts=rng.integers(0, 100, 40),
        vocabulary=np.arange(40),
    )


def drawn_groups(rng: np.random.Generator, n_neurons: int) -> dict[str, ControlledGroup]:
    """A group of six with both kinds of controls, one with matched controls missing, and one too small."""

    def drawn(size: int, number: int) -> np.ndarray:
        groups = [rng.choice(np.arange(6, n_neurons), size, replace=False) for _ in range(number)]
        return np.array(groups, dtype=np.int64).reshape(-1, size)

    return {
        "plateau": ControlledGroup(np.arange(6), {"random": drawn(6, 30), "matched": drawn(6, 30)}),
        "top_33": ControlledGroup(np.arange(4), {"random": drawn(4, 30), "matched": drawn(4, 0)}),
        "suppress_plateau": ControlledGroup(np.arange(2), {"random": drawn(2, 0), "matched": drawn(2, 0)}),
    }


def test_a_checkpoint_s_table_has_groups_that_can_be_measured_and_neurons_are_a_product(rng):
    evidence = evidence_of(random_layer(rng), rng, 30)
    found = neuron_type_estimates(evidence, drawn_groups(rng, 30), NeuronTypeSettings(), rng)
    table, neurons = found.table, found.products["neurons"]
    assert list(table.columns) == MEASURE_COLUMNS
    assert set(table["group"]) == {"plateau", "top_33"}  # not the one of two neurons
    assert set(table["condition"]) == {"rare"}
    assert found.draws.empty
    for _, family in table.groupby("against"):
        np.testing.assert_array_equal(family["q_value"], benjamini_hochberg(family["p_value"].to_numpy()))
    assert list(neurons.columns) == [*IDENTITY, "layer", "neuron", *UNITS, "promoted", "suppressed"]
    assert neurons["neuron"].tolist() == list(range(30))
    mine = evidence.influence.query("condition == 'rare' and split == 'heldout'").set_index("neuron").sort_index()
    share = neurons["frequency_effect"] / mine["mean_abs_delta_loss"].to_numpy()
    np.testing.assert_allclose(neurons["frequency_share"], share)
    (row,) = rows_of(table, "output_norm", against="matched").query("group == 'plateau'").to_dict("records")
    assert row["value"] == pytest.approx(neurons["output_norm"][:6].mean())
    assert (row["n"], row["null_n"], row["reason"]) == (6, 30, "")
    (row,) = rows_of(table, "output_norm", against="matched").query("group == 'top_33'").to_dict("records")
    assert np.isfinite(row["value"])
    assert np.isnan(row["p_value"])
    assert row["reason"] == "no matched controls: too few other neurons"


def test_a_layer_without_a_closed_form_gives_a_reason_and_no_number(rng):
    layer = architecture_of(tiny_model("olmo2")).last_layer()
    groups = drawn_groups(rng, 24)
    table = neuron_type_estimates(evidence_of(layer, rng, 24), groups, NeuronTypeSettings(), rng).table
    assert table["value"].isna().all()
    assert table["p_value"].isna().all()
    assert set(table["reason"]) == {"a norm lies between the last MLP and the residual stream"}
