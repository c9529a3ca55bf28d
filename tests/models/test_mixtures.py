"""Mixtures of experts: the wide MLP against transformers' own modules, ablation against a loop over experts."""

from functools import partial

import numpy as np
import pytest
import torch
import transformers
from conftest import EXPERTS, MIXTURES, random_blocks, tiny_model
from oracles import losses
from torch import nn

from rareneurons.errors import CheckpointError
from rareneurons.influence.closed_form import delta_loss_matrix
from rareneurons.influence.last_mlp import reference_values
from rareneurons.models.architectures import architecture_of
from rareneurons.models.architectures.mixtures import WideMixture
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.models.last_layer import LastLayer
from rareneurons.models.weights import weight_matrices
from rareneurons.rows import candidate_rows
from rareneurons.trace import Recorder, trace_rows


class Plain:
    """What ``oracles.losses`` asks of an adapter, for a model that no adapter has touched."""

    def __init__(self, model):
        self.model = model


def by_hand(mixture, hold, module, inputs, _output):
    """A mixture's output by loops over positions and all experts, with neuron ``hold`` = (expert, index, value) held.

    ``value`` is a number, or one a position.
    """
    hidden = inputs[0].flatten(0, 1)
    _, weights, chosen = mixture.gate(hidden)
    experts, output = mixture.experts, torch.zeros_like(hidden)
    for position, x in enumerate(hidden):
        for expert in range(len(experts.down_proj)):
            gate, up = (experts.gate_up_proj[expert] @ x).chunk(2)
            routing = weights[position][chosen[position] == expert].sum()
            output[position] += experts.down_proj[expert] @ held(
                routing * experts.act_fn(gate) * up, expert, position, hold
            )
        if hasattr(mixture, "shared_expert"):
            own = mixture.shared_expert
            active = torch.sigmoid(mixture.shared_expert_gate(x)) * own.act_fn(own.gate_proj(x)) * own.up_proj(x)
            output[position] += own.down_proj(held(active, len(experts.down_proj), position, hold))
    return output.unflatten(0, inputs[0].shape[:2])


def held(activation, expert, position, hold):
    if hold is not None and hold[0] == expert:
        activation = activation.clone()
        activation[hold[1]] = hold[2]
    return activation


def places(mixture):
    """(expert, index) of every neuron in order."""
    n_experts, _, width = mixture.experts.down_proj.shape
    routed = [(expert, index) for expert in range(n_experts) for index in range(width)]
    shared = mixture.shared_expert.down_proj.in_features if hasattr(mixture, "shared_expert") else 0
    return routed + [(n_experts, index) for index in range(shared)]


@pytest.mark.oracle
@pytest.mark.parametrize("kind", MIXTURES)
def test_wide_mixture_computes_what_the_module_does(kind):
    mixture = tiny_model(kind).double().model.layers[1].mlp
    wide = WideMixture(mixture, "layer 1")
    hidden = torch.randn(3, 7, 16, dtype=torch.float64)
    expected = mixture(hidden)
    with Recorder({"a": wide.output}) as recorder:
        found = wide(hidden)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    with torch.inference_mode():  # silent experts are left out
        torch.testing.assert_close(wide(hidden), expected, atol=1e-12, rtol=0)
    activation = recorder.inputs["a"]
    assert activation.shape == (3, 7, 24)
    torch.testing.assert_close(activation @ wide.output.weight.T, expected, atol=1e-12, rtol=0)
    routed = activation[..., : len(mixture.experts.down_proj) * mixture.experts.down_proj.shape[-1]]
    chosen = (routed.unflatten(-1, (len(mixture.experts.down_proj), -1)) != 0).any(-1)
    assert (chosen.sum(-1) == mixture.gate.top_k).all()


@pytest.mark.oracle
@pytest.mark.parametrize("kind", MIXTURES)
def test_routers_as_transformers_has_them(kind, tmp_path):
    """The opened model against transformers' own code, its router's rounding included."""
    tiny_model(kind).save_pretrained(tmp_path)
    own = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, dtype=torch.float32, experts_implementation="eager"
    )
    tokens = torch.arange(1, 25)[None]
    with torch.no_grad():
        expected = own(input_ids=tokens).logits
        found = open_checkpoint(str(tmp_path)).model(input_ids=tokens).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("reference", ["mean", "zero"])
@pytest.mark.parametrize("kind", MIXTURES)
def test_closed_form_equals_ablation_inside_a_loop_over_experts(kind, reference, rng):
    """Passes of a model that no adapter has touched, with each neuron held at all positions, chosen expert or not."""
    architecture = architecture_of(tiny_model(kind).double())
    untouched = tiny_model(kind).double()
    blocks = random_blocks(3)
    rows = candidate_rows(blocks)
    modules = {"a": architecture.mlp_output(1), "x": architecture.final_norm_module}
    with torch.inference_mode(), Recorder(modules) as recorder:
        architecture.base(input_ids=torch.from_numpy(blocks.tokens.astype(np.int64)), use_cache=False)
    at = rows["block"].to_numpy(), rows["position"].to_numpy()
    activation, residual = (recorder.inputs[name][at].clone() for name in "ax")
    stored = {"activation": activation.numpy(), "mean_activation": activation.mean(0).numpy()}
    value = torch.from_numpy(reference_values(stored, reference, rows["document"].to_numpy(), rng))
    target = torch.from_numpy(rows["target"].to_numpy().astype(np.int64))
    found, _ = delta_loss_matrix(architecture.last_layer(), residual, activation, value, target, method="exact")
    mixture = untouched.model.layers[1].mlp
    before = losses(Plain(untouched), blocks, rows)
    slow = []
    for neuron, (expert, index) in enumerate(places(mixture)):
        hook = partial(by_hand, mixture, (expert, index, float(value[neuron])))
        handle = mixture.register_forward_hook(hook)
        slow.append(losses(Plain(untouched), blocks, rows) - before)
        handle.remove()
    assert np.abs(slow).max() > 0.01, "ablations without effect would test nothing"
    np.testing.assert_allclose(found.numpy(), np.stack(slow, axis=1), atol=1e-9, rtol=0)


@pytest.mark.parametrize("kind", MIXTURES)
def test_numbers_of_experts_follow_the_flat_order(kind):
    model = tiny_model(kind)
    expected = [expert for expert, _ in places(model.model.layers[1].mlp)]
    architecture = architecture_of(model)
    assert architecture.expert_of_neuron(1).tolist() == expected
    again = LastLayer.from_arrays(architecture.last_layer().to("cpu", torch.float64).arrays())
    assert again.expert.tolist() == expected
    assert again.expert.dtype == np.int64
    assert architecture_of(tiny_model("llama")).expert_of_neuron(1) is None


def test_shared_expert_comes_last():
    mixture = tiny_model("qwen2_moe").model.layers[1].mlp
    weights = architecture_of(tiny_model("qwen2_moe")).last_layer()
    for neuron, (expert, index) in enumerate(places(mixture)):
        if expert < len(mixture.experts.down_proj):
            gate, up = mixture.experts.gate_up_proj[expert].chunk(2)
            out = mixture.experts.down_proj[expert][:, index]
        else:
            gate, up = mixture.shared_expert.gate_proj.weight, mixture.shared_expert.up_proj.weight
            out = mixture.shared_expert.down_proj.weight[:, index]
        assert torch.equal(weights.input_weights["w_gate"][neuron], gate[index])
        assert torch.equal(weights.input_weights["w_up"][neuron], up[index])
        assert torch.equal(weights.output_weight[neuron], out)


@pytest.mark.parametrize("kind", ["qwen2_moe", "qwen3_moe"])
def test_dense_layers_among_mixtures(kind):
    architecture = architecture_of(tiny_model(kind, mlp_only_layers=[0], intermediate_size=20))
    assert architecture.mlp_output_weight(0).shape == (20, 16)
    assert architecture.expert_of_neuron(0).tolist() == [-1] * 20
    assert architecture.mlp_inputs(0)["w_gate"].shape == (20, 16)
    assert architecture.mlp_output_weight(1).shape == (24, 16)
    last_dense = architecture_of(tiny_model(kind, mlp_only_layers=[1], intermediate_size=20)).last_layer()
    assert last_dense.output_weight.shape == (20, 16)


def test_adapting_twice_changes_nothing():
    model = tiny_model("olmoe")
    first = architecture_of(model).blocks[0].mlp
    assert architecture_of(model).blocks[0].mlp is first


def test_mean_activation_counts_positions_without_the_expert():
    """Two experts of four a position: zeros where a neuron's expert is not chosen are part of its mean."""
    architecture = architecture_of(tiny_model("olmoe"))
    blocks = random_blocks(5)
    trace = trace_rows(architecture, blocks, candidate_rows(blocks), batch_size=2)
    np.testing.assert_allclose(trace.mean_activation, trace.activation.mean(0), atol=1e-6)
    assert 0.4 < np.mean(trace.activation == 0) < 0.6


@pytest.mark.oracle
@pytest.mark.parametrize("stacked", [False, True])
def test_each_expert_is_a_matrix_of_its_own(stacked, tmp_path):
    model = tiny_model("olmoe")
    model.save_pretrained(tmp_path, save_original_format=not stacked)
    found = weight_matrices(str(tmp_path))
    experts = model.model.layers[1].mlp.experts
    for expert in range(4):
        gate, up = experts.gate_up_proj[expert].chunk(2)
        for matrix in (experts.down_proj[expert],) + ((experts.gate_up_proj[expert],) if stacked else (gate, up)):
            assert sum(np.array_equal(matrix, other) for other in found.values()) == 1
    assert len({name for name in found if "layers.1.mlp.experts" in name}) == (8 if stacked else 12)


@pytest.mark.faults
def test_other_mixtures_are_refused_by_name(tmp_path):
    settings = EXPERTS | {"num_local_experts": 4}
    transformers.GraniteMoeForCausalLM(transformers.GraniteMoeConfig(**settings)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=f"{tmp_path}: model_type: found 'granitemoe', which no adapter knows"):
        open_checkpoint(str(tmp_path))


@pytest.mark.faults
@pytest.mark.parametrize("change", ["bias", "layout", "part"])
def test_experts_built_otherwise_are_refused(change):
    model = tiny_model("olmoe")
    mixture = model.model.layers[1].mlp
    if change == "bias":
        mixture.experts.down_proj_bias = nn.Parameter(torch.zeros(4, 16))
    elif change == "layout":
        mixture.experts.is_concatenated = False
    else:
        mixture.shared_mlp = nn.Linear(16, 16)
    with pytest.raises(CheckpointError, match="layer 1: a mixture of .* an adapter of its own"):
        architecture_of(model)
