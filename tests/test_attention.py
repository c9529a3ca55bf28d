"""Head ablation against hooked passes, structural zeros, concentration."""

import numpy as np
import pytest
import torch
from conftest import TINY, random_blocks, tiny_model

from rareneurons.attention import attention_estimates, gini, mean_ablate_heads, reachable_layers
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.trace import Recorder


def all_rows(blocks):
    rows = candidate_rows(blocks)
    rows["split"] = "heldout"
    rows["in_rare"] = rows["target"] % 2 == 0
    rows["in_common"] = ~rows["in_rare"]
    return rows


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
def test_equals_a_pass_with_the_head_replaced_by_hand(kind):
    architecture = architecture_of(tiny_model(kind))
    blocks = random_blocks(5)
    rows = all_rows(blocks)
    everything = np.ones(len(rows), dtype=bool)
    found = mean_ablate_heads(architecture, blocks, rows, {"all": everything}, {"g": np.array([1, 4])}, batch_size=2)
    at = rows["block"].to_numpy(), rows["position"].to_numpy()
    tokens = torch.from_numpy(blocks.tokens.astype(np.int64))
    mlp = architecture.mlp_output(1)
    for number, (layer, head) in enumerate(zip(found.layer, found.head, strict=True)):
        output = architecture.attention_output(int(layer))
        with torch.inference_mode(), Recorder({"mlp": mlp, "heads": output}) as recorder:
            architecture.base(input_ids=tokens, use_cache=False)
        before, heads = recorder.inputs["mlp"][at], recorder.inputs["heads"]
        width = heads.shape[-1] // architecture.n_heads
        columns = slice(int(head) * width, (int(head) + 1) * width)
        replaced = heads.clone()
        replaced[..., columns] = heads[at][:, columns].mean(0)
        handle = output.register_forward_pre_hook(lambda _m, _i, value=replaced: (value,))
        with torch.inference_mode(), Recorder({"mlp": mlp}) as recorder:
            architecture.base(input_ids=tokens, use_cache=False)
        handle.remove()
        change = ((recorder.inputs["mlp"][at] - before).abs() / before.std(0)).numpy()
        np.testing.assert_allclose(found.by_neuron["all"][number], change.mean(0), atol=1e-4, rtol=1e-3)
        np.testing.assert_allclose(found.by_row["g"][number], change[:, [1, 4]].mean(1), atol=1e-4, rtol=1e-3)
    assert found.by_neuron["all"].max() > 0.01


def test_heads_of_a_parallel_last_layer_cannot_reach_it(rng):
    architecture = architecture_of(tiny_model("gpt_neox"))
    assert list(reachable_layers(architecture)) == [0]
    blocks = random_blocks(5)
    rows = all_rows(blocks)
    groups = {"plateau": (np.array([0, 1, 2]), [np.array([3, 4, 5]), np.array([6, 7, 8])] * 6)}
    found = attention_estimates(architecture, blocks, rows, ["rare", "common"], groups, 2, 20, rng)
    zero = [(layer, head, e.value) for _, _, layer, head, e in found if e.measure == "structurally_zero"]
    assert set(zero) == {(1, 0, 0.0), (1, 1, 0.0)}
    measured = {(layer, head) for _, _, layer, head, e in found if e.measure == "head_effect"}
    assert measured == {(0, 0), (0, 1)}
    # The claim itself, measured: ablating a last-layer head leaves that layer's MLP exactly as it was.
    tokens = torch.from_numpy(blocks.tokens.astype(np.int64))
    mlp = architecture.mlp_output(1)
    with torch.inference_mode(), Recorder({"mlp": mlp}) as recorder:
        architecture.base(input_ids=tokens, use_cache=False)
    before = recorder.inputs["mlp"]
    handle = architecture.attention_output(1).register_forward_pre_hook(lambda _m, i: (torch.zeros_like(i[0]),))
    with torch.inference_mode(), Recorder({"mlp": mlp}) as recorder:
        architecture.base(input_ids=tokens, use_cache=False)
    handle.remove()
    assert torch.equal(recorder.inputs["mlp"], before)


def test_heads_of_a_sequential_last_layer_do_reach_it():
    assert list(reachable_layers(architecture_of(tiny_model("gpt2")))) == [0, 1]


def test_gini_of_known_distributions():
    assert gini(np.ones(10)) == pytest.approx(0)
    assert gini(np.array([0.0] * 9 + [1])) == pytest.approx(0.9)
    assert gini(np.array([1.0, 3.0])) == pytest.approx(0.25)
    assert np.isnan(gini(np.zeros(3)))
    assert np.isnan(gini(np.array([])))
