"""The re-run from the final norm equals hooked float64 passes, for architectures without a closed form."""

import numpy as np
import pytest
import torch
from conftest import NO_CLOSED_FORM, megabytes_above, random_blocks, tiny_model
from oracles import float64_trace, hooked_delta_loss

from rareneurons.errors import CheckpointError, ConfigurationError
from rareneurons.influence.closed_form import delta_loss_matrix
from rareneurons.influence.final_norm import final_norm_rerun_tiles
from rareneurons.influence.last_mlp import influence_by_document, reference_values
from rareneurons.influence.tiles import PairCounts
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.trace import trace_rows


def matrix(layer, residual, activation, held, target, **options):
    effects = torch.full(activation.shape, torch.nan, dtype=torch.float64)
    for tile in final_norm_rerun_tiles(layer, residual, activation, held, target, **options):
        effects[tile.rows, tile.neurons] = tile.values
    return effects.numpy()


@pytest.fixture(params=NO_CLOSED_FORM)
def traced(request):
    """A model in float64 and its last layer, residuals, activations and targets at all rows."""
    architecture = architecture_of(tiny_model(request.param).double())
    blocks = random_blocks()
    rows = candidate_rows(blocks)
    activation, residual = float64_trace(architecture, blocks, rows)
    target = torch.from_numpy(rows["target"].to_numpy().astype(np.int64))
    return architecture, blocks, rows, residual, activation, target


@pytest.mark.oracle
@pytest.mark.parametrize("reference", ["mean", "zero", "resample"])
def test_equals_hooked_forward_pass(traced, reference, rng):
    architecture, blocks, rows, residual, activation, target = traced
    stored = {"activation": activation.numpy(), "mean_activation": activation.mean(0).numpy()}
    held = reference_values(stored, reference, rows["document"].to_numpy(), rng)
    found = matrix(architecture.last_layer(), residual, activation, torch.from_numpy(held), target)
    slow = [
        hooked_delta_loss(architecture, blocks, rows, n, held[:, n] if held.ndim == 2 else float(held[n]))
        for n in range(activation.shape[1])
    ]
    assert np.abs(slow).max() > 0.01, "ablations without effect would test nothing"
    np.testing.assert_allclose(found, np.stack(slow, axis=1), atol=1e-9, rtol=0)


def test_neuron_at_its_reference_has_no_effect(traced):
    architecture, _, _, residual, activation, target = traced
    held = activation.clone()
    held[:, 1::2] += 1
    found = matrix(architecture.last_layer(), residual, activation, held, target)
    assert (found[:, ::2] == 0).all()
    assert np.abs(found[:, 1::2]).min() > 0


def test_tiles_do_not_change_the_result(traced):
    architecture, _, _, residual, activation, target = traced
    arguments = (architecture.last_layer(), residual, activation, torch.zeros(24).double(), target)
    whole = matrix(*arguments)
    for pairs in (1, 5, 60):  # one pair at a time; part of the neurons; all neurons of two rows
        tiled = matrix(*arguments, memory_bytes=8 * pairs * (4 * 61 + 6 * 16))
        np.testing.assert_allclose(tiled, whole, atol=1e-12, rtol=0)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", NO_CLOSED_FORM)
def test_stored_trace_to_means(kind, rng):
    """From the float32 trace to the mean per neuron, as the workflow goes, against hooked passes in float64."""
    architecture = architecture_of(tiny_model(kind))
    blocks = random_blocks(12)
    rows = candidate_rows(blocks)
    trace = vars(trace_rows(architecture, blocks, rows, batch_size=5))
    document = rows["document"].to_numpy()
    sums, pairs = influence_by_document(
        architecture.last_layer(),
        trace,
        reference_values(trace, "mean", document, rng),
        rows["target"].to_numpy(),
        document,
        {"all": np.ones(len(rows), dtype=bool)},
    )
    assert pairs == PairCounts(rerun=trace["activation"].size)
    mean = sums["all"].signed.sum(0) / len(rows)
    slow = architecture_of(tiny_model(kind).double())
    for neuron in range(0, len(mean), 5):
        twin = hooked_delta_loss(slow, blocks, rows, neuron, float(trace["mean_activation"][neuron]))
        assert abs(twin.mean() - mean[neuron]) < 1e-5


@pytest.mark.faults
def test_closed_form_and_direct_effect_are_refused(traced):
    architecture, _, rows, residual, activation, target = traced
    layer, zero = architecture.last_layer(), np.zeros(24)
    with pytest.raises(CheckpointError, match="closed form: a norm lies between the last MLP and the residual"):
        delta_loss_matrix(layer, residual, activation, torch.from_numpy(zero), target)
    trace = {"residual": residual.numpy(), "activation": activation.numpy()}
    with pytest.raises(ConfigurationError, match=r"influence\.effect: found 'direct', .* expected 'total'"):
        influence_by_document(
            layer,
            trace,
            zero,
            target.numpy(),
            rows["document"].to_numpy(),
            {"all": target.numpy() >= 0},
            effect="direct",
        )


@pytest.mark.faults
def test_non_finite_weights_give_no_result(traced):
    architecture, _, rows, residual, activation, target = traced
    trace = {"residual": residual.numpy().copy(), "activation": activation.numpy()}
    trace["residual"][3, 0] = np.nan
    with pytest.raises(CheckpointError, match="24 effects of neurons 0-23 are NaN or infinite"):
        influence_by_document(
            architecture.last_layer(),
            trace,
            np.zeros(24),
            target.numpy(),
            rows["document"].to_numpy(),
            {"all": target.numpy() >= 0},
            memory_bytes=8 * 24 * (4 * 61 + 6 * 16),
        )


def test_memory_stays_within_its_budget():
    """Tiles of 500 neurons that together need 150 GB."""
    setup = """
import torch
from rareneurons.influence.final_norm import final_norm_rerun_tiles
from rareneurons.models.last_layer import LastLayer, Norm
torch.set_num_threads(1)
g = torch.Generator().manual_seed(0)
d, n, v, t = 16, 500, 20000, 600
norm = Norm("rms_norm", torch.ones(d).double(), torch.zeros(d).double(), 1e-5)
u = torch.randn(v, d, generator=g).double()
layer = LastLayer(torch.randn(n, d, generator=g).double(), u, torch.zeros(v).double(), norm, {}, norm, 30.0)
x, a = torch.randn(t, d, generator=g), torch.randn(t, n, generator=g)
target = torch.zeros(t, dtype=torch.long)
next(final_norm_rerun_tiles(layer, x[:1], a[:1], torch.zeros(n), target[:1], memory_bytes=2**20))
"""
    work = """
tiles = final_norm_rerun_tiles(layer, x, a, torch.zeros(n), target, memory_bytes=256 * 2**20)
for _, tile in zip(range(3), tiles):
    pass
"""
    assert 128 < megabytes_above(setup, work) < 260
