"""Joint ablation against hooked forward passes in float64, and what its precision and memory are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import NO_CLOSED_FORM, TINY, megabytes_above, random_blocks, tiny_model
from oracles import float64_trace, hooked_predictions

from rareneurons.errors import CheckpointError
from rareneurons.influence.closed_form import delta_loss_matrix
from rareneurons.influence.last_mlp import reference_values
from rareneurons.joint import ablation
from rareneurons.joint.ablation import AblatedRows, joint_effects
from rareneurons.models.architectures import architecture_of
from rareneurons.models.last_layer import LastLayer, Norm
from rareneurons.rows import candidate_rows
from rareneurons.trace import trace_rows

GROUPS = [np.array([3]), np.array([20, 1, 7, 11, 5]), np.arange(24)]  # the last takes more directions than dimensions


def rank_of(log_p: torch.Tensor, target: np.ndarray) -> np.ndarray:
    mine = log_p.gather(1, torch.from_numpy(target)[:, None])
    return (1 + (log_p > mine).sum(1)).numpy()


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize("reference", ["mean", "zero", "resample"])
def test_equals_hooked_forward_passes(kind, reference, rng):
    architecture = architecture_of(tiny_model(kind).double())
    blocks = random_blocks()
    rows = candidate_rows(blocks)
    activation, residual = (array.numpy() for array in float64_trace(architecture, blocks, rows))
    stored = {"activation": activation, "mean_activation": activation.mean(0)}
    held = reference_values(stored, reference, rows["document"].to_numpy(), rng)
    target = rows["target"].to_numpy().astype(np.int64)
    mine = AblatedRows(residual, activation, held, target)
    found = joint_effects(architecture.last_layer(), mine, GROUPS)
    clean = hooked_predictions(architecture, blocks, rows, np.empty(0, dtype=int), np.empty(0))
    np.testing.assert_allclose(found.clean_loss, -clean[np.arange(len(rows)), target], atol=1e-9, rtol=0)
    largest = np.abs(found.delta_loss).max(), np.abs(found.rank_change).max()
    assert min(largest) > 0.1, "ablations without effect would test nothing"
    for group, members in enumerate(GROUPS):
        ablated = hooked_predictions(architecture, blocks, rows, members, held[..., members])
        gone = clean - ablated
        delta_loss = gone[np.arange(len(rows)), target].numpy()
        np.testing.assert_allclose(found.delta_loss[:, group], delta_loss, atol=1e-9, rtol=0)
        np.testing.assert_allclose(found.divergence[:, group], (clean.exp() * gone).sum(1), atol=1e-9, rtol=0)
        change = np.log(rank_of(ablated, target) / rank_of(clean, target))
        np.testing.assert_allclose(found.rank_change[:, group], change, atol=1e-12, rtol=0)


def layer_and_rows(rng, loudness=1.0, n_rows=80, bias=1.0):
    """A random last layer of 40 neurons, dimension 24 and 300 vocabulary entries, in float64."""
    d, n_neurons, vocabulary = 24, 40, 300
    layer = LastLayer(
        torch.from_numpy(loudness * rng.normal(size=(n_neurons, d))),
        torch.from_numpy(rng.normal(size=(vocabulary, d)) * 0.5 + 2),
        torch.from_numpy(bias * rng.normal(size=vocabulary)),
        Norm("layer_norm", torch.from_numpy(rng.uniform(0.5, 2, d)), torch.zeros(d).double(), 1e-5),
        {},
    )
    rows = AblatedRows(
        rng.normal(size=(n_rows, d)),
        rng.normal(size=(n_rows, n_neurons)),
        np.zeros(n_neurons),
        rng.integers(0, vocabulary, n_rows),
    )
    return layer, rows


@pytest.mark.oracle
@pytest.mark.parametrize(("loudness", "tolerance"), [(0.3, 1e-5), (1e-3, 1e-7), (1e-6, 1e-10)])
def test_float32_is_close_to_float64(loudness, tolerance, rng):
    """The tolerance falls with the effect (nats); two float32 losses, subtracted, would be off by 1e-6 throughout."""
    layer, rows = layer_and_rows(rng, loudness)
    groups = [np.arange(2), np.arange(10, 15), np.arange(40)]
    exact = joint_effects(layer, rows, groups)
    rounded = joint_effects(layer.to("cpu", torch.float32), rows, groups)
    np.testing.assert_allclose(rounded.delta_loss, exact.delta_loss, atol=tolerance, rtol=1e-5)
    np.testing.assert_allclose(rounded.divergence, exact.divergence, atol=tolerance, rtol=1e-5)
    assert (rounded.rank_change == exact.rank_change).mean() > 0.99
    assert np.abs(exact.delta_loss).max() > 10 * tolerance


@pytest.mark.oracle
def test_group_of_one_equals_the_single_neuron(rng):
    layer, rows = layer_and_rows(rng)
    single, _ = delta_loss_matrix(
        layer,
        *(torch.from_numpy(x) for x in (rows.residual, rows.activation, rows.reference, rows.target)),
        method="exact",
    )
    found = joint_effects(layer, rows, [np.array([n]) for n in range(40)])
    np.testing.assert_allclose(found.delta_loss, single, atol=1e-12)


def test_group_at_its_reference_has_no_effect(rng):
    for cap in (None, 5.0):
        layer, rows = layer_and_rows(rng)
        layer = replace(layer, logit_cap=cap)
        rows = replace(rows, reference=np.where(np.arange(40) < 5, rows.activation, 0))
        found = joint_effects(layer, rows, [np.arange(5), np.arange(6)])
        for effects in (found.delta_loss, found.divergence, found.rank_change):
            assert (effects[:, 0] == 0).all()
        assert np.abs(found.delta_loss[:, 1]).min() > 0


def test_order_of_a_group_and_tiles_and_blocks_do_not_matter(rng, monkeypatch):
    layer, rows = layer_and_rows(rng)
    whole = joint_effects(layer, rows, [np.arange(9)])
    turned = joint_effects(layer, rows, [np.arange(9)[::-1]])
    monkeypatch.setattr(ablation, "ELEMENTS_PER_BLOCK", {"cpu": 700})
    monkeypatch.setattr(ablation, "ROWS_PER_BLOCK", {"cpu": 7})
    budget = 8 * (2 * 300 * 24 + 2 * 700 + 5 * 300 * 11)
    assert len(ablation._tiles(layer, rows, budget)) == 8
    tiled = joint_effects(layer, rows, [np.arange(9)], memory_bytes=budget)
    for name, values in vars(whole).items():
        np.testing.assert_allclose(getattr(turned, name), values, atol=1e-12)
        np.testing.assert_allclose(getattr(tiled, name), values, atol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize("capability", ["AVX2", "AVX512"])
def test_exponentials_of_either_library(capability, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    values = torch.logspace(-9, 1, 200).repeat(2) * torch.tensor([1.0, -1.0]).repeat_interleave(200)
    block = torch.zeros(3, 400)
    block[1] = values
    found = ablation._expm1_(block)
    assert found is block
    np.testing.assert_allclose(found[1], np.expm1(values.double()), rtol=5e-7)


def test_ranks_are_left_out_where_not_wanted(rng):
    layer, rows = layer_and_rows(rng)
    without, found = (joint_effects(layer, rows, [np.arange(9)], wanted) for wanted in (False, True))
    assert np.isnan(without.rank_change).all()
    np.testing.assert_array_equal(without.delta_loss, found.delta_loss)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["gpt_neox", *NO_CLOSED_FORM])
def test_stored_trace_to_effects(kind):
    """From the float32 trace and a float32 layer, as the workflow goes, against hooked passes in float64."""
    architecture = architecture_of(tiny_model(kind))
    blocks = random_blocks(12)
    rows = candidate_rows(blocks)
    trace = trace_rows(architecture, blocks, rows, batch_size=5)
    target = rows["target"].to_numpy().astype(np.int64)
    mine = AblatedRows(trace.residual, trace.activation, trace.mean_activation, target)
    found = joint_effects(architecture.last_layer(), mine, GROUPS)
    slow = architecture_of(tiny_model(kind).double())
    clean = hooked_predictions(slow, blocks, rows, np.empty(0, dtype=int), np.empty(0))
    for group, members in enumerate(GROUPS):
        ablated = hooked_predictions(slow, blocks, rows, members, trace.mean_activation[members])
        gone = (clean - ablated)[np.arange(len(rows)), target].numpy()
        np.testing.assert_allclose(found.delta_loss[:, group], gone, atol=2e-4, rtol=1e-4)


@pytest.mark.faults
@pytest.mark.parametrize("cap", [None, 5.0])
def test_non_finite_effects_are_refused(cap, rng):
    layer, rows = layer_and_rows(rng)
    rows.residual[3, 0] = np.nan
    with pytest.raises(CheckpointError, match="joint ablation: .* effects at 1 rows are NaN or infinite; nothing is"):
        joint_effects(replace(layer, logit_cap=cap), rows, [np.arange(3), np.arange(5)])


@pytest.mark.parametrize("cap", ["None", "30.0"])
def test_memory_stays_within_its_budget(cap):
    """Arrays over all rows and the vocabulary would need 96 MB each in float32."""
    setup = f"""
import numpy as np, torch
from rareneurons.joint.ablation import AblatedRows, joint_effects
from rareneurons.models.last_layer import LastLayer, Norm
torch.set_num_threads(1)
g = torch.Generator().manual_seed(0)
d, n, v, t = 16, 100, 20000, 1200
layer = LastLayer(torch.randn(n, d, generator=g) * 0.05, torch.randn(v, d, generator=g), torch.zeros(v),
                  Norm("rms_norm", torch.ones(d), torch.zeros(d), 1e-5), {{}}, None, {cap})
x, a = np.random.default_rng(0).normal(size=(t, d)), np.random.default_rng(1).normal(size=(t, n))
rows = AblatedRows(x, a, np.zeros(n), np.zeros(t, dtype=np.int64))
joint_effects(layer, rows.at(slice(0, 2)), [np.arange(5)], memory_bytes=2**20)
"""
    work = "joint_effects(layer, rows, [np.arange(5), np.arange(50)], memory_bytes=32 * 2**20)"
    assert megabytes_above(setup, work) < 32 + 3
