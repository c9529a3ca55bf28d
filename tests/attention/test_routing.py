"""Re-runs from the ablated layer up against whole hooked passes; their number; structural zeros."""

import numpy as np
import pytest
import torch
from conftest import TINY, random_blocks, tiny_model

from rareneurons.attention.heads import (
    Ablation,
    heads_of_layers,
    layer_evaluations,
    planned_ablations,
    reachable_layers,
)
from rareneurons.attention.routing import head_effects
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.trace import Recorder

GROUP = np.array([1, 4, 7])
TOLERANCE = 1e-9
PARALLEL = ["gpt_neox", "phi"]


def readouts(varies):
    weights = np.zeros(len(varies))
    weights[GROUP] = 1 / len(GROUP)
    return {"g": weights}


def rows_and_masks(blocks):
    rows = candidate_rows(blocks)
    rows = rows[rows["target"] % 5 != 0].reset_index(drop=True)
    return rows, np.stack([rows["target"] % 2 == 0, rows["target"] % 2 == 1])


def measured(architecture, blocks, ablations, batch_size=2, together=3):
    rows, masks = rows_and_masks(blocks)
    return head_effects(architecture, blocks, rows, masks, ablations, readouts, {"g": GROUP}, batch_size, together)


@torch.inference_mode()
def whole_pass(architecture, blocks, hooks=()):
    """Last-MLP activations, inputs of every attention output projection, and log probabilities of one plain run."""
    modules = {layer: architecture.attention_output(layer) for layer in range(architecture.n_layers)}
    modules["mlp"] = architecture.mlp_output(architecture.n_layers - 1)
    handles = [module.register_forward_pre_hook(hook) for module, hook in hooks]
    tokens = torch.from_numpy(blocks.tokens.astype(np.int64))
    try:
        with Recorder(modules) as recorder:
            logits = architecture.model(input_ids=tokens, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    return recorder.inputs, torch.log_softmax(logits, -1).numpy()


class BruteForce:
    """Effects of an ablation by hooks on whole passes, one ablation at a time, row by row."""

    def __init__(self, architecture, blocks):
        self.architecture, self.blocks = architecture, blocks
        self.rows, self.masks = rows_and_masks(blocks)
        self.at = self.rows["block"].to_numpy(), self.rows["position"].to_numpy()
        self.inputs, self.log_p = whole_pass(architecture, blocks)
        self.clean = self.inputs["mlp"][self.at].numpy()

    def loss(self, log_p):
        return -log_p[(*self.at, self.rows["target"].to_numpy())]

    def replacement(self, ablation, layer, inputs):
        """What replaces the layer's input."""
        held = inputs.clone()
        width = inputs.shape[-1] // self.architecture.n_heads
        everything = candidate_rows(self.blocks)
        evaluated = everything["block"].to_numpy(), everything["position"].to_numpy()
        for own, head in ablation.heads:
            if own != layer:
                continue
            columns = slice(head * width, (head + 1) * width)
            if ablation.kind == "mean":
                held[..., columns] = self.inputs[layer][evaluated][:, columns].mean(0)
            elif ablation.kind == "zero":
                held[..., columns] = 0
            else:
                held[..., columns] = inputs[:, :1, columns]
        return held

    def hooks(self, ablation):
        return [
            (
                self.architecture.attention_output(layer),
                lambda _module, inputs, layer=layer: (self.replacement(ablation, layer, inputs[0]),),
            )
            for layer in range(self.architecture.n_layers)
        ]

    def effects(self, ablation):
        """(T, N) standardised changes and (T,) changes of the loss; and of the loss with the group held."""
        inputs, log_p = whole_pass(self.architecture, self.blocks, self.hooks(ablation))
        change = np.abs(inputs["mlp"][self.at].numpy() - self.clean) / self.clean.std(0)

        def hold(_module, values):
            held = values[0].clone()
            held[..., GROUP] = self.inputs["mlp"][..., GROUP]
            return (held,)

        last_mlp = self.architecture.mlp_output(self.architecture.n_layers - 1)
        _, held = whole_pass(self.architecture, self.blocks, [*self.hooks(ablation), (last_mlp, hold)])
        before = self.loss(self.log_p)
        return change, self.loss(log_p) - before, self.loss(held) - before


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
def test_equals_whole_passes_with_heads_replaced_by_hand(kind):
    architecture, blocks = architecture_of(tiny_model(kind).double()), random_blocks(5)
    ablations = planned_ablations(architecture, 2, np.random.default_rng(0))
    found = measured(architecture, blocks, ablations)
    slow = BruteForce(architecture, blocks)
    document, reach = slow.rows["document"].to_numpy(), 1 if kind in PARALLEL else 2
    assert {each.unit for each in ablations} >= {"head", "layer"}
    assert {each.kind for each in ablations} == {"mean", "zero", "bos"}
    for number, ablation in enumerate(ablations):
        change, delta, held = slow.effects(ablation)
        for c, mask in enumerate(slow.masks):
            np.testing.assert_allclose(found.by_neuron[number, c], change[mask].mean(0), atol=TOLERANCE, rtol=0)
            for d, name in enumerate(np.unique(document)):
                mine = mask & (document == name)
                expected = {
                    "g": change[mine][:, GROUP].mean(1).sum(),
                    "delta_loss": delta[mine].sum(),
                    "abs_delta_loss": np.abs(delta[mine]).sum(),
                }
                if ablation.kind == "mean" and ablation.unit != "set" and ablation.lowest_layer < reach:
                    expected["held.g"] = held[mine].sum()
                else:
                    assert np.isnan(found.by_document["held.g"][number, c, d])
                for measure, value in expected.items():
                    assert found.by_document[measure][number, c, d] == pytest.approx(value, abs=TOLERANCE)
                assert found.rows[c, d] == mine.sum()
    assert found.by_neuron.max() > 0.1
    assert np.abs(found.by_document["delta_loss"]).max() > 0.01


def test_single_precision_equals_double_to_1e_5():
    blocks = random_blocks(5)
    effects = {}
    for dtype in (torch.float32, torch.float64):
        architecture = architecture_of(tiny_model("gpt_neox").to(dtype))
        effects[dtype] = measured(architecture, blocks, planned_ablations(architecture, 2, np.random.default_rng(0)))
    single, double = effects.values()
    np.testing.assert_allclose(single.by_neuron, double.by_neuron, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(single.by_document["held.g"], double.by_document["held.g"], atol=1e-4)
    np.testing.assert_allclose(single.by_document["delta_loss"], double.by_document["delta_loss"], atol=1e-4)


@pytest.mark.parametrize("kind", ["gpt_neox", "gpt2", "llama"])
@pytest.mark.parametrize("together", [1, 4, 100])
def test_cost_is_the_stated_number_of_layer_evaluations(kind, together):
    architecture, blocks = architecture_of(tiny_model(kind).double()), random_blocks(5)
    ablations = planned_ablations(architecture, 3, np.random.default_rng(0))
    done = []
    for block in architecture.blocks:
        block.register_forward_pre_hook(lambda _module, inputs: done.append(len(inputs[0])))
    measured(architecture, blocks, ablations, together=together)
    assert sum(done) == 5 * layer_evaluations(architecture.n_layers, ablations)


@pytest.mark.parametrize(("kind", "query"), [("gpt_neox", "query_key_value"), ("gpt2", "c_attn"), ("llama", "q_proj")])
def test_a_rerun_does_not_compute_its_first_layer_s_attention(kind, query):
    """Two whole passes; then the heads of the first layer cost the second layer's attention, those of that one none."""
    architecture, blocks = architecture_of(tiny_model(kind).double()), random_blocks(5)
    done = [0, 0]

    def count(layer):
        def hook(_module, inputs):
            done[layer] += len(inputs[0])

        return hook

    for layer in range(2):
        getattr(architecture.attention(layer), query).register_forward_pre_hook(count(layer))
    ablations = [Ablation("head", "mean", (head,)) for head in heads_of_layers(architecture, range(2))]
    measured(architecture, blocks, ablations)
    assert done == [2 * 5, 2 * 5 + 5 * architecture.n_heads]
    with torch.inference_mode():
        after, _ = whole_pass(architecture, blocks)
    assert done[0] == 3 * 5, "attention is computed again afterwards"
    assert torch.isfinite(after["mlp"]).all()


def test_stated_cost_by_hand():
    ablations = [Ablation("head", "mean", ((0, 1),)), Ablation("head", "zero", ((2, 0),))]
    assert layer_evaluations(3, [*ablations, Ablation("set", "mean", ((2, 0), (1, 3)))]) == 6 + 3 + 1 + 2


@pytest.mark.parametrize(("kind", "sets"), [("gpt_neox", 0), ("gpt2", 4), ("llama", 4)])
def test_all_heads_and_layers_are_planned_and_sets_of_those_that_reach(kind, sets):
    architecture = architecture_of(tiny_model(kind))
    planned = planned_ablations(architecture, 4, np.random.default_rng(0))
    n = architecture.n_heads
    everyone = heads_of_layers(architecture, range(2))
    for ablation in ("mean", "zero", "bos"):
        assert [a.heads for a in planned if (a.unit, a.kind) == ("head", ablation)] == [(h,) for h in everyone]
        assert [a.heads for a in planned if (a.unit, a.kind) == ("layer", ablation)] == [
            tuple(everyone[:n]),
            tuple(everyone[n:]),
        ]
    drawn = [a.heads for a in planned if a.unit == "set"]
    assert len(drawn) == sets
    assert all(len(set(heads)) == n for heads in drawn)


@pytest.mark.parametrize("kind", PARALLEL)
def test_heads_of_a_parallel_last_layer_cannot_reach_it(kind):
    architecture, blocks = architecture_of(tiny_model(kind).double()), random_blocks(5)
    assert list(reachable_layers(architecture)) == [0]
    ablations = planned_ablations(architecture, 2, np.random.default_rng(0))
    found = measured(architecture, blocks, ablations)
    last = [number for number, each in enumerate(ablations) if each.lowest_layer == 1]
    assert (found.by_neuron[last] == 0).all()
    assert (found.by_document["g"][last] == 0).all()
    assert (np.abs(found.by_document["delta_loss"][last]).sum((1, 2)) > 0.01).all(), "they change the loss directly"
    # The claim itself, measured: replacing a last-layer head leaves that layer's MLP exactly as it was.
    slow = BruteForce(architecture, blocks)
    for number in last:
        change, delta, _ = slow.effects(ablations[number])
        assert (change == 0).all()
        assert np.abs(delta).max() > 0.01


def test_heads_of_a_sequential_last_layer_do_reach_it():
    for model in (tiny_model("gpt2"), tiny_model("gpt_neox", use_parallel_residual=False)):
        assert list(reachable_layers(architecture_of(model))) == [0, 1]


def noisy(_module, inputs):
    """Another rounding in every pass."""
    return (inputs[0] + 1e-4 * torch.randn_like(inputs[0]),)


def test_rows_up_to_which_nothing_moved_have_no_effect_at_all():
    """A silent head, in a model in which no two passes are alike."""
    architecture, blocks = architecture_of(tiny_model("gpt2")), random_blocks(5)
    with torch.no_grad():  # values of head 0 in layer 0 are 0
        attention = architecture.attention(0)
        attention.c_attn.weight[:, 32:40] = 0
        attention.c_attn.bias[32:40] = 0
    for module in (architecture.mlp_output(1), architecture.final_norm_module):
        module.register_forward_pre_hook(noisy)
    ablations = [Ablation("head", kind, ((0, 0),)) for kind in ("mean", "zero", "bos")]
    found = measured(architecture, blocks, ablations)
    assert (found.by_neuron == 0).all()
    assert (found.by_document["delta_loss"] == 0).all()
    assert (found.by_document["held.g"][0] == 0).all()


@pytest.mark.parametrize("rounded", [False, True])
def test_a_head_that_moved_once_has_effects_from_there_on(rounded):
    architecture, blocks = architecture_of(tiny_model("gpt2")), random_blocks(5)

    def speak_at_five_alone(_module, inputs):
        spoken = inputs[0].clone()
        spoken[..., :8] = 0
        spoken[:, 5, :8] = 1
        return (spoken,)

    architecture.attention_output(0).register_forward_pre_hook(speak_at_five_alone)
    if rounded:
        architecture.mlp_output(1).register_forward_pre_hook(noisy)
    rows = candidate_rows(blocks)
    masks = np.stack([rows["position"] < 5, rows["position"] == 5, rows["position"] > 5])
    ablation = [Ablation("head", "zero", ((0, 0),))]
    found = head_effects(architecture, blocks, rows, masks, ablation, readouts, {}, 2, 3)
    before, there, after = found.by_neuron[0]
    assert (before == 0).all()
    assert (found.by_document["abs_delta_loss"][0, 0] == 0).all()
    assert there.min() > 0
    assert after.min() > 0


def test_constant_neurons_have_no_unit_and_no_effect():
    architecture, blocks = architecture_of(tiny_model("llama").double()), random_blocks(5)
    with torch.no_grad():
        architecture.mlp_inputs(1)["w_gate"][4] = 0
    found = measured(architecture, blocks, planned_ablations(architecture, 2, np.random.default_rng(0)))
    assert not found.varies[4]
    assert found.varies.sum() == len(found.varies) - 1
    assert (found.by_neuron[..., 4] == 0).all()
    assert np.isfinite(found.by_neuron).all()
