"""The closed form against a hooked forward pass in float64, and its certified error against the exact sum."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import CLOSED_FORM, megabytes_above, random_blocks, tiny_model
from oracles import float64_trace, hooked_delta_loss, losses

from rareneurons.errors import CheckpointError, CorpusError
from rareneurons.influence import closed_form
from rareneurons.influence.closed_form import delta_loss_matrix
from rareneurons.influence.last_mlp import influence_by_document, reference_values, rows_of_other_documents
from rareneurons.influence.tiles import DeltaLoss, PairCounts, sum_by_document
from rareneurons.models.architectures import architecture_of
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.models.last_layer import LastLayer, Norm
from rareneurons.rows import candidate_rows
from rareneurons.trace import trace_rows


@pytest.mark.oracle
@pytest.mark.parametrize("kind", CLOSED_FORM)
@pytest.mark.parametrize("reference", ["mean", "zero", "resample"])
def test_equals_hooked_forward_pass(kind, reference, rng):
    architecture = architecture_of(tiny_model(kind).double())
    blocks = random_blocks()
    rows = candidate_rows(blocks)
    activation, residual = float64_trace(architecture, blocks, rows)
    stored = {"activation": activation.numpy(), "mean_activation": activation.mean(0).numpy()}
    held = torch.from_numpy(reference_values(stored, reference, rows["document"].to_numpy(), rng))
    layer = architecture.last_layer()
    target = torch.from_numpy(rows["target"].to_numpy().astype(np.int64))
    found, _ = delta_loss_matrix(layer, residual, activation, held, target, method="exact")
    slow = np.stack(
        [
            hooked_delta_loss(architecture, blocks, rows, n, held[:, n].numpy() if held.ndim == 2 else float(held[n]))
            for n in range(activation.shape[1])
        ],
        axis=1,
    )
    assert np.abs(slow).max() > 0.01, "ablations without effect would test nothing"
    np.testing.assert_allclose(found.numpy(), slow, atol=1e-9, rtol=0)


VARIANTS = {
    "tied": ("llama", {"tie_word_embeddings": True}),
    "tied GPT-NeoX": ("gpt_neox", {"tie_word_embeddings": True}),
    "untied": ("gpt2", {"tie_word_embeddings": False}),
    "untied Gemma": ("gemma", {"tie_word_embeddings": False}),
    "biases": ("llama", {"mlp_bias": True, "attention_bias": True}),
    "bias of the unembedding": ("phi", {}),
    "padded vocabulary": ("llama", {"vocab_size": 72}),  # the blocks hold tokens below 61
}


@pytest.mark.oracle
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_equal_hooked_passes_of_the_saved_model(variant, tmp_path):
    """From a folder, as users' models come, into the closed form."""
    kind, changes = VARIANTS[variant]
    model = tiny_model(kind, **changes)
    model.save_pretrained(tmp_path)
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied == variant.startswith("tied")
    architecture = open_checkpoint(str(tmp_path), torch.float64)
    blocks = random_blocks(3)
    rows = candidate_rows(blocks)
    activation, residual = float64_trace(architecture, blocks, rows)
    target, zero = torch.from_numpy(rows["target"].to_numpy().astype(np.int64)), torch.zeros(24).double()
    layer = architecture.last_layer()
    found, _ = delta_loss_matrix(layer, residual, activation, zero, target, method="exact")
    twin = architecture_of(model.double())
    slow = [hooked_delta_loss(twin, blocks, rows, neuron, 0.0) for neuron in range(24)]
    assert np.abs(slow).max() > 0.01
    np.testing.assert_allclose(found.numpy(), np.stack(slow, axis=1), atol=1e-9, rtol=0)
    if variant == "bias of the unembedding":
        assert (layer.logit_bias - layer.unembedding @ layer.norm.bias).abs().max() > 0.1


@pytest.fixture
def random_layer(rng):
    """A last layer with effects from 1e-8 to about a nat: residuals, activations and targets of 40 rows."""
    d, n_neurons, vocabulary, n_rows = 24, 30, 300, 40
    layer = LastLayer(
        torch.from_numpy(rng.normal(size=(n_neurons, d)) * np.logspace(-4, 0.3, n_neurons)[:, None]),
        torch.from_numpy(rng.normal(size=(vocabulary, d)) * 0.5),
        torch.from_numpy(rng.normal(size=vocabulary)),
        Norm("layer_norm", torch.from_numpy(rng.uniform(0.5, 2, d)), torch.zeros(d).double(), 1e-5),
        {},
    )
    residual = torch.from_numpy(rng.normal(size=(n_rows, d)))
    activation = torch.from_numpy(rng.normal(size=(n_rows, n_neurons)))
    target = torch.from_numpy(rng.integers(0, vocabulary, n_rows))
    return layer, residual, activation, torch.zeros(n_neurons).double(), target


@pytest.mark.oracle
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-8])
def test_certified_stays_within_tolerance(random_layer, tolerance):
    exact, _ = delta_loss_matrix(*random_layer, method="exact")
    certified, pairs = delta_loss_matrix(*random_layer, method="certified", tolerance=tolerance)
    assert pairs.cubic > 0
    assert pairs.quartic > 0
    assert pairs.exact > 0
    assert (certified - exact).abs().max() <= tolerance


@pytest.mark.oracle
def test_small_effects_keep_their_digits_in_float32(random_layer):
    layer, residual, activation, reference, target = random_layer
    exact, _ = delta_loss_matrix(*random_layer, method="exact")
    rounded, _ = delta_loss_matrix(
        layer.to("cpu", torch.float32), residual.float(), activation.float(), reference, target
    )
    # The weakest neuron moves the loss by about 1e-5 nats; subtracting two float32 losses would leave one digit.
    np.testing.assert_allclose(rounded[:, 0], exact[:, 0], rtol=2e-3, atol=1e-9)


def test_neuron_at_its_reference_has_no_effect(random_layer):
    layer, residual, activation, _, target = random_layer
    for method in ("exact", "certified"):
        found, _ = delta_loss_matrix(layer, residual, activation, activation.clone(), target, method=method)
        assert (found == 0).all()


def test_tiles_do_not_change_the_result(random_layer):
    whole, _ = delta_loss_matrix(*random_layer, method="exact")
    tiny_budget = 8 * 300 * 6 * 2 * 5
    tiled, _ = delta_loss_matrix(*random_layer, method="exact", memory_bytes=tiny_budget)
    np.testing.assert_allclose(tiled, whole, atol=1e-12)


def test_non_finite_effects_are_refused():
    tile = DeltaLoss(slice(0, 1), slice(0, 2), torch.tensor([[1.0, torch.nan]]).double(), PairCounts(2, 0))
    with pytest.raises(CheckpointError, match="1 effects of neurons 0-1"):
        sum_by_document([tile], 2, np.array([0]), {"all": np.array([True])})


def test_sums_by_document_equal_loops(rng):
    values = rng.normal(size=(7, 3))
    document = np.array([4, 4, 9, 9, 9, 12, 12])
    mask = np.array([1, 1, 1, 0, 1, 0, 0], dtype=bool)
    tiles = [
        DeltaLoss(slice(first, first + 2), slice(0, 3), torch.from_numpy(values[first : first + 2]), PairCounts())
        for first in range(0, 7, 2)
    ]
    found = sum_by_document(tiles, 3, document, {"some": mask})["some"]
    assert found.document.tolist() == [4, 9]
    assert found.n_rows.tolist() == [2, 2]
    np.testing.assert_allclose(found.signed, [values[:2].sum(0), values[2] + values[4]])
    np.testing.assert_allclose(found.absolute, [np.abs(values[:2]).sum(0), np.abs(values[[2, 4]]).sum(0)])


@pytest.mark.oracle
def test_stored_trace_to_means(rng):
    """From the float32 trace to the mean per neuron, as the workflow goes, against hooked passes."""
    architecture = architecture_of(tiny_model("gpt_neox"))
    blocks = random_blocks(12)
    rows = candidate_rows(blocks)
    trace = vars(trace_rows(architecture, blocks, rows, batch_size=5))
    everything, done = np.ones(len(rows), dtype=bool), []
    sums, _ = influence_by_document(
        architecture.last_layer(),
        trace,
        reference_values(trace, "mean", rows["document"].to_numpy(), rng),
        rows["target"].to_numpy(),
        rows["document"].to_numpy(),
        {"all": everything},
        done.append,
    )
    assert sum(tile.values.numel() for tile in done) == trace["activation"].size, "progress ends at its total"
    mean = sums["all"].signed.sum(0) / len(rows)
    slow = architecture_of(tiny_model("gpt_neox").double())
    for neuron in range(0, len(mean), 5):
        twin = hooked_delta_loss(slow, blocks, rows, neuron, float(trace["mean_activation"][neuron]))
        assert abs(twin.mean() - mean[neuron]) < 1e-5
    assert losses(slow, blocks, rows).mean() > 0


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
def test_direct_effect_equals_logits_with_the_scale_frozen(random_layer, kind):
    layer, residual, activation, reference, target = random_layer
    layer = replace(layer, norm=replace(layer.norm, kind=kind))
    found, _ = delta_loss_matrix(*(layer, *random_layer[1:]), method="exact", effect="direct")
    scale = (layer.centred(residual).square().mean(-1, keepdim=True) + layer.norm.epsilon).sqrt()

    def loss(x: torch.Tensor) -> torch.Tensor:
        logits = layer.centred(x) / scale * layer.norm.gain @ layer.unembedding.T + layer.logit_bias
        return -torch.log_softmax(logits, -1).gather(1, target[:, None])[:, 0]

    for neuron in range(activation.shape[1]):
        moved = residual + (reference - activation)[:, neuron, None] * layer.output_weight[neuron]
        np.testing.assert_allclose(found[:, neuron], loss(moved) - loss(residual), atol=1e-12)
    total, _ = delta_loss_matrix(*(layer, *random_layer[1:]), method="exact")
    assert (total - found).abs().max() > 1e-3


def test_certified_direct_effect_stays_within_tolerance(random_layer):
    exact, _ = delta_loss_matrix(*random_layer, method="exact", effect="direct")
    certified, _ = delta_loss_matrix(*random_layer, effect="direct", tolerance=1e-6)
    assert (certified - exact).abs().max() <= 1e-6


def test_resampled_rows_come_from_other_documents(rng):
    document = np.repeat([3, 5, 9], [50, 2, 8])
    drawn = rows_of_other_documents(document, rng)
    assert (document[drawn] != document).all()
    with pytest.raises(CorpusError, match="at least two documents"):
        rows_of_other_documents(np.array([4, 4]), rng)


@pytest.mark.parametrize(("megabytes", "threads"), [(8, 1), (64, 1), (64, 3)])
def test_memory_stays_within_its_budget(megabytes, threads):
    """Arrays that together need 1.4 GB."""
    setup = f"""
import torch
from rareneurons.influence.closed_form import delta_loss_tiles
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.models.last_layer import LastLayer, Norm
torch.set_num_threads({threads})
g = torch.Generator().manual_seed(0)
d, n, v, t = 16, 1500, 20000, 600
layer = LastLayer(torch.randn(n, d, generator=g) * 0.05, torch.randn(v, d, generator=g), torch.zeros(v),
                  Norm("rms_norm", torch.ones(d), torch.zeros(d), 1e-5), dict())
x, a = torch.randn(t, d, generator=g), torch.randn(t, n, generator=g)
target = torch.zeros(t, dtype=torch.long)
next(delta_loss_tiles(layer, x[:2], a[:2, :], torch.zeros(n), target[:2], memory_bytes=2**20))
"""
    work = f"""
tiles = delta_loss_tiles(layer, x, a, torch.zeros(n), target, memory_bytes={megabytes} * 2**20)
for _, tile in zip(range(2), tiles):
    pass
"""
    assert megabytes_above(setup, work) < megabytes + 3


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_moments_of_the_series_equal_sums_over_the_vocabulary(kind):
    """``E_p[z^i B^j]`` of both series against the written-out sum, float64, 1e-10 relative."""
    layer = architecture_of(tiny_model(kind).double()).last_layer()
    residual = torch.from_numpy(np.random.default_rng(5).normal(size=(4, 16)))
    rows = closed_form._prepare_rows(layer, residual)
    neurons = closed_form._prepare_neurons(layer, slice(0, 24), map, 1)
    columns = torch.tensor([1, 7, 20])
    b = neurons.gained @ layer.unembedding.T
    found = closed_form._cubic_sums(rows, neurons, layer.unembedding)
    quartic = closed_form._quartic_sums(rows, neurons, columns)
    assert {i + j for i, j in quartic} == {4}
    for (i, j), moment in [*found.items(), *quartic.items()]:
        of = b if i + j < 4 else b[columns]
        slow = torch.einsum("tv,nv->tn", rows.p * rows.z**i, of**j)
        torch.testing.assert_close(moment, slow, rtol=1e-10, atol=1e-12)
